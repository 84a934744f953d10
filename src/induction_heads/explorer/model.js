// @ts-check
/** The forward pass of an attention-only model on one row of tokens, with or without a change. */

import { smear, writeMixed, writePattern } from "./attention.js";
import { knockOutStripes, mustApply } from "./interventions.js";
import { addProduct, matrix, newLike } from "./products.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./sizes.js").Model} Model */
/** @typedef {import("./interventions.js").Interventions} Interventions */

/**
 * The result of a forward pass. Arrays are flat in row-major order; lists have one entry per layer.
 *
 * - `logits` `[pos, d_vocab]`; `losses` `[pos − 1]` in nats: entry i is the loss on token i + 1.
 * - `patterns` `[head, query, key]`; `values` and `z` `[head, pos, d_head]`.
 * - `residuals` `[pos, d_model]`: before each layer, and after the last one.
 *
 * @typedef {{
 *   tokens: number[], logits: Floats, losses: Floats, patterns: Floats[], values: Floats[],
 *   z: Floats[], residuals: Floats[],
 * }} Run
 */

const LAYER_NORM_EPSILON = 1e-5; // of PyTorch's layer norm

/**
 * Run the model on one row of tokens. Throws a RangeError for tokens or a change that do not fit.
 * @param {Model} model
 * @param {ArrayLike<number>} tokens
 * @param {Interventions} [change]
 * @returns {Run}
 */
export function run(model, tokens, change = {}) {
  const { sizes, weights } = model;
  const { nLayers, nHeads, dModel, dHead, dVocab } = sizes;
  const row = Array.from(tokens),
    nPos = row.length;
  mustBeTokens(row, sizes);
  mustApply(change, sizes, nPos);
  const zeros = /** @param {number} length */ (length) => newLike(weights.W_E, length);
  /** @type {Run} */
  const out = {
    tokens: row,
    logits: zeros(nPos * dVocab),
    losses: zeros(nPos - 1),
    patterns: [],
    values: [],
    z: [],
    residuals: [embedded(model, row)],
  };
  for (let layer = 0; layer < nLayers; layer++) {
    const residual = out.residuals[layer];
    const x = normalized(model, residual, `layers.${layer}.`);
    const q = projected(model, layer, "Q", x, out, change);
    const k = projected(model, layer, "K", x, out, change);
    const v = projected(model, layer, "V", x, out, change);
    const patterns = zeros(nHeads * nPos * nPos),
      z = zeros(nHeads * nPos * dHead);
    const frozen = change.frozen?.[layer];
    for (let head = 0; head < nHeads; head++) {
      const start = head * nPos * dHead,
        at = head * nPos * nPos;
      /** @param {Floats} data */
      const rows = (data) => ({ data, start, stride: dHead });
      if (frozen) patterns.set(frozen.subarray(at, at + nPos * nPos), at);
      else {
        if (sizes.smeared) smear(rows(k), weights[`layers.${layer}.alpha`][head], nPos, dHead);
        writePattern(patterns, at, rows(q), rows(k), nPos, dHead);
      }
      for (const knocked of change.knockout ?? []) {
        if (is(knocked.head, layer, head)) knockOutStripes(patterns, at, row);
      }
      const replaced = (change.off ?? []).find((off) => is(off.head, layer, head));
      if (!replaced) writeMixed(rows(z), patterns, at, rows(v), nPos, dHead);
      else if (replaced.how === "mean") {
        const means = /** @type {Floats[]} */ (change.means)[layer];
        z.set(means.subarray(start, start + nPos * dHead), start);
      }
    }
    const after = residual.slice();
    for (let head = 0; head < nHeads; head++) addWritten(model, z, layer, head, after);
    out.patterns.push(patterns);
    out.values.push(v);
    out.z.push(z);
    out.residuals.push(after);
  }
  const last = matrix(normalized(model, out.residuals[nLayers], ""), nPos, dModel);
  addProduct(matrix(out.logits, nPos, dVocab), last, matrix(weights.W_U, dModel, dVocab));
  for (let pos = 0; pos + 1 < nPos; pos++) {
    const own = out.logits.subarray(pos * dVocab, (pos + 1) * dVocab);
    out.losses[pos] = logSumExp(own) - own[row[pos + 1]];
  }
  return out;
}

/**
 * The mean z of every head over rows of equal length, for `means`: `[head, pos, d_head]` per layer.
 * @param {Model} model
 * @param {ArrayLike<number>[]} rows
 * @returns {Floats[]}
 */
export function meanMixed(model, rows) {
  if (!rows.length || rows.some((row) => row.length !== rows[0].length)) {
    throw new RangeError("A mean needs at least one row, and rows of equal length.");
  }
  const { nLayers, nHeads, dHead } = model.sizes;
  const length = nHeads * rows[0].length * dHead;
  const sums = Array.from({ length: nLayers }, () => new Float64Array(length));
  for (const row of rows) {
    run(model, row).z.forEach((z, layer) => {
      for (let i = 0; i < length; i++) sums[layer][i] += z[i];
    });
  }
  return sums.map((sum) => {
    const mean = newLike(model.weights.W_E, length);
    for (let i = 0; i < length; i++) mean[i] = sum[i] / rows.length;
    return mean;
  });
}

