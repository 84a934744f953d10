// @ts-check
/** The mean loss of a batch and its gradient, by a backward pass written by hand (no layer norm). */

import { attendBackward } from "./attention_gradient.js";
import { smear, writeMixed, writePattern } from "./attention.js";
import { addProduct, addTransposedProduct, matrix, newLike, transposed } from "./products.js";
import { modelIn, weightCount } from "./sizes.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./products.js").Matrix} Matrix */
/** @typedef {import("./sizes.js").Sizes} Sizes */
/** @typedef {import("./sizes.js").Model} Model */

/**
 * What one layer stores for the backward pass. All but `patterns` are `[row and pos, head and d_head]`.
 * @typedef {{q: Floats, k: Floats, plainK: Floats, v: Floats, z: Floats, patterns: Floats}} LayerMemory
 */

/**
 * Memory that every step reuses, and `gradient`, the model-shaped result of the last backward.
 * @typedef {{
 *   sizes: Sizes, batch: number, nPos: number, flatGradient: Floats, gradient: Model,
 *   layers: LayerMemory[], residuals: Floats[], logits: Floats, dResidual: Floats, dZ: Floats,
 *   dSides: Record<"Q" | "K" | "V", Floats>, byToken: Floats, byPosition: Floats, turned: Floats,
 * }} Workspace
 */

const SIDES = /** @type {const} */ (["Q", "K", "V"]);

/**
 * Memory for batches of this shape, in arrays of the type of `like`. Throws a RangeError for layer norm.
 * @param {Sizes} sizes
 * @param {number} batch
 * @param {number} nPos
 * @param {Floats} like
 * @returns {Workspace}
 */
export function workspaceFor(sizes, batch, nPos, like) {
  const { nLayers, nHeads, dModel, dHead, dVocab, nCtx } = sizes;
  if (sizes.layerNorm) throw new RangeError("Models with layer norm cannot be trained here.");
  if (!(nPos >= 2 && nPos <= nCtx)) {
    throw new RangeError(`Got rows of ${nPos} tokens; this model trains on 2 to ${nCtx}.`);
  }
  const rows = batch * nPos,
    width = nHeads * dHead;
  const zeros = /** @param {number} length */ (length) => newLike(like, length);
  const flatGradient = zeros(weightCount(sizes));
  const largest = Math.max(dModel * dVocab, dModel * width);
  return {
    sizes,
    batch,
    nPos,
    flatGradient,
    gradient: modelIn(flatGradient, sizes),
    layers: Array.from({ length: nLayers }, () => ({
      q: zeros(rows * width),
      k: zeros(rows * width),
      plainK: zeros(sizes.smeared ? rows * width : 0),
      v: zeros(rows * width),
      z: zeros(rows * width),
      patterns: zeros(batch * nHeads * nPos * nPos),
    })),
    residuals: Array.from({ length: nLayers + 1 }, () => zeros(rows * dModel)),
    logits: zeros(rows * dVocab),
    dResidual: zeros(rows * dModel),
    dZ: zeros(rows * width),
    dSides: { Q: zeros(rows * width), K: zeros(rows * width), V: zeros(rows * width) },
    byToken: zeros(dVocab * width),
    byPosition: zeros(nPos * width),
    turned: zeros(largest),
  };
}

/**
 * The mean next-token loss of a batch in nats. Its gradient is then in `work.gradient`.
 * @param {Model} model
 * @param {ArrayLike<number>} tokens `[row, pos]`
 * @param {Workspace} work
 * @returns {number}
 */
export function lossAndGradient(model, tokens, work) {
  const { nLayers, dModel, dVocab } = work.sizes,
    rows = work.batch * work.nPos;
  forward(model, tokens, work);
  const loss = lossGradient(work.logits, tokens, work);
  work.flatGradient.fill(0);
  const dLogits = matrix(work.logits, rows, dVocab);
  const W_U = matrix(model.weights.W_U, dModel, dVocab);
  const dResidual = matrix(work.dResidual, rows, dModel);
  work.dResidual.fill(0);
  const dW_U = matrix(work.gradient.weights.W_U, dModel, dVocab);
  addTransposedProduct(dW_U, matrix(work.residuals[nLayers], rows, dModel), dLogits);
  addProduct(dResidual, dLogits, transposed(W_U, work.turned));
  for (let layer = nLayers - 1; layer >= 0; layer--) layerBackward(model, tokens, work, layer);
  scatter(
    work.dResidual,
    dModel,
    tokens,
    work,
    work.gradient.weights.W_E,
    work.gradient.weights.W_pos,
  );
  return loss;
}

