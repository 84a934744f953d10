// @ts-check
/** The panel in which the reader trains a small model and watches the phase change. */

import { modelIn } from "../sizes.js";
import { element } from "./elements.js";
import { newLabHistory } from "./lab_history.js";
import { labParts, showControls, showCurves, stopsOf } from "./lab_parts.js";
import { labRun } from "./lab_run.js";
import { LAB_DEFAULT, labOptions, labSettingsFrom, labText, labWords } from "./lab_settings.js";
import { labConclusion, labMeanings, labQuestion } from "./lab_words.js";
import { labWorker } from "./lab_worker.js";
import { watchedScheme } from "./scheme_watch.js";

/** @typedef {{announce: (text: string) => void, changed: () => void}} PanelHost */
/** @typedef {{
 *   model: import("../sizes.js").Model, name: string, title: string,
 *   out: import("../model.js").Run, tokens: number[], words: string[],
 *   head: import("../sizes.js").Head,
 * }} PanelView
 */
/** @typedef {{
 *   element: HTMLElement, show: (view: PanelView) => void, hide: () => void, destroy: () => void,
 *   settings: () => string, restore: (text: string) => void,
 * }} Panel
 */

/** Milliseconds between two drawings of a run if the reader prefers reduced motion. */
const CALM = 500;

/**
 * The training panel. A run goes on while the panel is hidden.
 * @param {PanelHost} host
 * @returns {Panel}
 */
export function labPanel(host) {
  const parts = labParts(() => {
    renew();
    host.changed();
  });
  const { form, expectation, buttons, slider } = parts;
  /** @type {import("./lab_run.js").LabRun | null} */
  let current = null;
  let before = { history: newLabHistory(), words: "" },
    words = "",
    visible = false;
  /** @type {{tokens: number[], words: string[]}} */
  let strip = { tokens: [], words: [] };

  const draw = () => {
    const own = current?.state() ?? null;
    showControls(parts, own);
    showCurves(parts, own, before, own?.options ?? labOptions(form.get()));
    if (!own?.shown) parts.patterns.clear();
    else parts.patterns.show({ model: modelIn(own.shown.weights, own.options.sizes), ...strip });
  };
  const schedule = drawnOnce(
    draw,
    () => visible,
    () => current?.state().state === "running",
  );

  /** @param {string} text */
  const complain = (text) => {
    parts.message.textContent = text;
    host.announce(text);
  };
  const events = {
    drawn: schedule,
    formed: (/** @type {number} */ step) =>
      host.announce(`Phase change at step ${step}: an induction head has formed.`),
    paused: (/** @type {number} */ step) => host.announce(`Paused at step ${step}.`),
    finished: (/** @type {number} */ step) => {
      const conclusion = current
        ? labConclusion(current.state().history, expectation.answer(), true)
        : "";
      host.announce(`Finished after ${step} steps. ${conclusion}`);
    },
    failed: complain,
  };

  /** The run, made if there is none; null where it cannot be. */
  const begun = () => {
    if (current) return current;
    parts.message.textContent = "";
    try {
      current = labRun(labWorker(), labOptions(form.get()), events);
      words = labWords(form.get());
    } catch (error) {
      complain(/** @type {Error} */ (error).message);
    }
    return current;
  };

  /** Put the run aside; it stays in the charts, pale. */
  const renew = () => {
    const own = current?.state();
    if (own && own.history.points.length > 1) before = { history: own.history, words };
    current?.destroy();
    current = null;
    parts.message.textContent = "";
    const settings = form.get();
    expectation.ask(labQuestion(settings));
    parts.meanings.replaceChildren(
      ...labMeanings(settings).map(({ of, shows, not }) =>
        element("li", {}, element("strong", {}, `${of}.`), ` Shows ${shows} Does not show ${not}`),
      ),
    );
    schedule();
  };

  buttons.train.addEventListener("click", () => {
    if (current?.state().state === "running") return current.pause();
    const { state, wanted } = current?.state() ?? {};
    if (state === "failed" || (state === "finished" && wanted === null)) renew();
    const run = begun();
    if (!run) return;
    const from = run.state().wanted ?? run.state().last?.step ?? 0;
    host.announce(
      from ? `Training continues from step ${from}.` : `Training started: ${labWords(form.get())}.`,
    );
    run.train();
  });
  for (const [button, count] of /** @type {const} */ ([
    [buttons.one, 1],
    [buttons.ten, 10],
  ])) {
    button.addEventListener("click", () => {
      if (button.getAttribute("aria-disabled") !== "true") begun()?.step(count);
    });
  }
  buttons.again.addEventListener("click", () => {
    renew();
    host.announce("Back at the start.");
  });
  slider.addEventListener("input", () => {
    if (!current) return;
    const stops = stopsOf(current.state()),
      at = Number(slider.value);
    current.look(at < stops.length - 1 ? stops[at] : null);
  });
  parts.details.addEventListener("toggle", schedule);
  const unwatch = watchedScheme(schedule);
  renew();

  return {
    element: parts.element,
    show({ tokens, words }) {
      strip = { tokens, words };
      visible = true;
      schedule();
    },
    hide() {
      visible = false;
    },
    destroy() {
      unwatch();
      visible = false;
      current?.destroy();
      current = null;
    },
    settings: () => labText(form.get()),
    restore(text) {
      const settings = labSettingsFrom(text);
      if (settings && labText(settings) === labText(form.get())) return;
      form.set(settings ?? LAB_DEFAULT);
      renew();
      if (!settings) complain(`The training settings in the link (${text}) cannot be read.`);
    },
  };
}

/**
 * A function that has `draw` called once before the next frame is painted, while `visible`; less
 * often while `moving`, if the reader prefers reduced motion.
 * @param {() => void} draw
 * @param {() => boolean} visible
 * @param {() => boolean} moving
 */
function drawnOnce(draw, visible, moving) {
  let due = false,
    last = 0;
  const now = () => {
    due = false;
    last = performance.now();
    if (visible()) draw();
  };
  return () => {
    if (due || !visible()) return;
    due = true;
    const calm = moving() && matchMedia("(prefers-reduced-motion: reduce)").matches;
    const wait = calm ? last + CALM - performance.now() : 0;
    if (wait > 0) setTimeout(now, wait);
    else requestAnimationFrame(now);
  };
}
