// @ts-check
/** The sizes of an attention-only model, and its weights as views into one array. */

/** @typedef {import("./products.js").Floats} Floats */

/**
 * `layerNorm`: in front of each layer and of the unembedding. `smeared`: each key is mixed with the
 * one before it, by one learned number per head.
 * @typedef {{
 *   nLayers: number, nHeads: number, dModel: number, dHead: number, dVocab: number, nCtx: number,
 *   layerNorm: boolean, smeared: boolean,
 * }} Sizes
 */

/**
 * Weights by the names and in the shapes of the PyTorch model: `W_E`, `layers.0.W_Q`, …
 * `bosToken` is the token with which its rows begin, or null.
 * @typedef {{sizes: Sizes, weights: Record<string, Floats>, bosToken: number | null}} Model
 */

/** A head: its layer and its place in the layer.
 * @typedef {[number, number]} Head
 */

/**
 * Names and shapes of all weights, in the order in which they are stored.
 * @param {Sizes} sizes
 * @returns {[string, number[]][]}
 */
export function weightShapes(sizes) {
  const { nLayers, nHeads, dModel, dHead, dVocab, nCtx, layerNorm, smeared } = sizes;
  /** @type {[string, number[]][]} */
  const shapes = [
    ["W_E", [dVocab, dModel]],
    ["W_pos", [nCtx, dModel]],
    ["W_U", [dModel, dVocab]],
  ];
  for (let layer = 0; layer < nLayers; layer++) {
    for (const name of ["W_Q", "W_K", "W_V"]) {
      shapes.push([`layers.${layer}.${name}`, [nHeads, dModel, dHead]]);
    }
    shapes.push([`layers.${layer}.W_O`, [nHeads, dHead, dModel]]);
    if (smeared) shapes.push([`layers.${layer}.alpha`, [nHeads]]);
    if (layerNorm) shapes.push(...normShapes(`layers.${layer}.`, dModel));
  }
  if (layerNorm) shapes.push(...normShapes("", dModel));
  return shapes;
}

/**
 * @param {string} where
 * @param {number} dModel
 * @returns {[string, number[]][]}
 */
function normShapes(where, dModel) {
  return [
    [`${where}norm.weight`, [dModel]],
    [`${where}norm.bias`, [dModel]],
  ];
}

/**
 * The number of parameters of a model of these sizes.
 * @param {Sizes} sizes
 */
export function weightCount(sizes) {
  return weightShapes(sizes).reduce((total, [, shape]) => total + product(shape), 0);
}

/**
 * A model whose weights are views into `flat`: a change of one is a change of the other.
 * Throws a RangeError if the array has another length.
 * @param {Floats} flat
 * @param {Sizes} sizes
 * @param {number | null} [bosToken]
 * @returns {Model}
 */
export function modelIn(flat, sizes, bosToken = null) {
  const count = weightCount(sizes);
  if (flat.length !== count) {
    throw new RangeError(`Got ${flat.length} numbers; these sizes need ${count}.`);
  }
  /** @type {Record<string, Floats>} */
  const weights = {};
  let start = 0;
  for (const [name, shape] of weightShapes(sizes)) {
    weights[name] = flat.subarray(start, start + product(shape));
    start += product(shape);
  }
  return { sizes, weights, bosToken };
}

/** @param {number[]} shape */
function product(shape) {
  return shape.reduce((total, size) => total * size, 1);
}
