// @ts-check
/** The elements of the training panel, and how they show a run. */

import { element, setText } from "./elements.js";
import { labChart } from "./lab_charts.js";
import { labExpectation, labForm } from "./lab_form.js";
import { formationStep, LAB_FORMED } from "./lab_history.js";
import { labPatterns } from "./lab_patterns.js";
import { labConclusion, labCurvesNote, labStanding } from "./lab_words.js";

/** @typedef {import("./lab_history.js").LabHistory} LabHistory */
/** @typedef {import("./lab_history.js").LabPoint} LabPoint */
/** @typedef {import("./lab_run.js").LabState} LabState */
/** @typedef {ReturnType<typeof labParts>} LabParts */

/** @param {() => void} changed called when the reader changes a setting */
export function labParts(changed) {
  const form = labForm(changed),
    expectation = labExpectation(),
    patterns = labPatterns();
  const button = (/** @type {string} */ text) => element("button", { type: "button" }, text);
  const buttons = {
    train: button("Train"),
    one: button("1 step"),
    ten: button("10 steps"),
    again: button("Start over"),
  };
  buttons.train.classList.add("ex-lab-train");
  const slider = element("input", { type: "range", min: 0, max: 0, step: 1, value: 0 });
  const rewind = element(
    "label",
    { class: "ex-lab-rewind" },
    element("span", {}, "Rewind"),
    slider,
  );
  const standing = element("p", { class: "ex-lab-standing" }),
    message = element("p", { class: "ex-lab-message" });
  const conclusion = element("p", { class: "ex-lab-conclusion" });
  const loss = labChart({
    title: "Loss (nats)",
    top: 6,
    ticks: [0, 2, 4, 6],
    names: [
      ["loss", "training rows"],
      ["copy", "second copy"],
    ],
    level: "a guess among all tokens",
  });
  const scores = labChart({
    title: "Highest score",
    top: 1,
    ticks: [0, 0.5, 1],
    names: [
      ["previous", "previous-token"],
      ["induction", "induction"],
    ],
    level: `formed: ${LAB_FORMED}`,
  });
  const note = element("p", { class: "ex-lab-note" });
  const rows = element("tbody", {});
  const details = element(
    "details",
    { class: "ex-lab-table" },
    element("summary", {}, "The curves as a table"),
    element(
      "div",
      {
        class: "ex-lab-scroll",
        tabindex: 0,
        role: "region",
        "aria-label": "The curves as a table",
      },
      element(
        "table",
        {},
        element(
          "thead",
          {},
          element("tr", {}, ...COLUMNS.map((name) => element("th", { scope: "col" }, name))),
        ),
        rows,
      ),
    ),
  );
  const meanings = element("ul", {});
  const whole = element(
    "div",
    { class: "ex-lab" },
    element(
      "div",
      { class: "ex-lab-grid" },
      element(
        "div",
        { class: "ex-lab-side" },
        expectation.element,
        form.element,
        element("div", { class: "ex-lab-buttons" }, ...Object.values(buttons)),
        message,
      ),
      element(
        "div",
        { class: "ex-lab-main" },
        standing,
        conclusion,
        element("div", { class: "ex-lab-charts" }, loss.element, scores.element),
        note,
        rewind,
        patterns.element,
        details,
      ),
      element(
        "div",
        { class: "ex-lab-meanings" },
        element("p", { class: "ex-lab-title" }, "What this run shows, and what it does not"),
        meanings,
      ),
    ),
  );
  return {
    element: whole,
    form,
    expectation,
    patterns,
    buttons,
    slider,
    standing,
    message,
    conclusion,
    loss,
    scores,
    note,
    details,
    rows,
    meanings,
  };
}

const COLUMNS = [
  "Step",
  "Loss, training rows",
  "Loss, second copy",
  "Previous-token score",
  "Induction score",
];

/**
 * Buttons, slider and lines of text for a run, or for none.
 * @param {LabParts} parts
 * @param {LabState | null} own
 */
