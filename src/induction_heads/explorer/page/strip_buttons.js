// @ts-check
/** Buttons that change the whole row, and the choice of one token for readers without a keyboard. */

import { element, setText } from "./elements.js";
import { leadingBos } from "./strip_measures.js";
import {
  brokenRepeat,
  longerTokens,
  periodOf,
  repeatedTokens,
  shuffledTokens,
} from "./token_edits.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {"shuffle" | "repeat" | "break" | "longer" | "shorter" | "reset"} RowEdit */

const EDITS = /** @type {[RowEdit, string, string][]} */ ([
  ["shuffle", "Shuffle", "Permute the token ids; a repeat stays a repeat"],
  ["repeat", "Repeat", "Append one more block"],
  ["break", "Break the repeat", "Replace one token of the last copy"],
  ["longer", "Longer", "Add one token"],
  ["shorter", "Shorter", "Remove the last token"],
  ["reset", "Reset", "Restore the initial tokens"],
]);

/**
 * @param {{edit: (name: RowEdit) => void, token: (pos: number, token: number) => void}} actions
 */
export function stripButtons(actions) {
  const buttons = EDITS.map(([name, text, title]) => ({
    name,
    button: element(
      "button",
      { type: "button", class: "ex-button", title, onclick: () => actions.edit(name) },
      text,
    ),
  }));
  const select = element("select", { class: "ex-select" });
  const label = element("span");
  let pos = 0;
  /** @type {string[]} */
  let listed = [];
  select.addEventListener("change", () => actions.token(pos, Number(select.value)));
  return {
    element: element(
      "div",
      { class: "ex-strip-buttons" },
      ...buttons.map(({ button }) => button),
      element("label", { class: "ex-field" }, label, select),
    ),
    /** @param {ExplorerView} view */
    update(view) {
      const { words, tokens, query } = view,
        { nCtx } = view.model.sizes,
        own = tokens.slice(leadingBos(tokens, view.model.bosToken)),
        period = periodOf(own);
      if (listed !== words)
        select.replaceChildren(
          ...words.map((word, token) => element("option", { value: token }, word)),
        );
      listed = words;
      pos = query;
      setText(label, `Position ${query}: `);
      select.value = String(tokens[query]);
      const impossible = {
        break: period === null,
        longer: tokens.length >= nCtx,
        shorter: tokens.length < 2,
        repeat: tokens.length + (period ?? own.length) > nCtx,
      };
      for (const { name, button } of buttons) {
        button.setAttribute(
          "aria-disabled",
          String(Boolean(impossible[/** @type {"break"} */ (name)])),
        );
      }
    },
  };
}

/**
 * The row after a button, or null if there is no repeat to break. A BOS token in front stays there.
 * @param {RowEdit} name
 * @param {number[]} tokens
 * @param {{sizes: {dVocab: number}, bosToken: number | null}} model
 * @param {import("../random.js").Random} random
 */
export function editedRow(name, tokens, { sizes: { dVocab }, bosToken }, random) {
  if (name === "shorter") return tokens.slice(0, -1);
  const before = tokens.slice(0, leadingBos(tokens, bosToken)),
    row = tokens.slice(before.length);
  const edited = {
    shuffle: () => shuffledTokens(row, random),
    repeat: () => repeatedTokens(row),
    break: () => brokenRepeat(row, dVocab, bosToken),
    longer: () => longerTokens(row, dVocab, bosToken),
    reset: () => row,
  }[name]();
  return edited && [...before, ...edited];
}
