// @ts-check
/** Buttons that change the whole row, and the choice of one token for readers without a keyboard. */

import { element, setText } from "./elements.js";
import { brokenRepeat, longerTokens, repeatedTokens, shuffledTokens } from "./token_edits.js";

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
      const { words, tokens, period, query } = view,
        { nCtx } = view.model.sizes;
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
        repeat: tokens.length + (period ?? tokens.length) > nCtx,
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
 * The row after a button, or null if there is no repeat to break.
 * @param {RowEdit} name
 * @param {number[]} tokens
 * @param {number} dVocab
 * @param {import("../random.js").Random} random
 */
export function editedRow(name, tokens, dVocab, random) {
  if (name === "shuffle") return shuffledTokens(tokens, random);
  if (name === "repeat") return repeatedTokens(tokens);
  if (name === "break") return brokenRepeat(tokens, dVocab);
  if (name === "longer") return longerTokens(tokens, dVocab);
  return tokens.slice(0, -1);
}
