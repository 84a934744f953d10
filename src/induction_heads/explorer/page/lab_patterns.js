// @ts-check
/** The patterns of the model in training, and what it expects after the reader's tokens. */

import { probabilities, run } from "../model.js";
import { randomFrom } from "../random.js";
import { repeatedRows } from "../rows.js";
import { prefixMatchingScore, previousTokenScore } from "../scores.js";
import { MEASURED_ROWS } from "../train.js";
import { element } from "./elements.js";
import { likeliest } from "./lab_words.js";
import { matrixCanvas } from "./matrix_canvas.js";
import { headName } from "./strip_measures.js";

/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {import("../sizes.js").Sizes} Sizes */

/** Tokens of one copy of the block that is shown. */
const SHOWN_PERIOD = 8;

/**
 * Why a model of these sizes cannot take the tokens, or null if it can.
 * @param {number[]} tokens
 * @param {Sizes} sizes
 */
function labMisfit(tokens, { dVocab, nCtx }) {
  if (tokens.length < 1) return "The token strip is empty.";
  if (tokens.length > nCtx)
    return `The token strip has ${tokens.length} tokens; this model takes at most ${nCtx}.`;
  const other = tokens.find((token) => token >= dVocab);
  return other === undefined
    ? null
    : `The token strip has token ${other}; this model knows 0 to ${dVocab - 1}.`;
}

/** The patterns of all heads in a grid, one row a layer. */
export function labPatterns() {
  const grid = element("div", { class: "ex-lab-heads" });
  const hovered = element("p", { class: "ex-lab-hover" }, HOVER_HINT);
  const tried = element("p", { class: "ex-lab-tried" });
  const choice = element(
    "select",
    {},
    element("option", { value: "block" }, "a random block, twice"),
    element("option", { value: "strip" }, "the token strip"),
  );
  const about = element("p", { class: "ex-lab-note" });
  const box = element(
    "div",
    { class: "ex-lab-patterns", hidden: true },
    element("label", { class: "ex-lab-choice" }, "Patterns on ", choice),
    about,
    grid,
    hovered,
    tried,
  );

  /** @type {{canvas: import("./matrix_canvas.js").MatrixCanvas, name: HTMLElement}[]} */
  let heads = [];
  /** @type {{model: Model, tokens: number[], words: string[]} | null} */
  let last = null;
  /** @type {{tokens: number[], patterns: import("../products.js").Floats[]} | null} */
  let drawn = null;
  let shape = "";
  const word = (/** @type {number} */ token) => last?.words[token] ?? String(token);

  /** @param {Sizes} sizes */
  const layOut = ({ nLayers, nHeads }) => {
    if (shape === `${nLayers} ${nHeads}`) return;
    shape = `${nLayers} ${nHeads}`;
    heads = Array.from({ length: nLayers * nHeads }, (_, at) => {
      const canvas = matrixCanvas(`Pattern of ${nameOf(at, nHeads)}`);
      canvas.element.addEventListener("pointermove", (event) => sayCell(at, canvas.cellAt(event)));
      canvas.element.addEventListener("pointerleave", () => (hovered.textContent = HOVER_HINT));
      return { canvas, name: element("figcaption") };
    });
    grid.style.setProperty("--ex-lab-columns", String(nHeads));
    grid.style.setProperty(
      "--ex-lab-all",
      String(nHeads * nLayers <= 4 ? nHeads * nLayers : nHeads),
    );
    grid.style.setProperty("--ex-lab-narrow", String(Math.min(2, nHeads)));
    grid.replaceChildren(
      ...heads.map(({ canvas, name }) => element("figure", {}, canvas.element, name)),
    );
  };

  /** @param {number} at @param {[number, number] | null} cell */
  const sayCell = (at, cell) => {
    if (!cell || !drawn || !last || cell[1] > cell[0]) return;
    const [query, key] = cell,
      { tokens } = drawn,
      { nHeads } = last.model.sizes;
    const place = ((at % nHeads) * tokens.length + query) * tokens.length + key;
    const weight = drawn.patterns[Math.floor(at / nHeads)][place];
    hovered.textContent =
      `${nameOf(at, nHeads)}: from query ${query} (${word(tokens[query])}) to key ` +
      `${key} (${word(tokens[key])}): ${weight.toFixed(2)}`;
  };

  const draw = () => {
    if (!last) return;
    const { model, tokens } = last,
      { sizes } = model;
    layOut(sizes);
    const misfit = labMisfit(tokens, sizes),
      onStrip = choice.value === "strip" && !misfit;
    const row = onStrip ? tokens : shownBlock(sizes),
      { patterns } = run(model, row);
    drawn = { tokens: row, patterns };
    const nPos = row.length,
      square = nPos * nPos;
    heads.forEach(({ canvas, name }, at) => {
      const values = patterns[Math.floor(at / sizes.nHeads)],
        start = (at % sizes.nHeads) * square;
      canvas.draw({ values, nRows: nPos, nColumns: nPos, causal: true, start });
      const pattern = values.subarray(start, start + square);
      const induction = prefixMatchingScore(pattern, row);
      const scores = [
        nPos > 1 && `prev ${previousTokenScore(pattern, nPos).toFixed(2)}`,
        induction !== null && `ind ${induction.toFixed(2)}`,
      ].filter(Boolean);
      name.textContent = [nameOf(at, sizes.nHeads), ...scores].join(" · ");
    });
    about.textContent = `${onStrip ? "Queries down, keys across." : BLOCK_NOTE} ${SCORES_NOTE}`;
    tried.textContent = misfit
      ? `Not run on the token strip. ${misfit}`
      : expectation(model, tokens, word);
  };
  choice.addEventListener("change", draw);

  return {
    element: box,
    draw,
    /** @param {{model: Model, tokens: number[], words: string[]}} view */
    show(view) {
      last = view;
      box.hidden = false;
      draw();
    },
    clear() {
      [last, drawn] = [null, null];
      box.hidden = true;
    },
  };
}

const HOVER_HINT = "Point at a cell to read its weight.";
const SCORES_NOTE = `prev and ind are scores on this one row; the curves show means over ${MEASURED_ROWS} random rows.`;
const BLOCK_NOTE =
  "Queries down, keys across. A line just below the diagonal: the previous token. A stripe in " +
  "the lower half, seven to the left of the diagonal: the token after the earlier copy, the induction stripe.";

/** @param {number} at @param {number} nHeads */
function nameOf(at, nHeads) {
  return headName([Math.floor(at / nHeads), at % nHeads]);
}

/** @param {Sizes} sizes */
function shownBlock({ dVocab, nCtx }) {
  const period = Math.min(SHOWN_PERIOD, nCtx >> 1, dVocab);
  return repeatedRows(dVocab, period, 1, randomFrom(2))[0];
}

/**
 * @param {Model} model
 * @param {number[]} tokens
 * @param {(token: number) => string} word
 */
function expectation(model, tokens, word) {
  const shares = probabilities(run(model, tokens), tokens.length - 1);
  const shown = tokens.slice(-8).map(word).join(" ");
  return (
    `On the token strip: after ${tokens.length > 8 ? "… " : ""}${shown} this model expects ` +
    `${likeliest(shares, word)}.`
  );
}
