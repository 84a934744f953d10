// @ts-check
/** What each part of the model adds to one logit at one query. */

import { moments } from "./model.js";
import { newLike } from "./products.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./sizes.js").Model} Model */
/** @typedef {import("./sizes.js").Head} Head */

/**
 * `bySource` has an entry for each key: pattern × value × W_O × W_U. A head that is switched off
 * has 0 for every key; a mean that replaces it counts only in `total`.
 * @typedef {{head: Head, bySource: Floats, total: number}} FromHead
 */

/**
 * The parts of one logit; they add up to it. `bias` comes from the bias of the last layer norm.
 * @typedef {{
 *   token: number, logit: number, embedding: number, position: number, bias: number,
 *   heads: FromHead[],
 * }} Contributions
 */

/**
 * What each head adds from each source position for the logit of `token` at `query`.
 *
 * With layer norm, each part is scaled as the whole residual stream was at that query.
 * @param {Model} model
 * @param {import("./model.js").Run} out a run of this model
 * @param {number} query
 * @param {number} token
 * @param {import("./interventions.js").Interventions} [change] the change of that run
 * @returns {Contributions}
 */
export function contributions(model, out, query, token, change = {}) {
  const { sizes, weights } = model;
  const { nHeads, dModel, dHead, dVocab } = sizes,
    nPos = out.tokens.length;
  if (!(query >= 0 && query < nPos && token >= 0 && token < dVocab)) {
    throw new RangeError(
      `Got query ${query} of ${nPos} positions and token ${token} of ${dVocab} ids.`,
    );
  }
  const { direction, bias } = readOut(model, out, query, token);
  /** @type {FromHead[]} */
  const heads = [];
  out.patterns.forEach((patterns, layer) => {
    for (let head = 0; head < nHeads; head++) {
      const W_O = weights[`layers.${layer}.W_O`];
      const towards = newLike(W_O, dHead);
      for (let d = 0; d < dHead; d++) towards[d] = dot(W_O, (head * dHead + d) * dModel, direction);
      const bySource = newLike(W_O, query + 1);
      const off = change.off?.some(({ head: [l, h] }) => l === layer && h === head);
      for (let key = 0; key <= query && !off; key++) {
        const value = dot(out.values[layer], (head * nPos + key) * dHead, towards);
        bySource[key] = patterns[(head * nPos + query) * nPos + key] * value;
      }
      const total = dot(out.z[layer], (head * nPos + query) * dHead, towards);
      heads.push({ head: [layer, head], bySource, total });
    }
  });
  return {
    token,
    logit: out.logits[query * dVocab + token],
    embedding: dot(weights.W_E, out.tokens[query] * dModel, direction),
    position: dot(weights.W_pos, query * dModel, direction),
    bias,
    heads,
  };
}

/**
 * The direction of the residual stream whose dot product is the logit, up to `bias`.
 * @param {Model} model
 * @param {import("./model.js").Run} out
 * @param {number} query
 * @param {number} token
 */
function readOut(model, out, query, token) {
  const { dModel, dVocab, layerNorm } = model.sizes,
    { W_U } = model.weights;
  const direction = newLike(W_U, dModel);
  for (let i = 0; i < dModel; i++) direction[i] = W_U[i * dVocab + token];
  if (!layerNorm) return { direction, bias: 0 };
  const bias = dot(model.weights["norm.bias"], 0, direction);
  const last = out.residuals[out.residuals.length - 1];
  const { scale } = moments(last, query * dModel, dModel);
  for (let i = 0; i < dModel; i++) direction[i] *= model.weights["norm.weight"][i] * scale;
  // Layer norm subtracts the mean. Subtracting it from the direction is equivalent.
  let mean = 0;
  for (const value of direction) mean += value / dModel;
  return { direction: direction.map((value) => value - mean), bias };
}

/**
 * @param {Floats} data
 * @param {number} start
 * @param {Floats} direction
 */
function dot(data, start, direction) {
  let sum = 0;
  for (let i = 0; i < direction.length; i++) sum += data[start + i] * direction[i];
  return sum;
}
