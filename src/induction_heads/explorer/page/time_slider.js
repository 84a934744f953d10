// @ts-check
/** A slider over the training snapshots, with the loss and the scores at each of them. */

import { measured } from "../train.js";
import { element, setText } from "./elements.js";
import { stepChart } from "./step_chart.js";
import { nats, repeatLoss, repeatLossName } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {{step: number, model: Model}[]} Snapshots */
/** @typedef {{loss: number, previousToken: number, induction: number}} Probe */

/** The rows on which every snapshot is measured: a block of this many tokens, twice. */
const PROBE_PERIOD = 8;
const PROBE_ROWS = 12;
/** Milliseconds for which each snapshot is shown while the slider plays. */
const FRAME_MS = 450;

/**
 * @param {{pick: (place: number | null) => void, retry: () => void}} actions
 */
export function timeSlider(actions) {
  const slider = element("input", {
    type: "range",
    min: 0,
    step: 1,
    class: "ex-slider",
    "aria-label": "Training step",
    oninput: () =>
      actions.pick(Number(slider.value) === Number(slider.max) ? null : Number(slider.value)),
  });
  const player = playButton(
    () => Number(slider.value),
    () => Number(slider.max),
    (place) => pick(place),
  );
  const now = element("p", { class: "ex-said" }),
    strip = element("p", { class: "ex-said" });
  const status = element("p", { class: "ex-note", role: "status" });
  const retry = element(
    "button",
    { type: "button", class: "ex-button", onclick: actions.retry },
    "Try again",
  );
  const loss = stepChart("Second-copy loss (nats)", ["loss"], (place) => pick(place));
  const scores = stepChart("Highest score of any head", ["previous-token", "induction"], (place) =>
    pick(place),
  );
  const table = probeTable();
  const body = element(
    "div",
    {},
    element("div", { class: "ex-slider-line" }, player.element, slider),
    now,
    strip,
    element("div", { class: "ex-charts" }, loss.element, scores.element),
    table.element,
  );
  /** @param {number} place */
  const pick = (place) => actions.pick(place === Number(slider.max) ? null : place);
  /** @type {Snapshots | null} */
  let snapshots = null;
  /** @type {Probe[]} */
  let probes = [];
  let timer = 0;
  const measureNext = () => {
    timer = 0;
    if (!snapshots || probes.length === snapshots.length) return;
    probes.push(probeOf(snapshots[probes.length].model));
    if (probes.length === snapshots.length) {
      draw(snapshots);
      if (lastView) say(lastView);
    } else timer = window.setTimeout(measureNext, 0);
  };
  /** @param {Snapshots} all */
  const draw = (all) => {
    const steps = all.map(({ step }) => step);
    loss.update(steps, [probes.map((probe) => probe.loss)]);
    scores.update(steps, [
      probes.map((probe) => probe.previousToken),
      probes.map((probe) => probe.induction),
    ]);
    table.update(steps, probes);
  };
  /** @type {ExplorerView | null} */
  let lastView = null;
  /** @param {ExplorerView} view */
  const say = (view) => {
    if (!snapshots) return;
    const place = view.state.snapshot ?? snapshots.length - 1,
      probe = probes[place];
    const { step } = snapshots[place],
      last = snapshots[snapshots.length - 1].step;
    const scoresSay = probe
      ? ` On ${PROBE_ROWS} random repeated rows: second-copy loss ${nats(probe.loss)} nats, highest ` +
        `previous-token score ${probe.previousToken.toFixed(2)}, highest induction score ${probe.induction.toFixed(2)}.`
      : "";
    setText(now, `Step ${step} of ${last}.${scoresSay}`);
    const own = repeatLoss(view.out, view.copies);
    setText(
      strip,
      own === null
        ? "Your tokens have no second copy."
        : `On your tokens: ${repeatLossName(view.copies).replace(/^[SL]/, (c) => c.toLowerCase())} ${nats(own)} nats.`,
    );
    slider.value = String(place);
    slider.setAttribute("aria-valuetext", `step ${step} of ${last}`);
    loss.mark(place);
    scores.mark(place);
  };
  return {
    element: element("div", { class: "ex-time" }, status, retry, body),
    /**
     * @param {ExplorerView} view
     * @param {{snapshots: Snapshots | null, failure: string | null}} loaded
     */
    update(view, loaded) {
      retry.hidden = !loaded.failure;
      body.hidden = !loaded.snapshots;
      status.hidden = Boolean(loaded.snapshots);
      setText(status, loaded.snapshots ? "" : (loaded.failure ?? "Loading the snapshots …"));
      lastView = view;
      if (loaded.snapshots && loaded.snapshots !== snapshots) {
        snapshots = loaded.snapshots;
        probes = [];
        slider.max = String(snapshots.length - 1);
        window.clearTimeout(timer);
        timer = window.setTimeout(measureNext, 0);
      }
      if (loaded.snapshots) say(view);
    },
    destroy() {
      window.clearTimeout(timer);
      player.stop();
    },
  };
}

/**
 * A button that walks through the snapshots; absent for readers who prefer reduced motion.
 * @param {() => number} at
 * @param {() => number} last
 * @param {(place: number) => void} pick
 */
function playButton(at, last, pick) {
  let timer = 0;
  const stop = () => {
    window.clearInterval(timer);
    timer = 0;
    setText(button, "Play");
  };
  const step = () => {
    if (!button.isConnected || !button.checkVisibility() || at() >= last()) stop();
    else pick(at() + 1);
  };
  const button = element(
    "button",
    {
      type: "button",
      class: "ex-button",
      onclick: () => {
        if (timer) return stop();
        if (at() >= last()) pick(0);
        setText(button, "Stop");
        timer = window.setInterval(step, FRAME_MS);
      },
    },
    "Play",
  );
  button.hidden = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return { element: button, stop };
}

/**
 * The loss and the highest scores of a model on the probe rows, which are always the same.
 * @param {Model} model
 * @returns {Probe}
 */
function probeOf(model) {
  const { dVocab, nCtx } = model.sizes,
    before = Number(model.bosToken !== null);
  const period = Math.min(PROBE_PERIOD, (nCtx - before) >> 1, dVocab - before);
  const { secondCopyLoss, previousToken, induction } = measured(model, {
    period,
    rows: PROBE_ROWS,
  });
  return {
    loss: secondCopyLoss,
    previousToken: Math.max(...previousToken.flat()),
    induction: Math.max(...induction.flat()),
  };
}

/** The numbers of the charts as a table. */
function probeTable() {
  const body = element("tbody");
  const heads = ["step", "second-copy loss", "previous-token", "induction"];
  return {
    element: element(
      "details",
      { class: "ex-details" },
      element("summary", {}, "The curves as a table"),
      element(
        "table",
        { class: "ex-table" },
        element(
          "thead",
          {},
          element("tr", {}, ...heads.map((name) => element("th", { scope: "col" }, name))),
        ),
        body,
      ),
    ),
    /** @param {number[]} steps @param {Probe[]} probes */
    update(steps, probes) {
      body.replaceChildren(
        ...probes.map((probe, i) =>
          element(
            "tr",
            {},
            element("th", { scope: "row" }, `${steps[i]}`),
            ...[probe.loss, probe.previousToken, probe.induction].map((x) =>
              element("td", {}, x.toFixed(2)),
            ),
          ),
        ),
      );
    },
  };
}
