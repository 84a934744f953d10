// @ts-check
/** The paths by which sources reach one logit: what heads add to it, and what earlier heads do for them. */

import { contributions } from "./contributions.js";
import { run } from "./model.js";

/** @typedef {import("./sizes.js").Model} Model */
/** @typedef {import("./sizes.js").Head} Head */
/** @typedef {import("./model.js").Run} Run */
/** @typedef {import("./interventions.js").Interventions} Interventions */
/** @typedef {"Q" | "K" | "V"} Side */

/**
 * An arrow from position `from` to position `to` through `head`. Without a `receiver` the head adds
 * `strength` to the logit from there. With one, the head's output at `to` enters that `side` of it, and
 * `strength` is the product of its weight on `from`, of what the logit loses if the whole path is cut
 * (`effect`), and of the receiver's use of position `to`: 1 for the query, or the share of what the
 * receiver adds that comes from that key.
 * @typedef {{
 *   head: Head, from: number, to: number, strength: number, receiver: Head | null, side: Side | null,
 *   effect: number, cut: boolean,
 * }} CircuitArrow
 */

/** @typedef {{sender: Head, receiver: Head, side: Side}} CircuitPath */

/**
 * What the logit of `token` at `query` loses if what a head of layer 0 writes is cut from one side of a
 * head of layer 1, for each pair and side: the logit above the mean logit of all tokens. A path that
 * `change` cuts has what it would lose with no path cut.
 * @param {Model} model of two layers
 * @param {number[]} tokens
 * @param {number} query
 * @param {number} token
 * @param {Interventions} change
 * @returns {(CircuitPath & {effect: number, cut: boolean})[]}
 */
export function pathEffects(model, tokens, query, token, change) {
  const { nHeads } = model.sizes,
    cuts = change.cut ?? [];
  const logit = (/** @type {CircuitPath[]} */ cut) =>
    logitAboveMean(run(model, tokens, { ...change, cut }), query, token);
  const now = logit(cuts),
    whole = cuts.length ? logit([]) : now;
  const effects = [];
  for (let from = 0; from < nHeads; from++) {
    for (let to = 0; to < nHeads; to++) {
      for (const side of /** @type {Side[]} */ (["Q", "K", "V"])) {
        const sender = /** @type {Head} */ ([0, from]),
          receiver = /** @type {Head} */ ([1, to]),
          path = { sender, receiver, side };
        const cut = cuts.some((one) => nameOfPath(one) === nameOfPath(path));
        const effect = cut ? whole - logit([path]) : now - logit([...cuts, path]);
        effects.push({ ...path, effect, cut });
      }
    }
  }
  return effects;
}

/** @param {CircuitPath} path */
function nameOfPath({ sender, receiver, side }) {
  return `${sender} ${receiver} ${side}`;
}

/**
 * @param {Run} out
 * @param {number} query
 * @param {number} token
 */
function logitAboveMean({ logits, tokens }, query, token) {
  const dVocab = logits.length / tokens.length,
    own = logits.subarray(query * dVocab, (query + 1) * dVocab);
  let sum = 0;
  for (let i = 0; i < dVocab; i++) sum += own[i];
  return own[token] - sum / dVocab;
}

/**
 * All arrows into the logit of `token` at `query`. A path that `change` cuts keeps the arrow that it has
 * with no path cut. Throws a RangeError for a model of more than two layers.
 * @param {Model} model
 * @param {number[]} tokens
 * @param {number} query
 * @param {number} token
 * @param {Interventions} [change]
 * @returns {CircuitArrow[]}
 */
export function circuitArrows(model, tokens, query, token, change = {}) {
  const { nLayers } = model.sizes,
    nPos = tokens.length;
  if (nLayers > 2) {
    throw new RangeError(`Paths through ${nLayers} layers are not drawn; two is the most.`);
  }
  /** @param {Interventions} made */
  const partsOf = (made) => {
    const out = run(model, tokens, made);
    return { out, heads: contributions(model, out, query, token, made).heads };
  };
  const now = partsOf(change),
    whole = change.cut?.length ? partsOf({ ...change, cut: [] }) : now;
  /** @type {CircuitArrow[]} */
  const arrows = now.heads.flatMap(({ head, bySource }) =>
    Array.from(bySource, (strength, from) => ({
      ...{ head, from, to: query, strength, effect: strength },
      ...{ receiver: null, side: null, cut: false },
    })),
  );
  if (nLayers < 2) return arrows;
  for (const path of pathEffects(model, tokens, query, token, change)) {
    const { sender, receiver, side, effect, cut } = path,
      { out, heads } = cut ? whole : now;
    const reader = heads.find(({ head }) => head.join() === receiver.join());
    const uses = side === "Q" ? [[query, 1]] : sharesOf(reader?.bySource ?? []);
    for (const [to, share] of uses) {
      for (let from = 0; from <= to; from++) {
        const weight = out.patterns[0][(sender[1] * nPos + to) * nPos + from];
        const strength = weight * effect * share;
        arrows.push({ head: sender, from, to, strength, effect, receiver, side, cut });
      }
    }
  }
  return arrows;
}

/**
 * Positions with their share of the sizes of what they add.
 * @param {ArrayLike<number>} bySource
 */
function sharesOf(bySource) {
  const sizes = Array.from(bySource, Math.abs),
    all = sizes.reduce((sum, size) => sum + size, 0);
  return all ? sizes.map((size, key) => [key, size / all]) : [];
}
