// @ts-check
/** The attention pattern of every head: a row of the grid for each layer. */

import { element, setText } from "./elements.js";
import { matrixCanvas } from "./matrix_canvas.js";
import { rovingFocus } from "./roving_focus.js";
import { evenScores, headName, headScores, patternOf } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../sizes.js").Head} Head */

/** Pixels of a pattern; the page shows it at about half of that. */
const SIDE = 320;

/**
 * @param {{head: (head: Head) => void, cell: (head: Head, query: number) => void}} actions
 * @param {boolean} [meaning] whether to say what rows, frames and scores are
 */
export function patternGrid(actions, meaning = true) {
  const grid = element("div", { class: "ex-grid", role: "group", "aria-label": "Heads" });
  const readout = element("p", { class: "ex-readout" }),
    even = element("p", { class: "ex-note" }),
    heading = element("p", { class: "ex-heading" });
  /** @type {ReturnType<typeof headFigure>[]} */
  let figures = [];
  let shape = "";
  /** @type {ExplorerView | null} */
  let shown = null;
  /** @type {{head: Head, cell: [number, number]} | null} */
  let hovered = null;
  let unanswered = false;
  const stopAt = rovingFocus(
    grid,
    () => figures.map((figure) => figure.button),
    (at) => actions.head(figures[at].head),
    () => shown?.model.sizes.nHeads ?? 1,
  );
  const say = () => {
    if (!shown) return;
    // The row of the selected query would give the answer away.
    setText(readout, hovered ? cellInWords(shown, hovered) : unanswered ? "" : rowInWords(shown));
  };
  /** @param {ExplorerView} view */
  const build = ({ model: { sizes } }) => {
    figures = [];
    grid.style.setProperty("--ex-heads", `${sizes.nHeads}`);
    grid.replaceChildren();
    for (let layer = 0; layer < sizes.nLayers; layer++) {
      for (let head = 0; head < sizes.nHeads; head++) {
        const figure = headFigure([layer, head], actions, (cell) => {
          hovered = cell && { head: [layer, head], cell };
          say();
        });
        figures.push(figure);
        grid.append(figure.element);
      }
    }
  };
  return {
    element: element(
      "section",
      { class: "ex-patterns", "aria-label": "Patterns" },
      heading,
      grid,
      meaning &&
        element(
          "p",
          { class: "ex-note" },
          "Rows are queries, columns are keys. The frame marks the selected query, the small squares " +
            "the keys to which an induction head would attend. Click a row to select it.",
        ),
      meaning && even,
      readout,
    ),
    /** @param {ExplorerView} view @param {boolean} hidden whether the answer is not shown yet */
    update(view, hidden) {
      const { nLayers, nHeads } = view.model.sizes;
      if (shape !== `${nLayers} ${nHeads}`) build(view);
      shape = `${nLayers} ${nHeads}`;
      shown = view;
      unanswered = hidden;
      hovered = null;
      // Colors are read before anything is written: the browser then works out the style once.
      figures.forEach((figure) => figure.paint(view, hidden));
      figures.forEach((figure) => figure.update(view));
      stopAt(view.state.head[0] * nHeads + view.state.head[1]);
      setText(even, scoresMeaning(view.tokens));
      setText(heading, headingOf(view));
      say();
    },
    /** Paint again in the colors of the page. */
    repaint() {
      figures.forEach((figure) => figure.repaint());
    },
  };
}

/** @param {ExplorerView} view */
function headingOf({ beside, besideOf, title }) {
  const where = "Where each head looks";
  return besideOf || beside ? `${where}: ${title}${besideOf ? ", trained, no change" : ""}` : where;
}

/**
 * One head: its name, its pattern and its scores.
 * @param {Head} head
 * @param {{head: (head: Head) => void, cell: (head: Head, query: number) => void}} actions
 * @param {(cell: [number, number] | null) => void} hover
 */
