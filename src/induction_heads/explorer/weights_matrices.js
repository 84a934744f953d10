// @ts-check
/**
 * Circuits of heads, computed from the weights, as in `induction_heads.interp.circuits` and
 * `induction_heads.interp.composition`: the plain weights, without layer norm, positions and scale.
 */

import { addProduct, matrix, newLike, transposed } from "./products.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./products.js").Matrix} Matrix */
/** @typedef {import("./sizes.js").Model} Model */
/** @typedef {import("./sizes.js").Head} Head */

/**
 * How strongly a head's query at one token matches its key at another: W_E W_Q W_Kᵀ W_Eᵀ.
 * @param {Model} model
 * @param {Head} head
 * @returns {Floats} `[query token, key token]`
 */
export function qkCircuit(model, head) {
  const W_E = embedding(model);
  const queries = times(W_E, weightOf(model, "Q", head)),
    keys = times(W_E, weightOf(model, "K", head));
  return times(queries, transposed(keys)).data;
}

/**
 * What attending to a token does to the logit of each token: W_E W_V W_O W_U.
 * @param {Model} model
 * @param {Head} head
 * @returns {Floats} `[attended token, predicted token]`
 */
export function ovCircuit(model, head) {
  const { dModel, dVocab } = model.sizes;
  const write = times(weightOf(model, "O", head), matrix(model.weights.W_U, dModel, dVocab));
  return times(times(embedding(model), weightOf(model, "V", head)), write).data;
}

/**
 * How well a token as query matches a token that an earlier head moved to the key:
 * W_E W_Q W_Kᵀ (W_E W_V W_O)ᵀ, with W_V W_O of `previous`. Throws a RangeError unless `previous` is
 * in an earlier layer.
 * @param {Model} model
 * @param {Head} previous
 * @param {Head} head
 * @returns {Floats} `[query token, moved token]`
 */
export function kComposedQkCircuit(model, previous, head) {
  mustBeEarlier(previous, head);
  const W_E = embedding(model);
  const moved = times(times(W_E, weightOf(model, "V", previous)), weightOf(model, "O", previous));
  const queries = times(W_E, weightOf(model, "Q", head));
  return times(queries, transposed(times(moved, weightOf(model, "K", head)))).data;
}

/**
 * How much of what an earlier head writes the keys of a later one read, from 0 to 1:
 * ‖W_V W_O W_K W_Qᵀ‖ / (‖W_V W_O‖ ‖W_K W_Qᵀ‖), with Frobenius norms. 0 if one of them is zero.
 * Throws a RangeError unless `previous` is in an earlier layer.
 * @param {Model} model
 * @param {Head} previous
 * @param {Head} head
 */
export function kCompositionScore(model, previous, head) {
  mustBeEarlier(previous, head);
  const written = times(weightOf(model, "V", previous), weightOf(model, "O", previous));
  const read = times(weightOf(model, "K", head), transposed(weightOf(model, "Q", head)));
  const norms = frobenius(written) * frobenius(read);
  return norms ? frobenius(times(written, read)) / norms : 0;
}

/**
 * All heads of earlier layers with their K-composition scores, the highest first.
 * @param {Model} model
 * @param {Head} head
 * @returns {{head: Head, score: number}[]}
 */
export function composedWith(model, head) {
  const { nHeads } = model.sizes;
  return Array.from({ length: head[0] * nHeads }, (_, i) => {
    /** @type {Head} */
    const earlier = [Math.floor(i / nHeads), i % nHeads];
    return { head: earlier, score: kCompositionScore(model, earlier, head) };
  }).sort((a, b) => b.score - a.score);
}

/**
 * The share of rows whose largest entry is on the diagonal. By chance one in `size`.
 * @param {ArrayLike<number>} values a square table, row after row
 * @param {number} size
 */
export function diagonalShare(values, size) {
  let count = 0;
  for (let row = 0; row < size; row++) {
    let best = 0;
    for (let column = 1; column < size; column++) {
      if (values[row * size + column] > values[row * size + best]) best = column;
    }
    count += +(best === row);
  }
  return count / size;
}

/**
 * @param {Head} previous
 * @param {Head} head
 */
function mustBeEarlier(previous, head) {
  if (previous[0] < head[0]) return;
  throw new RangeError(
    `L${previous[0]}H${previous[1]} is not in an earlier layer than L${head[0]}H${head[1]}.`,
  );
}

/** @param {Model} model */
function embedding({ weights, sizes }) {
  return matrix(weights.W_E, sizes.dVocab, sizes.dModel);
}

/**
 * @param {Model} model
 * @param {"Q" | "K" | "V" | "O"} side
 * @param {Head} head
 */
function weightOf({ weights, sizes }, side, [layer, head]) {
  const { dModel, dHead, nLayers, nHeads } = sizes;
  if (!(layer >= 0 && layer < nLayers && head >= 0 && head < nHeads)) {
    throw new RangeError(`There is no L${layer}H${head} in ${nLayers} layers of ${nHeads} heads.`);
  }
  const [rows, columns] = side === "O" ? [dHead, dModel] : [dModel, dHead];
  return matrix(weights[`layers.${layer}.W_${side}`], rows, columns, head * dModel * dHead);
}

/**
 * @param {Matrix} left
 * @param {Matrix} right
 */
function times(left, right) {
  const out = matrix(newLike(left.data, left.rows * right.columns), left.rows, right.columns);
  addProduct(out, left, right);
  return out;
}

/** @param {Matrix} whole a matrix that fills its array */
function frobenius({ data }) {
  let square = 0;
  for (let i = 0; i < data.length; i++) square += data[i] * data[i];
  return Math.sqrt(square);
}
