// @ts-check
/** One training run as the page sees it: what was asked of the worker, and what it has answered. */

import { addToHistory, forgetAfter, formationStep, newLabHistory } from "./lab_history.js";

/** @typedef {import("./lab_history.js").LabHistory} LabHistory */
/** @typedef {import("./lab_worker.js").LabAnswer} LabAnswer */
/** @typedef {import("./lab_worker.js").LabFrame} LabFrame */
/** @typedef {import("./lab_worker.js").LabCommand} LabCommand */

/**
 * `last` is the newest frame of training, `shown` the one on display; `wanted` is the step of the
 * snapshot that the reader looks back to, or null. `asked` counts the requests.
 * @typedef {{
 *   options: import("../train.js").Options, history: LabHistory, last: LabFrame | null,
 *   shown: LabFrame | null, state: "running" | "paused" | "finished" | "failed",
 *   wanted: number | null, looking: boolean, asked: number, formed: number | null,
 * }} LabState
 */

/**
 * What a run tells: that something is to be drawn, and what a reader should hear.
 * @typedef {{
 *   drawn: () => void, formed: (step: number) => void, paused: (step: number) => void,
 *   finished: (step: number) => void, failed: (message: string) => void,
 * }} LabEvents
 */

/** The part of a Worker that a run needs.
 * @typedef {{
 *   postMessage: (message: any) => void, terminate: () => void,
 *   onmessage: ((event: any) => void) | null, onerror: ((event: any) => void) | null,
 * }} LabWorkerLike
 */

/** @typedef {ReturnType<typeof labRun>} LabRun */

/**
 * A run before its first step.
 * @param {LabWorkerLike} worker
 * @param {import("../train.js").Options} options
 * @param {LabEvents} events
 */
export function labRun(worker, options, events) {
  /** @type {LabState} */
  const own = {
    options,
    history: newLabHistory(),
    last: null,
    shown: null,
    state: "paused",
    wanted: null,
    looking: false,
    asked: 0,
    formed: null,
  };
  /** @param {LabCommand} command */
  const ask = (command) => worker.postMessage({ ...command, number: ++own.asked });
  /** @param {string} message */
  const fail = (message) => {
    own.state = "failed";
    events.failed(message);
    events.drawn();
  };
  /** @param {number} step */
  const lookAt = (step) => {
    own.looking = true;
    ask({ kind: "look", step });
  };
  /** Forget what came after the moment on display, if the reader looks back. */
  const rewindToShown = () => {
    if (own.wanted !== null) ask({ kind: "rewind", step: own.wanted });
    own.wanted = null;
  };

  worker.onmessage = ({ data }) => {
    const answer = /** @type {LabAnswer} */ (data);
    if (answer.kind === "failed") return fail(answer.message);
    if (answer.kind === "look") {
      own.looking = false;
      if (own.wanted === answer.step) own.shown = answer;
      else if (own.wanted !== null) lookAt(own.wanted);
    } else takeIn(own, answer);
    // An answer to an older request does not know what was asked since.
    const ended =
      own.state === "running" && answer.state !== "running" && answer.heard === own.asked;
    if (answer.heard === own.asked) own.state = answer.state;
    tellFormation(own, events);
    if (ended) events[own.state === "finished" ? "finished" : "paused"](answer.step);
    events.drawn();
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`The training stopped: ${event.message || "the browser refused the worker"}.`);
  };
  ask({ kind: "start", options });

  return {
    state: () => own,
    /** Train on from the moment on display. */
    train() {
      rewindToShown();
      ask({ kind: "run" });
      own.state = "running";
      events.drawn();
    },
    pause: () => ask({ kind: "pause" }),
    /** @param {number} count */
    step(count) {
      rewindToShown();
      ask({ kind: "step", count });
    },
    /**
     * Show the snapshot of a step, or the newest moment for null. A run that goes on pauses.
     * @param {number | null} step
     */
    look(step) {
      if (own.state === "running") ask({ kind: "pause" }); // Its answer holds the last steps.
      own.wanted = step;
      if (step === null) own.shown = own.last;
      else if (!own.looking) lookAt(step);
      events.drawn();
    },
    destroy: () => worker.terminate(),
  };
}

/**
 * @param {LabState} own
 * @param {LabFrame} frame
 */
function takeIn(own, frame) {
  if (frame.kind === "rewind") forgetAfter(own.history, frame.step);
  addToHistory(own.history, frame);
  own.last = frame;
  if (own.wanted === null) own.shown = frame;
}

/**
 * @param {LabState} own
 * @param {LabEvents} events
 */
function tellFormation(own, events) {
  const formed = formationStep(own.history);
  if (formed !== null && own.formed === null) events.formed(formed);
  own.formed = formed;
}