export function showControls(parts, own) {
  const { buttons, slider, form, expectation } = parts,
    state = own?.state;
  const running = state === "running",
    back = own?.wanted ?? null,
    begun = Boolean(own?.last?.step);
  buttons.train.textContent = running
    ? "Pause"
    : back !== null
      ? `Train on from step ${back}`
      : state === "finished" || state === "failed"
        ? "Train again"
        : begun
          ? "Continue"
          : "Train";
  const stuck = running || (back === null && state === "finished") || state === "failed";
  for (const one of [buttons.one, buttons.ten]) one.setAttribute("aria-disabled", String(stuck));
  form.lock(running);
  expectation.lock(begun);
  const stops = own ? stopsOf(own) : [0];
  const at = back === null ? stops.length - 1 : stops.indexOf(back);
  slider.max = String(stops.length - 1);
  slider.disabled = stops.length < 2;
  if (Number(slider.value) !== at) slider.value = String(at);
  slider.setAttribute("aria-valuetext", `step ${stops[at] ?? 0}`);
  const steps = own?.options.settings.steps ?? 0,
    step = back ?? own?.last?.step ?? 0;
  parts.standing.textContent = own ? labStanding(own.history, step, steps) : "Not trained yet.";
  const finished = state === "finished";
  parts.conclusion.textContent = own
    ? labConclusion(own.history, expectation.answer(), finished)
    : "";
}

/**
 * The steps that the slider can show: those with a snapshot, and the newest one.
 * @param {LabState} own
 */
export function stopsOf({ history, last }) {
  const stops = history.points.map(({ step }) => step);
  if (last && stops[stops.length - 1] !== last.step) stops.push(last.step);
  return stops;
}

/**
 * Both charts, and the table if it is open.
 * @param {LabParts} parts
 * @param {LabState | null} own
 * @param {{history: LabHistory, words: string}} before the run before, `words` empty if there is none
 * @param {import("../train.js").Options} options of this run or the next
 */
export function showCurves(parts, own, before, options) {
  const { steps } = options.settings,
    history = own?.history ?? { losses: [], points: [] };
  const formed = formationStep(history),
    shown = own?.wanted ?? own?.last?.step ?? null;
  /** @param {(point: LabPoint) => number} value @returns {[[number, number][], [number, number][]]} */
  const both = (value) => [pairs(history.points, value), pairs(before.history.points, value)];
  const line = (/** @type {any} */ kind, /** @type {[number, number][][]} */ [places, old]) => ({
    kind,
    places,
    before: old,
  });
  const losses = history.losses.map((loss, i) => /** @type {[number, number]} */ ([i + 1, loss]));
  parts.loss.draw({
    steps,
    shown,
    formed,
    level: Math.log(options.sizes.dVocab),
    lines: [
      line("loss", [losses, []]),
      line(
        "copy",
        both((point) => point.secondCopyLoss),
      ),
    ],
  });
  parts.scores.draw({
    steps,
    shown,
    formed,
    level: LAB_FORMED,
    lines: [
      line(
        "previous",
        both((point) => point.previousToken),
      ),
      line(
        "induction",
        both((point) => point.induction),
      ),
    ],
  });
  setText(parts.note, labCurvesNote(options, before.words));
  if (own?.state !== "running") {
    const text = own ? labStanding(history, history.losses.length, steps) : "Nothing yet.";
    for (const chart of [parts.loss, parts.scores]) chart.describe(text);
  }
  if (parts.details.open && own?.state !== "running")
    parts.rows.replaceChildren(...tableRows(history));
}

/**
 * @param {LabPoint[]} points
 * @param {(point: LabPoint) => number} value
 * @returns {[number, number][]}
 */
function pairs(points, value) {
  return points.map((point) => [point.step, value(point)]);
}

/**
 * One row for each measured step.
 * @param {LabHistory} history
 */
function tableRows({ losses, points }) {
  return points.map(({ step, secondCopyLoss, previousToken, induction }) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, String(step)),
      ...[losses[step - 1], secondCopyLoss, previousToken, induction].map((value) =>
        element("td", {}, value === undefined ? "–" : value.toFixed(2)),
      ),
    ),
  );
}
