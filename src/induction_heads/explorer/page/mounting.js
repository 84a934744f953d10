// @ts-check
/** The explorer in the elements of a page, and in the output of a notebook. */

import { element } from "./elements.js";
import { mountExplorer } from "./explorer.js";
import { mountTextExplorer } from "./text_explorer.js";

/** @typedef {(kind: string, name: string) => Promise<any>} Load */
/** @typedef {{state: () => string, setState: (text: string) => void, destroy: () => void}} Mounted */

/**
 * The part of the widget model of a notebook that is used here.
 * @typedef {{
 *   get: (name: string) => any, set: (name: string, value: unknown) => void,
 *   save_changes: () => void, on: (event: string, does: () => void) => void,
 *   off: (event: string, does: () => void) => void,
 * }} WidgetModel
 */

/**
 * Mounts every element with the attribute `data-explorer` or `data-text-explorer`. Models lie in the
 * folder `explorer` beside the page's script. A link that ends in `#explorer=…` gives its state to the
 * first explorer of the page, `#explorer-2=…` to the second. The address follows what the reader does,
 * so that a reload, Back and a bookmark bring it back.
 * @param {HTMLOrSVGScriptElement | null} script
 */
export function mountAll(script) {
  const source = script instanceof HTMLScriptElement && script.src;
  const folder = source ? new URL("explorer/", source) : null;
  const load = pageLoader(folder);
  const mount = () => {
    /** @type {Map<string, {root: HTMLElement, mounted: Mounted}>} */
    const places = new Map();
    document.querySelectorAll("[data-explorer], [data-text-explorer]").forEach((root, at) => {
      const address = at ? `explorer-${at + 1}` : "explorer";
      const mounted = root instanceof HTMLElement && mountElement(root, load, address, keepState);
      if (mounted) places.set(address, { root, mounted });
    });
    const follow = () => {
      const link = linkedState();
      const place = link && places.get(link.address);
      if (!link || !place) return;
      place.mounted.setState(link.state);
      place.root.scrollIntoView({ block: "start" });
    };
    follow();
    window.addEventListener("hashchange", follow);
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", mount);
  else mount();
}

/**
 * Mounts the explorer in one element. On failure the element shows the reason, and the result is null.
 * @param {HTMLElement | null} root with its options as JSON in `data-explorer` or `data-text-explorer`
 * @param {Load} [load]
 * @param {string} [address] what a link to this explorer has behind `#`
 * @param {(address: string, state: string) => void} [keep] called with each state that the reader sets
 * @returns {Mounted | null}
 */
export function mountElement(root, load = pageLoader(null), address, keep) {
  if (!root) return null;
  try {
    const { explorer, textExplorer } = root.dataset;
    const options = JSON.parse(textExplorer ?? explorer ?? "");
    root.replaceChildren();
    const onState =
      address && keep ? (/** @type {string} */ state) => keep(address, state) : undefined;
    const mount = textExplorer === undefined ? mountExplorer : mountTextExplorer;
    return mount(root, { ...options, load, address, onState });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    root.replaceChildren(
      element("p", { class: "ex-error", role: "alert" }, `The explorer could not start: ${why}`),
    );
    return null;
  }
}

/**
 * Shows the explorer in the output of a notebook. Its state and the notebook's `state` are
 * kept equal. Returns a function that removes it.
 * @param {{model: WidgetModel, el: HTMLElement}} context
 */
export function renderWidget({ model, el }) {
  const options = model.get("options");
  const root = element("div", { role: "group", "aria-label": model.get("alt") });
  const caption = model.get("caption");
  const figure = element(
    "figure",
    { class: "ex-embed" },
    root,
    caption && element("figcaption", {}, caption),
  );
  el.append(element("div", { class: "ex-widget" }, figure));
  /** @type {Load} */
  const load = (kind, name) => {
    const text = model.get("data")[`${kind} ${name}`];
    return text
      ? Promise.resolve(JSON.parse(text))
      : Promise.reject(new Error(missing(kind, name)));
  };
  const mounted = mountExplorer(root, {
    ...options,
    load,
    state: model.get("state") || undefined,
    onState(/** @type {string} */ state) {
      if (state === model.get("state")) return;
      model.set("state", state);
      model.save_changes();
    },
  });
  // The notebook can read the state before the reader changes anything.
  if (!model.get("state")) {
    model.set("state", mounted.state());
    model.save_changes();
  }
  const follow = () => {
    const state = model.get("state");
    if (state !== mounted.state()) mounted.setState(state);
  };
  model.on("change:state", follow);
  return () => {
    model.off("change:state", follow);
    mounted.destroy();
    el.replaceChildren();
  };
}

/**
 * A function that returns data set by scripts of the page; with a folder, it loads the script that
 * is missing.
 * @param {URL | null} folder
 * @returns {Load}
 */
function pageLoader(folder) {
  /** @type {Map<string, Promise<object>>} */
  const asked = new Map();
  return (kind, name) => {
    const key = `${kind} ${name}`;
    const known = asked.get(key) ?? dataFromPage(kind, name, folder);
    asked.set(key, known);
    // A failed request can be repeated, for example when the network is back.
    known.catch(() => asked.delete(key));
    return known;
  };
}

/**
 * @param {string} kind
 * @param {string} name
 * @param {URL | null} folder
 * @returns {Promise<object>}
 */
function dataFromPage(kind, name, folder) {
  const present = () => /** @type {any} */ (globalThis).explorerData?.[`${kind} ${name}`];
  if (present()) return Promise.resolve(present());
  if (!folder) return Promise.reject(new Error(missing(kind, name)));
  const file = `${encodeURIComponent(name)}${kind === "model" ? "" : `-${kind}`}.js`;
  return new Promise((resolve, reject) => {
    const fail = () => reject(new Error(missing(kind, name)));
    const script = element("script", {
      src: new URL(file, folder).href,
      onload: () => (present() ? resolve(present()) : fail()),
      onerror: fail,
    });
    document.head.append(script);
  });
}

/**
 * @param {string} kind
 * @param {string} name
 */
function missing(kind, name) {
  return kind === "snapshots"
    ? `This page does not have the training snapshots of ${name}.`
    : `This page does not have the weights of ${name}.`;
}

/** Milliseconds after the last change until the address has it: browsers limit how often it changes. */
const ADDRESS_PAUSE = 300;
let addressTimer = 0;

/**
 * Put a state into the address of the page, without a step in its history.
 * @param {string} address
 * @param {string} state
 */
function keepState(address, state) {
  clearTimeout(addressTimer);
  addressTimer = window.setTimeout(
    () => history.replaceState(history.state, "", `#${address}=${state}`),
    ADDRESS_PAUSE,
  );
}

/** The state in the address of the page, or null. */
function linkedState() {
  const found = /^#(explorer(?:-\d+)?)=(.*)$/.exec(location.hash);
  if (!found) return null;
  try {
    return { address: found[1], state: decodeURIComponent(found[2]) };
  } catch {
    return { address: found[1], state: found[2] };
  }
}