/**
 * @param {Model} model
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 */
function forward(model, tokens, work) {
  const { sizes, batch, nPos } = work,
    { weights } = model;
  const { nLayers, nHeads, dModel, dHead, dVocab } = sizes;
  const rows = batch * nPos,
    width = nHeads * dHead;
  work.residuals[0].fill(0);
  gather(work.residuals[0], dModel, tokens, work, weights.W_E, weights.W_pos);
  for (let layer = 0; layer < nLayers; layer++) {
    const memory = work.layers[layer],
      x = matrix(work.residuals[layer], rows, dModel);
    for (const side of SIDES) {
      const out = side === "Q" ? memory.q : side === "K" ? memory.k : memory.v;
      project(model, layer, side, x, tokens, work, out);
    }
    if (sizes.smeared) memory.plainK.set(memory.k);
    for (let row = 0; row < batch; row++) {
      for (let head = 0; head < nHeads; head++) {
        const start = row * nPos * width + head * dHead,
          at = (row * nHeads + head) * nPos * nPos;
        const k = { data: memory.k, start, stride: width };
        if (sizes.smeared) smear(k, weights[`layers.${layer}.alpha`][head], nPos, dHead);
        writePattern(memory.patterns, at, { data: memory.q, start, stride: width }, k, nPos, dHead);
        const v = { data: memory.v, start, stride: width };
        writeMixed({ data: memory.z, start, stride: width }, memory.patterns, at, v, nPos, dHead);
      }
    }
    work.residuals[layer + 1].set(work.residuals[layer]);
    const after = matrix(work.residuals[layer + 1], rows, dModel);
    addProduct(
      after,
      matrix(memory.z, rows, width),
      matrix(weights[`layers.${layer}.W_O`], width, dModel),
    );
  }
  work.logits.fill(0);
  const last = matrix(work.residuals[nLayers], rows, dModel);
  addProduct(matrix(work.logits, rows, dVocab), last, matrix(weights.W_U, dModel, dVocab));
}

/**
 * Queries, keys or values of one layer, heads concatenated.
 *
 * The input of layer 0 is a token's row plus a position's row. So each token and each position is
 * projected only once, and the two are added: far fewer products than one for each row of the batch.
 * @param {Model} model
 * @param {number} layer
 * @param {"Q" | "K" | "V"} side
 * @param {Matrix} x
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 * @param {Floats} out
 */
function project(model, layer, side, x, tokens, work, out) {
  const { nHeads, dModel, dHead, dVocab } = work.sizes,
    width = nHeads * dHead;
  const W = model.weights[`layers.${layer}.W_${side}`];
  /** @param {Floats} into @param {Matrix} input */
  const allHeads = (into, input) => {
    into.fill(0);
    for (let head = 0; head < nHeads; head++) {
      const columns = matrix(into, input.rows, dHead, head * dHead, width);
      addProduct(columns, input, matrix(W, dModel, dHead, head * dModel * dHead));
    }
  };
  if (layer > 0) {
    allHeads(out, x);
    return;
  }
  allHeads(work.byToken, matrix(model.weights.W_E, dVocab, dModel));
  allHeads(work.byPosition, matrix(model.weights.W_pos, work.nPos, dModel));
  out.fill(0);
  gather(out, width, tokens, work, work.byToken, work.byPosition);
}

/**
 * Add to each row of `out` the row of its token and the row of its position.
 * @param {Floats} out
 * @param {number} width
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 * @param {Floats} byToken
 * @param {Floats} byPosition
 */
function gather(out, width, tokens, { batch, nPos }, byToken, byPosition) {
  for (let row = 0; row < batch * nPos; row++) {
    const to = row * width,
      token = tokens[row] * width,
      position = (row % nPos) * width;
    for (let i = 0; i < width; i++) out[to + i] += byToken[token + i] + byPosition[position + i];
  }
}

/**
 * The transpose of `gather`: add each row to the row of its token and to the row of its position.
 * @param {Floats} rows
 * @param {number} width
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 * @param {Floats} byToken
 * @param {Floats} byPosition
 */
function scatter(rows, width, tokens, { batch, nPos }, byToken, byPosition) {
  for (let row = 0; row < batch * nPos; row++) {
    const from = row * width,
      token = tokens[row] * width,
      position = (row % nPos) * width;
    for (let i = 0; i < width; i++) {
      byToken[token + i] += rows[from + i];
      byPosition[position + i] += rows[from + i];
    }
  }
}

