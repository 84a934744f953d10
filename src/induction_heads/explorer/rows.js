// @ts-check
/** Rows of tokens to train on, with or without repeated blocks. */

import { below, distinct, uniform } from "./random.js";

/** @typedef {import("./random.js").Random} Random */

/**
 * With `repeats`, a block of `shortest` to `longest` different tokens appears `copies` times, then a
 * new block of the same length, until the row is full. Without `repeats`, all tokens of a row differ.
 * `noise` is the share of tokens that are then replaced by random ones.
 * @typedef {{
 *   dVocab: number, nPos: number, batch: number, repeats: boolean, copies: number,
 *   shortest: number, longest: number, noise: number,
 * }} Data
 */

/**
 * Throw a RangeError unless rows of these settings can be drawn.
 * @param {Data} data
 */
export function mustBeDrawable({ dVocab, nPos, repeats, copies, shortest, longest, noise }) {
  if (!repeats && nPos > dVocab) {
    throw new RangeError(`${nPos} tokens without a repeat need as many ids; there are ${dVocab}.`);
  }
  if (repeats && !(shortest >= 1 && shortest <= longest && longest <= dVocab && copies >= 1)) {
    throw new RangeError(
      `Blocks of ${shortest} to ${longest} tokens, ${copies} times, cannot be drawn from ${dVocab}.`,
    );
  }
  if (!(noise >= 0 && noise <= 1)) throw new RangeError(`noise=${noise}: use 0 to 1.`);
}

/**
 * Draw one batch: `batch` rows of `nPos` tokens, one after another.
 * @param {Data} data
 * @param {Random} random
 * @param {Int32Array} into
 */
export function drawRows(data, random, into) {
  const { dVocab, nPos, batch, repeats, copies, noise } = data;
  for (let row = 0; row < batch; row++) {
    const period = repeats ? data.shortest + below(random, data.longest - data.shortest + 1) : nPos;
    /** @type {number[]} */
    let block = [];
    for (let pos = 0; pos < nPos; pos++) {
      if (pos % (copies * period) === 0) block = distinct(random, dVocab, period);
      const token = block[pos % period];
      into[row * nPos + pos] = noise && uniform(random) < noise ? below(random, dVocab) : token;
    }
  }
}

/**
 * Rows with two copies of one block of distinct tokens: `[block, block]`, or `[BOS, block, block]` if
 * there is a BOS token. It is not drawn for the block.
 * @param {number} dVocab
 * @param {number} period
 * @param {number} count
 * @param {Random} random
 * @param {number | null} [bosToken]
 */
export function repeatedRows(dVocab, period, count, random, bosToken = null) {
  return Array.from({ length: count }, () => {
    if (bosToken === null) {
      const block = distinct(random, dVocab, period);
      return [...block, ...block];
    }
    const block = distinct(random, dVocab - 1, period).map((id) => id + Number(id >= bosToken));
    return [bosToken, ...block, ...block];
  });
}
