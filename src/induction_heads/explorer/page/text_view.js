// @ts-check
/** What the page shows of a text: its tokens, and the numbers behind their colors. */

import { run } from "../model.js";
import { meansAt, tokensOfText } from "../text_model.js";
import { explorerView, remembered } from "./explorer_view.js";
import { headName, nats, patternOf, signed } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("./explorer_view.js").Memory} Memory */
/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */
/** @typedef {import("../text_model.js").TextModel} TextModel */
/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {import("../model.js").Run} Run */

/** Nats at which the color is strongest. */
const TEXT_FULL_LOSS = 8,
  TEXT_FULL_RISE = 4;

/**
 * The state with the tokens of its text, and the part of the text that is not read.
 * @param {ExplorerState} state
 * @param {TextModel} textModel
 * @param {Memory} memory
 */
export function withTokens(state, textModel, memory) {
  const { tokens, read } = remembered(memory, "tokens", [textModel, state.text], () =>
    tokensOfText(textModel, state.text),
  );
  return { state: { ...state, tokens }, rest: state.text.slice(read.length) };
}

/**
 * @param {ExplorerState} state that fits the model
 * @param {TextModel} textModel
 * @param {Memory} memory
 */
export function textView(state, textModel, memory) {
  return explorerView(
    state,
    {
      name: textModel.name,
      title: textModel.name,
      step: null,
      model: textModel.model,
      words: textModel.words,
      beside: null,
      means: {
        of: `${textModel.meanRows} rows of held-out text, all positions but the first`,
        at: (nPos) => meansAt(textModel, nPos),
      },
    },
    memory,
  );
}

/**
 * The run in which one more head is replaced by its mean. It is computed once for each head.
 * @param {ExplorerView} view
 * @param {Head} head
 * @param {TextModel} textModel
 * @param {Memory} memory
 * @returns {Run}
 */
export function silencedRun({ model, tokens, change, out }, head, textModel, memory) {
  const off = [...(change.off ?? []).filter((one) => one.head.join() !== head.join())];
  return remembered(memory, `silenced ${head}`, [out], () =>
    run(model, tokens, {
      ...change,
      off: [...off, { head, how: "mean" }],
      means: change.means ?? meansAt(textModel, tokens.length),
    }),
  );
}

/**
 * The numbers behind the colors of the tokens.
 * @param {ExplorerView} view
 * @param {number} from the query whose attention is shown
 * @param {() => Run} silenced
 * @returns {import("./text_tokens.js").TextGround & {unit: string}}
 */
export function groundOf({ state, out, tokens }, from, silenced) {
  const name = headName(state.head);
  if (state.color === "attention") {
    const nPos = tokens.length,
      row = patternOf(out, state.head).subarray(from * nPos, (from + 1) * nPos);
    const colors = { full: 1, high: "--ex-accent", low: "--ex-accent" };
    return {
      values: Array.from(row),
      ...colors,
      unit: `weight that ${name} gives from position ${from}`,
    };
  }
  if (state.color === "silence") {
    const { losses } = silenced();
    const values = tokens.map((_, pos) => (pos ? losses[pos - 1] - out.losses[pos - 1] : null));
    const colors = { full: TEXT_FULL_RISE, high: "--ex-negative", low: "--ex-accent" };
    return { values, ...colors, unit: `nats: rise of the loss if ${name} is replaced by its mean` };
  }
  const values = tokens.map((_, pos) => (pos ? out.losses[pos - 1] : null));
  const colors = { full: TEXT_FULL_LOSS, high: "--ex-negative", low: "--ex-negative" };
  return { values, ...colors, unit: "nats of loss on each token" };
}

/**
 * What is said of one token: its loss, without the change, and its number of the colors.
 * @param {ExplorerView} view
 * @param {number} pos
 * @param {(number | null)[]} values
 */
export function tokenInWords({ out, clean, changes, tokens, words, state }, pos, values) {
  const value = values[pos];
  const loss = pos ? out.losses[pos - 1] : null;
  const parts = [
    `Position ${pos}: ${words[tokens[pos]]}`,
    loss !== null && `loss ${nats(loss)} nats`,
    loss !== null && changes > 0 && `without the change ${nats(clean.losses[pos - 1])}`,
    value !== null &&
      state.color === "silence" &&
      `${headName(state.head)} silenced ${signed(value)}`,
    value !== null && state.color === "attention" && `weight ${value.toFixed(2)}`,
  ];
  return parts.filter(Boolean).join(", ");
}