/**
 * The mean loss; the logits are replaced by its gradient, (softmax − one-hot) / number of losses.
 * @param {Floats} logits
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 */
function lossGradient(logits, tokens, { sizes, batch, nPos }) {
  const { dVocab } = sizes,
    count = batch * (nPos - 1);
  let loss = 0;
  for (let row = 0; row < batch * nPos; row++) {
    const start = row * dVocab,
      end = start + dVocab;
    if (row % nPos === nPos - 1) {
      logits.fill(0, start, end); // The last token of a row has no next one.
      continue;
    }
    let highest = -Infinity,
      total = 0;
    for (let i = start; i < end; i++) if (logits[i] > highest) highest = logits[i];
    const next = start + tokens[row + 1],
      ofNext = logits[next] - highest;
    for (let i = start; i < end; i++) {
      const weight = Math.exp(logits[i] - highest);
      logits[i] = weight;
      total += weight;
    }
    loss += Math.log(total) - ofNext;
    const scale = 1 / (total * count);
    for (let i = start; i < end; i++) logits[i] *= scale;
    logits[next] -= 1 / count;
  }
  return loss / count;
}

/**
 * From the gradient after a layer, in `work.dResidual`, to the gradient before it, in its place.
 * @param {Model} model
 * @param {ArrayLike<number>} tokens
 * @param {Workspace} work
 * @param {number} layer
 */
function layerBackward(model, tokens, work, layer) {
  const { sizes, batch, nPos, dSides } = work,
    { nHeads, dModel, dHead } = sizes;
  const rows = batch * nPos,
    width = nHeads * dHead,
    memory = work.layers[layer];
  const own = `layers.${layer}.`;
  const dResidual = matrix(work.dResidual, rows, dModel);
  const dW_O = matrix(work.gradient.weights[`${own}W_O`], width, dModel);
  addTransposedProduct(dW_O, matrix(memory.z, rows, width), dResidual);
  work.dZ.fill(0);
  const W_O = matrix(model.weights[`${own}W_O`], width, dModel);
  addProduct(matrix(work.dZ, rows, width), dResidual, transposed(W_O, work.turned));
  for (const side of SIDES) dSides[side].fill(0);
  const alpha = model.weights[`${own}alpha`],
    dAlpha = work.gradient.weights[`${own}alpha`];
  for (let row = 0; row < batch; row++) {
    for (let head = 0; head < nHeads; head++) {
      const where = { start: row * nPos * width + head * dHead, stride: width, nPos, dHead };
      const at = (row * nHeads + head) * nPos * nPos;
      const alphaOfHead = sizes.smeared ? alpha[head] : null;
      const change = attendBackward(memory, at, work.dZ, dSides, where, alphaOfHead);
      if (sizes.smeared) dAlpha[head] += change;
    }
  }
  for (const side of SIDES) {
    const W = model.weights[`${own}W_${side}`],
      dW = work.gradient.weights[`${own}W_${side}`];
    if (layer > 0) {
      projectBackward(
        W,
        dW,
        matrix(work.residuals[layer], rows, dModel),
        dResidual,
        dSides[side],
        work,
      );
      continue;
    }
    const { W_E, W_pos } = model.weights,
      gradient = work.gradient.weights,
      { dVocab } = sizes;
    work.byToken.fill(0);
    work.byPosition.fill(0);
    scatter(dSides[side], width, tokens, work, work.byToken, work.byPosition);
    const tokenRows = matrix(W_E, dVocab, dModel),
      dTokens = matrix(gradient.W_E, dVocab, dModel);
    projectBackward(W, dW, tokenRows, dTokens, work.byToken, work);
    const positions = matrix(W_pos, nPos, dModel),
      dPositions = matrix(gradient.W_pos, nPos, dModel);
    projectBackward(W, dW, positions, dPositions, work.byPosition, work);
  }
}

/**
 * Through out = input · W of every head: dW += inputᵀ · dOut and dInput += dOut · Wᵀ.
 * @param {Floats} W
 * @param {Floats} dW
 * @param {Matrix} input
 * @param {Matrix} dInput
 * @param {Floats} dOut all heads side by side
 * @param {Workspace} work
 */
function projectBackward(W, dW, input, dInput, dOut, { sizes, turned }) {
  const { nHeads, dModel, dHead } = sizes;
  for (let head = 0; head < nHeads; head++) {
    const columns = matrix(dOut, input.rows, dHead, head * dHead, nHeads * dHead);
    const at = head * dModel * dHead;
    addTransposedProduct(matrix(dW, dModel, dHead, at), input, columns);
    addProduct(dInput, columns, transposed(matrix(W, dModel, dHead, at), turned));
  }
}
