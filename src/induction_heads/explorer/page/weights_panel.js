// @ts-check
/** The weights view: the circuits of a head, read off the weights, token by token. */

import { composedWith, kComposedQkCircuit, ovCircuit, qkCircuit } from "../weights_matrices.js";
import { element } from "./elements.js";
import { watchedScheme } from "./scheme_watch.js";
import { headName } from "./strip_measures.js";
import { weightsTable } from "./weights_table.js";
import { tableWords } from "./weights_words.js";

/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {import("./lab_panel.js").Panel} Panel */
/** @typedef {import("./lab_panel.js").PanelHost} PanelHost */
/** @typedef {import("./lab_panel.js").PanelView} PanelView */

/**
 * What the reader chose here; null: the head of the view, and the earlier head it reads most.
 * @typedef {{head: Head | null, previous: Head | null, row: number}} WeightsChoice
 */

const CHOICE_TEXT = /^(?:h(\d)x(\d{1,2}))?(?:p(\d)x(\d{1,2}))?(?:r(\d{1,5}))?$/;
const POINT_HINT = "Point at a cell to read its value; click to see its row.";

/**
 * @param {PanelHost} host
 * @returns {Panel}
 */
export function weightsPanel(host) {
  const heads = element("select"),
    earlier = element("select"),
    rows = element("select");
  const pointed = element("p", { class: "ex-lab-hover" }, POINT_HINT);
  const note = element("p", { class: "ex-lab-note" });
  const tables = /** @type {[string, string, string]} */ (["composed", "direct", "ov"]).map(() =>
    weightsTable((text) => (pointed.textContent = text), chooseRow),
  );
  const earlierField = element(
    "label",
    { class: "ex-lab-field" },
    element("span", {}, "Reads from"),
    earlier,
  );
  const whole = element(
    "div",
    { class: "ex-weights" },
    element(
      "div",
      { class: "ex-lab-settings" },
      element("label", { class: "ex-lab-field" }, element("span", {}, "Head"), heads),
      earlierField,
      element("label", { class: "ex-lab-field" }, element("span", {}, "Row"), rows),
    ),
    note,
    pointed,
    element("div", { class: "ex-weights-tables" }, ...tables.map((table) => table.element)),
  );

  /** @type {WeightsChoice} */
  let choice = { head: null, previous: null, row: 0 };
  /** @type {PanelView | null} */
  let view = null;

  /** @param {number} row */
  function chooseRow(row) {
    choice.row = row;
    draw();
    host.changed();
  }

  const draw = () => {
    if (!view) return;
    const { model, words } = view,
      { sizes } = model,
      size = sizes.dVocab;
    const word = (/** @type {number} */ token) => words[token] ?? String(token);
    const head = existing(choice.head, model) ?? view.head;
    const composed = composedWith(model, head);
    const wanted = choice.previous?.join();
    const previous =
      (composed.find((one) => one.head.join() === wanted) ?? composed[0])?.head ?? null;
    const row = Math.min(choice.row, size - 1);
    setOptions(
      heads,
      allHeads(model).map((one) => [one.join("."), headName(one)]),
      head.join("."),
    );
    setOptions(
      earlier,
      composed.map(({ head: one, score }) => [
        one.join("."),
        `${headName(one)} (K-composition ${score.toFixed(2)})`,
      ]),
      previous?.join(".") ?? "",
    );
    setOptions(
      rows,
      Array.from({ length: size }, (_, token) => [String(token), word(token)]),
      String(row),
    );
    earlierField.hidden = tables[0].element.hidden = previous === null;
    note.textContent = noteOf(model, head, previous);
    const texts = tableWords(previous, head, sizes.smeared);
    if (previous)
      tables[0].draw(kComposedQkCircuit(model, previous, head), size, texts.composed, row, word);
    tables[1].draw(qkCircuit(model, head), size, texts.direct, row, word);
    tables[2].draw(ovCircuit(model, head), size, texts.ov, row, word);
  };

  heads.addEventListener("change", () => {
    choice = { ...choice, head: headOf(heads.value), previous: null };
    draw();
    host.changed();
  });
  earlier.addEventListener("change", () => {
    choice.previous = headOf(earlier.value);
    draw();
    host.changed();
  });
  rows.addEventListener("change", () => chooseRow(Number(rows.value)));
  const unwatch = watchedScheme(draw);

  return {
    element: whole,
    show(next) {
      const otherHead = view && next.head.join() !== view.head.join();
      if (otherHead) choice = { ...choice, head: null, previous: null };
      const same = view && !otherHead && next.model === view.model && next.words === view.words;
      view = next;
      if (!same) draw(); // An edit of the tokens changes nothing here.
    },
    hide() {
      pointed.textContent = POINT_HINT;
    },
    destroy() {
      unwatch();
      view = null;
    },
    settings: () => choiceText(choice),
    restore(text) {
      const found = CHOICE_TEXT.exec(text);
      choice = { head: null, previous: null, row: 0 };
      if (found) {
        if (found[1]) choice.head = [+found[1], +found[2]];
        if (found[3]) choice.previous = [+found[3], +found[4]];
        choice.row = Number(found[5] ?? 0);
      } else host.announce(`The weights settings in the link (${text}) cannot be read.`);
      draw();
    },
  };
}

/** @param {WeightsChoice} choice */
function choiceText({ head, previous, row }) {
  return (
    (head ? `h${head.join("x")}` : "") +
    (previous ? `p${previous.join("x")}` : "") +
    (row ? `r${row}` : "")
  );
}

/** @param {string} text `layer.head` */
function headOf(text) {
  return /** @type {Head} */ (text.split(".").map(Number));
}

/**
 * @param {Model} model
 * @returns {Head[]}
 */
function allHeads({ sizes: { nLayers, nHeads } }) {
  return Array.from({ length: nLayers * nHeads }, (_, i) => [Math.floor(i / nHeads), i % nHeads]);
}

/**
 * The head, if the model has it.
 * @param {Head | null} head
 * @param {Model} model
 */
function existing(head, { sizes }) {
  return head && head[0] < sizes.nLayers && head[1] < sizes.nHeads ? head : null;
}

/**
 * @param {Model} model
 * @param {Head} head
 * @param {Head | null} previous
 */
function noteOf({ sizes }, head, previous) {
  return [
    "Computed from the weights alone, without running any token.",
    !previous && `${headName(head)} is in the first layer: no earlier head can compose with it.`,
    sizes.layerNorm && "Layer norm is left out.",
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * Fill a choice, without touching it if nothing changed.
 * @param {HTMLSelectElement} select
 * @param {string[][]} options value and text
 * @param {string} value
 */
function setOptions(select, options, value) {
  const text = options.map((option) => option.join(" ")).join("\n");
  if (select.dataset.options !== text) {
    select.dataset.options = text;
    select.replaceChildren(
      ...options.map(([own, name]) => element("option", { value: own }, name)),
    );
  }
  select.value = value;
}
