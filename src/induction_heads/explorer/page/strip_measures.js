// @ts-check
/** Numbers and sentences about one row of tokens, from a run of a model. */

import { logSumExp, probabilities } from "../model.js";
import {
  evenPrefixMatchingScore,
  keysAfterCopies,
  prefixMatchingScore,
  previousTokenScore,
} from "../scores.js";

/** @typedef {import("../products.js").Floats} Floats */
/** @typedef {import("../model.js").Run} Run */
/** @typedef {import("../sizes.js").Head} Head */

/**
 * What an induction head would attend to at a query, and predict: the positions after all earlier
 * copies of the query's token, and the different tokens there, the latest first. Null if the token is new.
 * @typedef {{sources: number[], tokens: number[]}} InductionAnswer
 */

/**
 * @param {number[]} tokens
 * @param {number} query
 * @returns {InductionAnswer | null}
 */
export function inductionAnswer(tokens, query) {
  const sources = keysAfterCopies(tokens, query);
  if (!sources.length) return null;
  return { sources, tokens: [...new Set(sources.map((key) => tokens[key]).reverse())] };
}

/**
 * The copies in a row: the length of one, the position where the second starts, and their number;
 * the last may be incomplete. A BOS token in front belongs to none.
 * @typedef {{period: number, start: number, count: number}} Copies
 */

/**
 * The copies of a row that repeats with a period, or null if it ends before the second copy.
 * @param {number[]} tokens
 * @param {number | null} period
 * @param {number | null} bosToken
 * @returns {Copies | null}
 */
export function copiesIn(tokens, period, bosToken) {
  const before = leadingBos(tokens, bosToken);
  if (period === null || period < 1 || before + period >= tokens.length) return null;
  return {
    period,
    start: before + period,
    count: Math.ceil((tokens.length - before) / period),
  };
}

/**
 * 1 if the row begins with the BOS token, else 0.
 * @param {number[]} tokens
 * @param {number | null} bosToken
 */
export function leadingBos(tokens, bosToken) {
  return Number(bosToken !== null && tokens[0] === bosToken);
}

/**
 * Mean loss in nats after the first copy, from the second token of the second copy on. With two
 * copies this is `second_copy_loss` of the package. Null if there is no such token.
 * @param {Run} out
 * @param {Copies | null} copies
 */
export function repeatLoss(out, copies) {
  return copies === null || copies.start + 1 >= out.tokens.length
    ? null
    : meanOfNumbers(out.losses.subarray(copies.start));
}

/** The name of that loss. @param {Copies | null} copies */
export function repeatLossName(copies) {
  return copies === null || copies.count < 3
    ? "Second-copy loss"
    : `Loss of copies 2–${copies.count}`;
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
 * The previous-token score (null for one token), and the prefix-matching score on these tokens: mean
 * attention to all keys after an earlier copy (null if no token repeats).
 * @param {Run} out
 * @param {Head} head
 * @returns {{previousToken: number | null, induction: number | null}}
 */
export function headScores(out, head) {
  const pattern = patternOf(out, head),
    nPos = out.tokens.length;
  return {
    previousToken: nPos > 1 ? previousTokenScore(pattern, nPos) : null,
    induction: prefixMatchingScore(pattern, out.tokens),
  };
}

/**
 * The same scores of a head that attends evenly to all keys that a query can see.
 * @param {number[]} tokens
 */
export function evenScores(tokens) {
  let sum = 0;
  for (let query = 1; query < tokens.length; query++) sum += 1 / (query + 1);
  return {
    previousToken: tokens.length > 1 ? sum / (tokens.length - 1) : null,
    induction: evenPrefixMatchingScore(tokens),
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
      const nPos = out.tokens.length;
      const score = nPos > 1 ? previousTokenScore(patternOf(out, [layer, head]), nPos) : 0;
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
