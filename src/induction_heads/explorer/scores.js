// @ts-check
/** Scores of one head's pattern, as in `induction_heads.interp.scores`. */

/** @typedef {import("./products.js").Floats} Floats */

/**
 * Mean attention from each token to the one right before it.
 * @param {Floats} pattern `[query, key]`
 * @param {number} nPos
 */
export function previousTokenScore(pattern, nPos) {
  return diagonalMean(pattern, nPos, -1, 1);
}

/**
 * Mean attention from each token of the last copy to the token after its earlier copy.
 * @param {Floats} pattern `[query, key]`
 * @param {number} nPos
 * @param {number} period the length of one copy
 */
export function inductionScore(pattern, nPos, period) {
  if (!(period >= 1 && period <= nPos / 2)) {
    throw new RangeError(`period=${period} does not fit twice in ${nPos} positions.`);
  }
  return diagonalMean(pattern, nPos, 1 - period, nPos - period);
}

/**
 * @param {Floats} pattern
 * @param {number} nPos
 * @param {number} offset
 * @param {number} firstQuery
 */
function diagonalMean(pattern, nPos, offset, firstQuery) {
  let sum = 0;
  for (let query = firstQuery; query < nPos; query++) sum += pattern[query * nPos + query + offset];
  return sum / (nPos - firstQuery);
}