/**
 * The probability of each next token at one position.
 * @param {Run} out
 * @param {number} pos
 * @returns {Floats}
 */
export function probabilities(out, pos) {
  const dVocab = out.logits.length / out.tokens.length;
  const logits = out.logits.subarray(pos * dVocab, (pos + 1) * dVocab);
  const total = logSumExp(logits);
  return logits.map((logit) => Math.exp(logit - total));
}

/** @param {Floats} logits */
export function logSumExp(logits) {
  let highest = -Infinity,
    sum = 0;
  for (let i = 0; i < logits.length; i++) if (logits[i] > highest) highest = logits[i];
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - highest);
  return highest + Math.log(sum);
}

/**
 * Layer norm with the weights called `${where}norm.…`, or the array itself in a model without.
 * @param {Model} model
 * @param {Floats} x
 * @param {string} where
 * @returns {Floats}
 */
function normalized(model, x, where) {
  if (!model.sizes.layerNorm) return x;
  const size = model.sizes.dModel,
    out = newLike(x, x.length);
  const weight = model.weights[`${where}norm.weight`],
    bias = model.weights[`${where}norm.bias`];
  for (let start = 0; start < x.length; start += size) {
    const { mean, scale } = moments(x, start, size);
    for (let i = 0; i < size; i++)
      out[start + i] = (x[start + i] - mean) * scale * weight[i] + bias[i];
  }
  return out;
}

/**
 * The mean of one row, and 1 / its standard deviation as layer norm computes it.
 * @param {Floats} x
 * @param {number} start
 * @param {number} size
 */
export function moments(x, start, size) {
  let mean = 0,
    variance = 0;
  for (let i = 0; i < size; i++) mean += x[start + i] / size;
  for (let i = 0; i < size; i++) variance += (x[start + i] - mean) ** 2 / size;
  return { mean, scale: 1 / Math.sqrt(variance + LAYER_NORM_EPSILON) };
}

/**
 * @param {number[]} row
 * @param {import("./sizes.js").Sizes} sizes
 */
function mustBeTokens(row, { nCtx, dVocab }) {
  if (row.length < 1 || row.length > nCtx) {
    throw new RangeError(`Got ${row.length} tokens; this model takes 1 to ${nCtx}.`);
  }
  const wrong = row.find((token) => !(Number.isInteger(token) && token >= 0 && token < dVocab));
  if (wrong !== undefined) throw new RangeError(`Token ${wrong} is not one of 0 to ${dVocab - 1}.`);
}

/**
 * @param {Model} model
 * @param {number[]} row
 */
function embedded(model, row) {
  const { W_E, W_pos } = model.weights,
    size = model.sizes.dModel;
  const out = newLike(W_E, row.length * size);
  row.forEach((token, pos) => {
    for (let i = 0; i < size; i++)
      out[pos * size + i] = W_E[token * size + i] + W_pos[pos * size + i];
  });
  return out;
}

/**
 * Queries, keys or values of all heads, `[head, pos, d_head]`, without the paths that are cut.
 * @param {Model} model
 * @param {number} layer
 * @param {"Q" | "K" | "V"} side
 * @param {Floats} x
 * @param {Run} out
 * @param {Interventions} change
 */
function projected(model, layer, side, x, out, change) {
  const { nHeads, dModel, dHead } = model.sizes,
    nPos = out.tokens.length;
  const result = newLike(x, nHeads * nPos * dHead);
  for (let head = 0; head < nHeads; head++) {
    const cut = (change.cut ?? []).filter((c) => c.side === side && is(c.receiver, layer, head));
    const input = cut.length ? without(model, layer, out, cut) : x;
    addProduct(
      matrix(result, nPos, dHead, head * nPos * dHead),
      matrix(input, nPos, dModel),
      matrix(model.weights[`layers.${layer}.W_${side}`], dModel, dHead, head * dModel * dHead),
    );
  }
  return result;
}

/**
 * The normalized input of a layer without the output of the senders.
 * @param {Model} model
 * @param {number} layer
 * @param {Run} out
 * @param {{sender: import("./sizes.js").Head}[]} cut
 */
function without(model, layer, out, cut) {
  const residual = out.residuals[layer].slice(),
    written = newLike(residual, residual.length);
  const senders = new Map(cut.map(({ sender }) => [sender.join(), sender]));
  for (const [from, head] of senders.values()) addWritten(model, out.z[from], from, head, written);
  for (let i = 0; i < residual.length; i++) residual[i] -= written[i];
  return normalized(model, residual, `layers.${layer}.`);
}

/**
 * Add what one head writes, z · W_O, to `into`.
 * @param {Model} model
 * @param {Floats} z
 * @param {number} layer
 * @param {number} head
 * @param {Floats} into
 */
function addWritten(model, z, layer, head, into) {
  const { dModel, dHead } = model.sizes,
    nPos = into.length / dModel;
  addProduct(
    matrix(into, nPos, dModel),
    matrix(z, nPos, dHead, head * nPos * dHead),
    matrix(model.weights[`layers.${layer}.W_O`], dHead, dModel, head * dHead * dModel),
  );
}

/**
 * @param {import("./sizes.js").Head} of
 * @param {number} layer
 * @param {number} head
 */
function is(of, layer, head) {
  return of[0] === layer && of[1] === head;
}
