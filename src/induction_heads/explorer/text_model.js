// @ts-check
/** A model of text: its weights, its tokenizer, and what its heads pass on in the mean. */

import { tokenizerFrom } from "./byte_pairs.js";
import { contributions } from "./contributions.js";
import { newLike } from "./products.js";
import { modelFrom } from "./weights.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./sizes.js").Model} Model */

/**
 * What `induction_heads.explorer.text_models` writes in front of the weights. `means` is the mean z,
 * `[layer][head][d_head]`, over `meanRows` rows of held-out text.
 * @typedef {Omit<import("./weights.js").StoredModel, "weights"> & {
 *   nParts: number, tokenizer: import("./byte_pairs.js").StoredTokenizer, means: number[][][],
 *   meanRows: number,
 * }} StoredTextModel
 */

/**
 * `centered` is the model with a W_U whose rows have mean 0: its logits are those above the mean logit.
 * @typedef {{
 *   name: string, model: Model, centered: Model, tokenizer: import("./byte_pairs.js").Tokenizer,
 *   words: string[], means: number[][][], meanRows: number,
 * }} TextModel
 */

/**
 * @param {StoredTextModel} head
 * @param {string[]} parts of the weights, in order
 * @returns {TextModel}
 */
export function textModelFrom(head, parts) {
  const model = modelFrom({ ...head, weights: parts.join("") });
  const tokenizer = tokenizerFrom(head.tokenizer);
  const { dVocab } = model.sizes;
  if (tokenizer.dVocab !== dVocab) {
    throw new RangeError(
      `${head.name}: the tokenizer has ${tokenizer.dVocab} tokens, the model ${dVocab}.`,
    );
  }
  return {
    name: head.name,
    model,
    tokenizer,
    centered: { ...model, weights: { ...model.weights, W_U: withoutRowMeans(model) } },
    words: Array.from({ length: dVocab }, (_, id) =>
      id === model.bosToken ? "BOS" : visiblePiece(tokenizer.bytesOf(id)),
    ),
    means: head.means,
    meanRows: head.meanRows,
  };
}

/** @param {Floats} numbers */
function meanOfFloats(numbers) {
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i];
  return sum / numbers.length;
}

/** @param {Model} model */
function withoutRowMeans({ sizes: { dModel, dVocab }, weights: { W_U } }) {
  const centered = W_U.slice();
  for (let row = 0; row < dModel; row++) {
    const own = centered.subarray(row * dVocab, (row + 1) * dVocab);
    const mean = meanOfFloats(own);
    for (let i = 0; i < dVocab; i++) own[i] -= mean;
  }
  return centered;
}

/**
 * The tokens of a text as the model reads them, BOS first, and how much of the text they are.
 * @param {TextModel} textModel
 * @param {string} text
 * @returns {{tokens: number[], read: string, complete: boolean}}
 */
export function tokensOfText({ model, tokenizer }, text) {
  const before = model.bosToken === null ? [] : [model.bosToken],
    room = model.sizes.nCtx - before.length;
  // No token is longer than the longest of the vocabulary, so more text is never read.
  const ids = tokenizer.encode(text.slice(0, room * LONGEST_TOKEN)),
    kept = ids.slice(0, room);
  const complete = ids.length <= room && text.length <= room * LONGEST_TOKEN;
  return {
    tokens: [...before, ...kept],
    read: complete ? text : tokenizer.decode(kept),
    complete,
  };
}

const LONGEST_TOKEN = 64; // bytes

/**
 * The mean z of every head at each of `nPos` positions, for `means` of a change.
 * @param {TextModel} textModel
 * @param {number} nPos
 * @returns {Floats[]}
 */
export function meansAt({ model, means }, nPos) {
  const { nHeads, dHead } = model.sizes;
  return means.map((heads) => {
    const flat = newLike(model.weights.W_E, nHeads * nPos * dHead);
    heads.forEach((mean, head) => {
      for (let pos = 0; pos < nPos; pos++) flat.set(mean, (head * nPos + pos) * dHead);
    });
    return flat;
  });
}

/**
 * What each part adds to the logit of a token above the mean logit, at a query.
 * @param {TextModel} textModel
 * @param {import("./model.js").Run} out a run of its model
 * @param {number} query
 * @param {number} token
 * @param {import("./interventions.js").Interventions} change of that run
 */
export function contributionsAboveMean({ centered }, out, query, token, change) {
  const parts = contributions(centered, out, query, token, change);
  const { dVocab } = centered.sizes,
    logits = out.logits.subarray(query * dVocab, (query + 1) * dVocab);
  return { ...parts, logit: parts.logit - meanOfFloats(logits) };
}

/**
 * A token as text on one line: spaces, line breaks and tabs become signs, and so do bytes that are not
 * a character.
 * @param {Uint8Array} bytes
 */
export function visiblePiece(bytes) {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  if (text.includes("\ufffd")) {
    return Array.from(bytes, (byte) => `⟨${byte.toString(16).padStart(2, "0")}⟩`).join("");
  }
  return Array.from(text, (sign) => SIGNS[sign] ?? escaped(sign)).join("");
}

/** @type {Record<string, string>} */
const SIGNS = { " ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍" };

/** @param {string} sign */
function escaped(sign) {
  const code = /** @type {number} */ (sign.codePointAt(0));
  return code < 32 || code === 127 ? `⟨${code.toString(16).padStart(2, "0")}⟩` : sign;
}

/**
 * The parts of a stored text model, loaded together. `arrived` is called with the share that is there.
 * @param {(kind: string, name: string) => Promise<any>} load
 * @param {string} name
 * @param {(share: number) => void} arrived
 */
export async function loadTextModel(load, name, arrived) {
  arrived(0);
  const head = await load("text-model", name);
  let done = 0;
  // All are waited for, so that a failure is not followed by the share of a part that still arrives.
  const parts = await Promise.allSettled(
    Array.from({ length: head.nParts }, async (_, i) => {
      const part = await load(`part-${i + 1}`, name);
      done += 1;
      arrived(done / head.nParts);
      return part;
    }),
  );
  const failed = parts.find((part) => part.status === "rejected");
  if (failed) throw failed.reason;
  return textModelFrom(
    head,
    parts.map((part) => (part.status === "fulfilled" ? part.value : "")),
  );
}
