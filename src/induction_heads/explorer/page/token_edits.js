// @ts-check
/** Edits of a row of tokens. Each function returns a new row. */

import { distinct } from "../random.js";

/** @typedef {import("../random.js").Random} Random */

/** The share of tokens that must equal the one a period before, so that noise hides no repeat. */
const REPEAT_SHARE = 0.6;

/**
 * The period of a row: the smallest distance at which most tokens have come before, or null.
 * @param {number[]} tokens
 * @returns {number | null}
 */
export function periodOf(tokens) {
  let best = null,
    bestShare = 0;
  for (let period = 1; period < tokens.length; period++) {
    const share = matchesAt(tokens, period) / (tokens.length - period);
    if (share >= REPEAT_SHARE && share > bestShare) [best, bestShare] = [period, share];
  }
  return best;
}

/**
 * The number of tokens that equal the one a period before.
 * @param {number[]} tokens
 * @param {number} period
 */
function matchesAt(tokens, period) {
  return tokens.filter((token, pos) => pos >= period && token === tokens[pos - period]).length;
}

/**
 * The row with another token at one place; the place after the last one appends.
 * @param {number[]} tokens
 * @param {number} pos
 * @param {number} token
 */
export function replacedToken(tokens, pos, token) {
  return [...tokens.slice(0, pos), token, ...tokens.slice(pos + 1)];
}

/**
 * @param {number[]} tokens
 * @param {number} pos
 */
export function removedToken(tokens, pos) {
  return tokens.filter((_, at) => at !== pos);
}

/**
 * The row with the token of one place moved to another.
 * @param {number[]} tokens
 * @param {number} from
 * @param {number} to
 */
export function movedToken(tokens, from, to) {
  const rest = removedToken(tokens, from);
  rest.splice(to, 0, tokens[from]);
  return rest;
}

/**
 * The row with its token ids permuted, so that a repeat stays a repeat.
 * @param {number[]} tokens
 * @param {Random} random
 */
export function shuffledTokens(tokens, random) {
  const kinds = [...new Set(tokens)];
  if (kinds.length < 2) return tokens;
  for (;;) {
    const order = distinct(random, kinds.length, kinds.length);
    if (order.some((to, from) => to !== from)) {
      return tokens.map((token) => kinds[order[kinds.indexOf(token)]]);
    }
  }
}

/**
 * The row and one more block after it: of one period, or all of a row that does not repeat.
 * @param {number[]} tokens
 * @returns {number[]}
 */
export function repeatedTokens(tokens) {
  return continued(tokens, periodOf(tokens) ?? tokens.length, periodOf(tokens) ?? tokens.length);
}

/**
 * One token longer: what the repeat brings next, or a token that the row does not have.
 * @param {number[]} tokens
 * @param {number} dVocab
 * @param {number | null} [bosToken] not used as a new token
 * @returns {number[]}
 */
export function longerTokens(tokens, dVocab, bosToken = null) {
  const period = periodOf(tokens);
  return period ? continued(tokens, period, 1) : [...tokens, freshToken(tokens, dVocab, bosToken)];
}

/**
 * @param {number[]} tokens
 * @param {number} period
 * @param {number} count
 */
function continued(tokens, period, count) {
  const row = tokens.slice();
  for (let i = 0; i < count; i++) row.push(row[row.length - period]);
  return row;
}

/**
 * The row with one token of the last copy replaced by one that it does not have.
 *
 * The middle one of those that still repeat is taken. Null if nothing repeats.
 * @param {number[]} tokens
 * @param {number} dVocab
 * @param {number | null} [bosToken] not used as a new token
 * @returns {number[] | null}
 */
export function brokenRepeat(tokens, dVocab, bosToken = null) {
  const period = periodOf(tokens);
  if (period === null) return null;
  const places = [];
  for (let pos = Math.max(period, tokens.length - period); pos < tokens.length; pos++) {
    if (tokens[pos] === tokens[pos - period]) places.push(pos);
  }
  if (!places.length) return null;
  return replacedToken(tokens, places[places.length >> 1], freshToken(tokens, dVocab, bosToken));
}

/**
 * The lowest id that the row does not have; a row that has all gets the first.
 * @param {number[]} tokens
 * @param {number} dVocab
 * @param {number | null} bosToken
 */
function freshToken(tokens, dVocab, bosToken) {
  for (let token = 0; token < dVocab; token++) {
    if (token !== bosToken && !tokens.includes(token)) return token;
  }
  return 0;
}

/**
 * The token of a typed letter, in either case, or null.
 * @param {string} letter
 * @param {string[]} words
 */
export function tokenOfLetter(letter, words) {
  for (const text of [letter, letter.toUpperCase(), letter.toLowerCase()]) {
    const token = words.indexOf(text);
    if (token >= 0) return token;
  }
  return null;
}

/**
 * The text of each token if none is given: A to Z, then the id; BOS for the token that begins rows.
 * @param {number} dVocab
 * @param {number | null} [bosToken]
 * @returns {string[]}
 */
export function defaultWords(dVocab, bosToken = null) {
  return Array.from({ length: dVocab }, (_, id) =>
    id === bosToken ? "BOS" : id < 26 ? String.fromCharCode(65 + id) : `${id}`,
  );
}
