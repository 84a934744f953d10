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
 * The keys right after an earlier copy of the query's token, in order: an induction head attends there.
 * The last of them is the query itself if the token before it is the same.
 * @param {ArrayLike<number>} tokens
 * @param {number} query
 */
export function keysAfterCopies(tokens, query) {
  const keys = [];
  for (let key = 1; key <= query; key++) if (tokens[key - 1] === tokens[query]) keys.push(key);
  return keys;
}

/**
 * Attention to the keys after earlier copies, summed over these keys and averaged over the queries
 * that have one, as `prefix_matching_score` of the package. Null if no token repeats.
 * @param {Floats} pattern `[query, key]`
 * @param {ArrayLike<number>} tokens
 */
export function prefixMatchingScore(pattern, tokens) {
  return meanOverRepeats(tokens, (query, keys) =>
    keys.reduce((sum, key) => sum + pattern[query * tokens.length + key], 0),
  );
}

/**
 * The prefix-matching score of a head that attends evenly to all keys it can see.
 * @param {ArrayLike<number>} tokens
 */
export function evenPrefixMatchingScore(tokens) {
  return meanOverRepeats(tokens, (query, keys) => keys.length / (query + 1));
}

/**
 * @param {ArrayLike<number>} tokens
 * @param {(query: number, keys: number[]) => number} share of one query
 */
function meanOverRepeats(tokens, share) {
  let sum = 0,
    queries = 0;
  for (let query = 0; query < tokens.length; query++) {
    const keys = keysAfterCopies(tokens, query);
    if (keys.length) [sum, queries] = [sum + share(query, keys), queries + 1];
  }
  return queries ? sum / queries : null;
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
