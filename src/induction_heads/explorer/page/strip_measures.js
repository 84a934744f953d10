// @ts-check
/** Numbers and sentences about one row of tokens, from a run of a model. */

import { logSumExp, probabilities } from "../model.js";
import { previousTokenScore } from "../scores.js";

/** @typedef {import("../products.js").Floats} Floats */
/** @typedef {import("../model.js").Run} Run */
/** @typedef {import("../sizes.js").Head} Head */

/**
 * The prediction of an induction head at a query: the token after the previous occurrence of the
 * same token, and its position. Null if the token is new.
 * @param {number[]} tokens
 * @param {number} query
 * @returns {{token: number, source: number} | null}
 */
export function inductionAnswer(tokens, query) {
  for (let pos = query - 1; pos >= 0; pos--) {
    if (tokens[pos] === tokens[query]) return { token: tokens[pos + 1], source: pos + 1 };
  }
  return null;
}

/**
 * The first query of the last copy, complete or not. Null if the row ends before the second copy.
 * @param {number} nPos
 * @param {number | null} period
 */
export function lastCopyStart(nPos, period) {
  return period !== null && period >= 1 && period < nPos ? Math.max(period, nPos - period) : null;
}

/**
 * Mean loss in nats of the last copy from its second token on, as `second_copy_loss` of the
 * package; an incomplete copy counts up to its last token. Null if there is no such token.
 * @param {Run} out
 * @param {number | null} period
 */
export function lastCopyLoss(out, period) {
  const start = lastCopyStart(out.tokens.length, period);
  return start === null || start + 1 >= out.tokens.length
    ? null
    : meanOfNumbers(out.losses.subarray(start));
}

/** @param {ArrayLike<number>} numbers */
function meanOfNumbers(numbers) {
  return Array.from(numbers).reduce((sum, number) => sum + number, 0) / numbers.length;
}

/**
 * Mean loss over all tokens but the first, in nats. Null for a row of one token.
 * @param {Run} out
 */
export function meanLoss(out) {
  return out.losses.length ? meanOfNumbers(out.losses) : null;
}

/**
 * The attention pattern of one head, `[query, key]`.
 * @param {Run} out
 * @param {Head} head
 * @returns {Floats}
 */
export function patternOf(out, [layer, head]) {
  const size = out.tokens.length ** 2;
  return out.patterns[layer].subarray(head * size, (head + 1) * size);
}

/**
 * The previous-token score, and the induction score of the last copy (null without a repeat).
 *
 * For whole copies the second equals `inductionScore`; for a copy that has only begun it is the
 * mean over the tokens that are there.
 * @param {Run} out
 * @param {Head} head
 * @param {number | null} period
 * @returns {{previousToken: number | null, induction: number | null}}
 */
export function headScores(out, head, period) {
  const nPos = out.tokens.length,
    pattern = patternOf(out, head),
    start = lastCopyStart(nPos, period);
  const stripe = [];
  if (start !== null && period !== null) {
    for (let query = start; query < nPos; query++)
      stripe.push(pattern[query * nPos + query - period + 1]);
  }
  return {
    previousToken: nPos > 1 ? previousTokenScore(pattern, nPos) : null,
    induction: stripe.length ? meanOfNumbers(stripe) : null,
  };
}

/**
 * The most probable next tokens at a position, and the rank of one other token if it is not among them.
 * @param {Run} out
 * @param {number} pos
 * @param {number} count
 * @param {(number | null)[]} [also] tokens that are shown in any case
 * @returns {{token: number, probability: number}[]}
 */
export function topTokens(out, pos, count, also = []) {
  const all = probabilities(out, pos);
  const order = Array.from(all.keys()).sort((a, b) => all[b] - all[a]);
  const wanted = [...new Set(also)].filter((token) => token !== null);
  const first = order.filter((token, rank) => rank < count || wanted.includes(token));
  while (first.length > count) {
    const last = first.findLastIndex((token) => !wanted.includes(token));
    if (last < 0) break;
    first.splice(last, 1);
  }
  return first.map((token) => ({ token, probability: all[token] }));
}

/**
 * The probability of one token after a position.
 * @param {Run} out
 * @param {number} pos
 * @param {number} token
 */
export function probabilityOf(out, pos, token) {
  const dVocab = out.logits.length / out.tokens.length;
  const own = out.logits.subarray(pos * dVocab, (pos + 1) * dVocab);
  return Math.exp(own[token] - logSumExp(own));
}

/**
 * The head of the first layers with the highest previous-token score. Null for one layer.
 * @param {Run} out
 */
export function previousTokenHead(out) {
  /** @type {Head | null} */
  let best = null;
  let highest = -1;
  const nHeads = out.patterns[0].length / out.tokens.length ** 2;
  for (let layer = 0; layer + 1 < out.patterns.length; layer++) {
    for (let head = 0; head < nHeads; head++) {
      const score = headScores(out, [layer, head], null).previousToken ?? 0;
      if (score > highest) [best, highest] = [[layer, head], score];
    }
  }
  return best;
}

/** @param {Head} head */
export function headName([layer, head]) {
  return `L${layer}H${head}`;
}

/** @param {number} probability */
export function percent(probability) {
  const share = 100 * probability;
  if (share > 0 && share < 0.1) return "<0.1%";
  return `${share.toFixed(share < 9.95 ? 1 : 0)}%`;
}

/** @param {number | null} loss */
export function nats(loss) {
  return loss === null ? "–" : loss.toFixed(2);
}

/** @param {number} number with a sign that is a minus, not a hyphen */
export function signed(number, digits = 2) {
  const text = Math.abs(number).toFixed(digits);
  if (Number(text) === 0) return text;
  return (number < 0 ? "−" : "+") + text;
}
