// @ts-check
/** The tokens of a text as running text, each on a ground whose color is a number. */

import { element, setText } from "./elements.js";
import { rovingFocus } from "./roving_focus.js";

/**
 * The numbers behind the colors: one for each token, null where there is none. Numbers above 0 have
 * the color of `high` at `full`, those below 0 that of `low`.
 * @typedef {{values: (number | null)[], full: number, high: string, low: string}} TextGround
 */

/**
 * @typedef {{
 *   tokens: number[], words: string[], texts: string[], query: number, pinned: boolean,
 *   sources: number[], labels: string[], rest: string,
 * }} ShownText
 */

/**
 * @param {{select: (pos: number) => void, point: (pos: number | null) => void}} actions
 */
export function textTokens(actions) {
  const row = element("div", {
    class: "ex-text",
    role: "group",
    "aria-label": "Tokens of the text",
  });
  const rest = element("span", { class: "ex-unread" });
  /** @type {HTMLElement[]} */
  let pieces = [];
  let shown = "";
  const stopAt = rovingFocus(row, () => pieces, actions.select);
  const placeOf = (/** @type {Event} */ event) =>
    pieces.indexOf(/** @type {HTMLElement} */ (event.target));
  row.addEventListener("click", (event) => {
    const at = placeOf(event);
    if (at >= 0) actions.select(at);
  });
  row.addEventListener("keydown", (event) => {
    const at = placeOf(event);
    if (at < 0 || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    actions.select(at);
  });
  row.addEventListener("pointerover", (event) => {
    const at = placeOf(event);
    if (event.pointerType !== "touch" && at >= 0) actions.point(at);
  });
  row.addEventListener("pointerleave", () => actions.point(null));
  return {
    element: row,
    /** @param {ShownText} text */
    update(text) {
      const key = text.tokens.join();
      if (key !== shown) {
        pieces = text.tokens.map((token, pos) => pieceOf(text.words[token], text.texts[pos]));
        row.replaceChildren(...pieces, rest);
      }
      shown = key;
      setText(rest, text.rest);
      pieces.forEach((piece, pos) => {
        piece.setAttribute("aria-label", text.labels[pos]);
        piece.setAttribute("aria-pressed", String(text.pinned && pos === text.query));
        piece.classList.toggle("ex-query", pos === text.query);
        piece.classList.toggle("ex-source", text.sources.includes(pos));
      });
      stopAt(text.query);
    },
    /** @param {TextGround} ground */
    paint({ values, full, high, low }) {
      pieces.forEach((piece, pos) => {
        const value = values[pos] ?? 0,
          share = Math.round(MOST_COLOR * Math.min(1, Math.abs(value) / full));
        const color = `color-mix(in srgb, var(${value < 0 ? low : high}) ${share}%, transparent)`;
        piece.style.backgroundColor = share ? color : "";
        // Where the reader's system sets all colors, a line below the token shows the number.
        piece.style.setProperty("--ex-share", `${share / MOST_COLOR}`);
      });
    },
  };
}

/** Percent of the color at its strongest: the text on it stays readable. */
const MOST_COLOR = 60;

/**
 * @param {string} word
 * @param {string} text
 */
function pieceOf(word, text) {
  const lines = text.includes("\n") ? text.replaceAll("\n", "⏎\n") : text;
  // What cannot be seen as text is shown by its signs.
  const visible = /^[\n\t -~⏎]*$/u.test(lines) && text !== "" ? lines : word;
  const name = text === "" ? "ex-piece ex-piece-bos" : "ex-piece";
  return element("span", { class: name, role: "button", tabindex: -1 }, visible);
}

/**
 * What the colors mean, from the one end to the other.
 * @returns {{element: HTMLElement, update: (ground: TextGround, unit: string) => void}}
 */
export function textLegend() {
  const [lowest, middle, highest] = Array.from({ length: 3 }, () => element("span"));
  const bar = element("span", { class: "ex-legend-bar", "aria-hidden": "true" });
  return {
    element: element("span", { class: "ex-legend" }, lowest, bar, highest, middle),
    update({ full, high, low, values }, unit) {
      const both = low !== high && values.some((value) => (value ?? 0) < 0);
      const end = (/** @type {string} */ name) =>
        `color-mix(in srgb, var(${name}) ${MOST_COLOR}%, transparent)`;
      bar.style.backgroundImage = `linear-gradient(to right, ${both ? `${end(low)}, ` : ""}transparent, ${end(high)})`;
      setText(lowest, both ? `−${full}` : "0");
      setText(highest, `${full}`);
      setText(middle, unit);
    },
  };
}
