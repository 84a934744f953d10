// @ts-check
/** Models and snapshots by name, each loaded once. */

import { modelFrom, snapshotsFrom } from "../weights.js";

/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {{step: number, model: Model}[]} Snapshots */
/** @typedef {(kind: "model" | "snapshots", name: string) => Promise<any>} Load */

/**
 * The value if it is loaded, otherwise null. The first request starts the load, and `changed` is
 * called when it succeeds or fails. A failure is kept until `retry`.
 * @param {Load} load
 * @param {() => void} changed
 */
export function modelStore(load, changed) {
  /** @type {Map<string, {value: any, failure: string | null}>} */
  const entries = new Map();
  /** @param {string} key @param {() => Promise<any>} make */
  const entry = (key, make) => {
    const known = entries.get(key);
    if (known) return known;
    const fresh = { value: null, failure: /** @type {string | null} */ (null) };
    entries.set(key, fresh);
    make()
      .then((value) => (fresh.value = value))
      .catch((error) => (fresh.failure = error instanceof Error ? error.message : String(error)))
      .then(changed);
    return fresh;
  };
  /** @param {string} name @returns {{value: Model | null, failure: string | null}} */
  const model = (name) => entry(`model ${name}`, async () => modelFrom(await load("model", name)));
  return {
    model,
    /**
     * @param {string} name of a model that is there
     * @returns {{value: Snapshots | null, failure: string | null}}
     */
    snapshots(name) {
      const last = model(name).value;
      if (!last) return { value: null, failure: null };
      return entry(`snapshots ${name}`, async () =>
        snapshotsFrom(await load("snapshots", name), last),
      );
    },
    /** @param {string} name */
    retry(name) {
      for (const kind of ["model", "snapshots"]) {
        if (entries.get(`${kind} ${name}`)?.failure) entries.delete(`${kind} ${name}`);
      }
      changed();
    },
  };
}
