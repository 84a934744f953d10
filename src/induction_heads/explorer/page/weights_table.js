// @ts-check
/** One token × token table of the weights view: the canvas, its words, and one row of it as text. */

import { diagonalShare } from "../weights_matrices.js";
import { element } from "./elements.js";
import { matrixCanvas } from "./matrix_canvas.js";
import { signed } from "./strip_measures.js";
import { shareText } from "./weights_words.js";

/** @typedef {import("../products.js").Floats} Floats */
/** @typedef {import("./weights_words.js").TableWords} TableWords */

/** How many of the largest entries of a row are listed. */
const LISTED = 5;

/**
 * A table that draws itself. `pointed` gets the text of the cell under the pointer, `chosen` the row
 * that was clicked.
 * @param {(text: string) => void} pointed
 * @param {(row: number) => void} chosen
 */
export function weightsTable(pointed, chosen) {
  const canvas = matrixCanvas("Token by token table");
  const title = element("p", { class: "ex-lab-title" }),
    axes = element("p", { class: "ex-lab-note" });
  const share = element("p", { class: "ex-weights-share" }),
    row = element("p"),
    list = element("ol");
  const shows = element("span"),
    not = element("span");
  const whole = element(
    "div",
    { class: "ex-weights-table" },
    title,
    canvas.element,
    axes,
    share,
    row,
    list,
    element("p", {}, element("strong", {}, "A bright diagonal shows: "), shows),
    element("p", {}, element("strong", {}, "It does not show: "), not),
  );
  /** @type {{values: Floats, size: number, words: TableWords, word: (token: number) => string} | null} */
  let drawn = null;

  canvas.element.addEventListener("pointermove", (event) => {
    const cell = canvas.cellAt(event);
    if (!drawn || !cell) return;
    const { values, size, words, word } = drawn,
      value = values[cell[0] * size + cell[1]];
    pointed(
      `${words.title}: ${words.rows} ${word(cell[0])}, ${words.columns} ${word(cell[1])}: ${signed(value)}`,
    );
  });
  canvas.element.addEventListener("click", (event) => {
    const cell = canvas.cellAt(event);
    if (cell) chosen(cell[0]);
  });

  return {
    element: whole,
    /**
     * @param {Floats} values
     * @param {number} size
     * @param {TableWords} words
     * @param {number} chosenRow
     * @param {(token: number) => string} word
     */
    draw(values, size, words, chosenRow, word) {
      drawn = { values, size, words, word };
      const largest = largestSize(values),
        part = diagonalShare(values, size);
      canvas.draw({
        values,
        nRows: size,
        nColumns: size,
        from: -largest,
        to: largest,
        row: chosenRow,
      });
      canvas.element.setAttribute("aria-label", `${words.title}. ${shareText(part, size)}`);
      title.textContent = words.title;
      axes.textContent = `Down: ${words.rows}. Across: ${words.columns}.`;
      share.textContent = shareText(part, size);
      [shows.textContent, not.textContent] = [words.shows, words.not];
      const own = values[chosenRow * size + chosenRow];
      row.textContent = `Row ${word(chosenRow)}: the entry on the diagonal is ${signed(own)}. The largest of the row:`;
      list.replaceChildren(
        ...largestOf(values, size, chosenRow).map(({ column, value }) =>
          element("li", {}, `${word(column)} ${signed(value)}`),
        ),
      );
    },
  };
}

/** @param {Floats} values */
function largestSize(values) {
  let largest = 0;
  for (let i = 0; i < values.length; i++) largest = Math.max(largest, Math.abs(values[i]));
  return largest || 1;
}

/**
 * @param {Floats} values
 * @param {number} size
 * @param {number} row
 */
function largestOf(values, size, row) {
  return Array.from({ length: size }, (_, column) => ({
    column,
    value: values[row * size + column],
  }))
    .sort((a, b) => b.value - a.value)
    .slice(0, LISTED);
}