function headFigure(head, actions, hover) {
  const canvas = matrixCanvas(
    `Attention pattern of ${headName(head)}; the numbers are in the table below.`,
    SIDE,
  );
  const scores = element("span", { class: "ex-scores" });
  const mark = element("span", { class: "ex-mark" });
  const button = element(
    "button",
    { type: "button", class: "ex-head-name", onclick: () => actions.head(head) },
    headName(head),
    mark,
  );
  canvas.element.addEventListener("pointermove", (event) => hover(canvas.cellAt(event)));
  canvas.element.addEventListener("pointerleave", () => hover(null));
  canvas.element.addEventListener("click", (event) => {
    const cell = canvas.cellAt(event);
    if (cell) actions.cell(head, cell[0]);
  });
  /** @type {import("./matrix_canvas.js").Drawing | null} */
  let drawn = null;
  let key = "";
  /** @type {unknown} */
  let run = null;
  const figure = element(
    "div",
    { class: "ex-head" },
    element("div", { class: "ex-head-line" }, button, scores),
    canvas.element,
  );
  return {
    head,
    button,
    element: figure,
    repaint() {
      if (drawn) canvas.draw(drawn);
    },
    /** @param {ExplorerView} view @param {boolean} hidden */
    paint(view, hidden) {
      const nPos = view.tokens.length,
        sources = hidden ? [] : (view.answer?.sources ?? []);
      const nextKey = `${view.query} ${sources}`;
      if (run !== view.out || nextKey !== key) {
        drawn = {
          values: patternOf(view.out, head),
          nRows: nPos,
          nColumns: nPos,
          causal: true,
          row: view.query,
          outlined: sources.map((key) => [view.query, key]),
        };
        canvas.draw(drawn);
        [run, key] = [view.out, nextKey];
      }
    },
    /** @param {ExplorerView} view */
    update(view) {
      const selected = sameHead(view.state.head, head),
        state = headChange(view, head);
      figure.classList.toggle("ex-selected", selected);
      figure.classList.toggle("ex-off", state.startsWith("off"));
      button.setAttribute("aria-pressed", String(selected));
      setText(mark, state);
      setText(scores, scoresInWords(headScores(view.out, head)));
    },
  };
}

/**
 * @param {Head} a
 * @param {Head} b
 */
export function sameHead(a, b) {
  return a[0] === b[0] && a[1] === b[1];
}

/**
 * What is done to a head, in a word or two.
 * @param {ExplorerView} view
 * @param {Head} head
 */
function headChange({ state, repeats }, head) {
  const off = state.off.find((one) => sameHead(one.head, head));
  if (off) return `off: ${off.how}`;
  const { cut } = state;
  const words = [];
  if (cut && sameHead(cut.sender, head)) words.push("cut");
  if (state.freeze && head[0] > 0) words.push("frozen");
  if (repeats && state.knockout.some((one) => sameHead(one, head))) words.push("no stripe");
  return words.join(", ");
}

/** @param {{previousToken: number | null, induction: number | null}} scores */
function scoresInWords({ previousToken, induction }) {
  if (previousToken === null) return "";
  const own = `prev ${previousToken.toFixed(2)}`;
  return induction === null ? own : `${own} · ind ${induction.toFixed(2)}`;
}

/**
 * What the two scores are, and their values for a head that attends evenly.
 * @param {number[]} tokens
 */
export function scoresMeaning(tokens) {
  const { previousToken, induction } = evenScores(tokens);
  if (previousToken === null) return "One token attends only to itself: there are no scores.";
  const previous = `prev: mean weight on the previous token (${previousToken.toFixed(2)} if spread evenly)`;
  return induction === null
    ? `${previous}. No token repeats, so there is no induction score.`
    : `${previous}. ind: mean weight on all keys after an earlier copy of the query's token ` +
        `(${induction.toFixed(2)} if spread evenly).`;
}

/**
 * @param {ExplorerView} view
 * @param {{head: Head, cell: [number, number]}} hovered
 */
function cellInWords({ out, tokens, words }, { head, cell: [query, key] }) {
  const weight = patternOf(out, head)[query * tokens.length + key];
  const from = `query ${query} (${words[tokens[query]]})`,
    to = `key ${key} (${words[tokens[key]]})`;
  if (key > query) return `${headName(head)}: ${from} cannot see ${to}, which comes later.`;
  return `${headName(head)}: ${from} gives ${to} the weight ${weight.toFixed(2)}.`;
}

/** @param {ExplorerView} view */
function rowInWords({ out, tokens, words, query, state: { head } }) {
  const nPos = tokens.length,
    row = patternOf(out, head).subarray(query * nPos, (query + 1) * nPos);
  const key = row.indexOf(Math.max(...row));
  return (
    `${headName(head)}, query ${query} (${words[tokens[query]]}): largest weight, ${row[key].toFixed(2)}, ` +
    `is on key ${key} (${words[tokens[key]]}).`
  );
}
