// @ts-check
/** Training in a Web Worker: what the page asks, what the worker answers, and how it is started. */

import {
  deskFor,
  measured,
  modelOf,
  newTraining,
  rewind,
  takeSnapshot,
  trainStep,
} from "../train.js";
import { labPoint } from "./lab_history.js";

/** @typedef {import("../train.js").Options} Options */
/** @typedef {import("../train.js").Training} Training */
/** @typedef {import("./lab_history.js").LabPoint} LabPoint */

/**
 * Commands of the page; a request is a command with its number. `run` is answered by many frames,
 * each other command by one. `look` pauses training and shows a snapshot; `rewind` also discards
 * everything after it.
 * @typedef {{kind: "start", options: Options} | {kind: "run"} | {kind: "pause"}
 *   | {kind: "step", count: number} | {kind: "look", step: number}
 *   | {kind: "rewind", step: number}} LabCommand
 * @typedef {LabCommand & {number: number}} LabRequest
 */

/**
 * `losses` and `points` are those since the last frame. `weights` is a copy of those at `step`.
 * `heard` is the number of the last request that was done before.
 * @typedef {{
 *   kind: "trained" | "look" | "rewind", heard: number, step: number, losses: Float64Array, points: LabPoint[],
 *   weights: Float32Array, state: "running" | "paused" | "finished",
 * }} LabFrame
 */

/** @typedef {LabFrame | {kind: "failed", step: number, message: string}} LabAnswer */

/**
 * A run on the bench. `points` and the losses from `sent` on were not yet answered.
 * @typedef {{
 *   training: Training, desk: import("../train.js").Desk, points: LabPoint[], sent: number,
 *   running: boolean, heard: number,
 * }} Bench
 */

/** Steps between snapshots, at which the scores are also measured. */
const LAB_INTERVAL = 10;
/** Milliseconds of training before waiting messages are handled. */
const LAB_SLICE = 12;
/** Minimum milliseconds between two frames. */
const LAB_PAUSE = 30;

/**
 * A training run that answers requests. `later` calls a function soon, but after waiting messages.
 * @param {(answer: LabAnswer) => void} answer
 * @param {(work: () => void) => void} later
 * @returns {(request: LabRequest) => void}
 */
export function labServer(answer, later) {
  /** @type {Bench | null} */
  let bench = null;
  let waiting = false,
    lastFrame = 0;

  const send = () => {
    lastFrame = performance.now();
    answer(trainedFrame(/** @type {Bench} */ (bench)));
  };
  const goOn = () => {
    if (!bench?.running || waiting) return;
    waiting = true;
    later(() => guarded(slice));
  };
  /** @param {() => void} work */
  const guarded = (work) => {
    try {
      work();
    } catch (error) {
      if (bench) bench.running = false;
      const { message } = /** @type {Error} */ (error);
      answer({ kind: "failed", step: bench?.training.step ?? 0, message });
    }
  };
  const slice = () => {
    waiting = false;
    if (!bench?.running) return;
    const end = performance.now() + LAB_SLICE;
    do stepOn(bench);
    while (bench.running && performance.now() < end);
    if (!bench.running || performance.now() - lastFrame >= LAB_PAUSE) send();
    goOn();
  };

  return (request) =>
    guarded(() => {
      if (request.kind === "start") bench = newBench(request.options);
      if (!bench) throw new RangeError(`Got the request "${request.kind}" before "start".`);
      bench.heard = request.number;
      bench.running = request.kind === "run" && !isFinished(bench.training);
      if (request.kind === "run") goOn();
      else if (request.kind === "look") answer(lookedAt(bench, request.step));
      else if (request.kind === "rewind") answer(rewound(bench, request.step));
      else {
        for (let i = 0; i < (request.kind === "step" ? request.count : 0); i++) stepOn(bench);
        send();
      }
    });
}

/**
 * @param {Options} options
 * @returns {Bench}
 */
function newBench(options) {
  const training = newTraining(options);
  const desk = deskFor(training);
  const bench = { training, desk, points: [], sent: 0, running: false, heard: 0 };
  keepMoment(bench);
  return bench;
}

/** @param {Training} training */
function isFinished({ step, options }) {
  return step >= options.settings.steps;
}

/**
 * Make one step unless the run is finished.
 * @param {Bench} bench
 */
function stepOn(bench) {
  if (!isFinished(bench.training)) {
    trainStep(bench.training, bench.desk);
    keepMoment(bench);
  }
  if (isFinished(bench.training)) bench.running = false;
}

/**
 * Take a snapshot and measure it, if the step is a multiple of the interval.
 * @param {Bench} bench
 */
function keepMoment({ training, points }) {
  if (training.step % LAB_INTERVAL !== 0 && !isFinished(training)) return;
  takeSnapshot(training);
  points.push(labPoint(training.step, measured(modelOf(training))));
}

/**
 * @param {Bench} bench
 * @returns {LabFrame}
 */
function trainedFrame(bench) {
  const { training, points, sent, running, heard } = bench;
  [bench.sent, bench.points] = [training.step, []];
  const state = isFinished(training) ? "finished" : running ? "running" : "paused";
  const losses = Float64Array.from(training.losses.slice(sent)),
    weights = training.weights.slice();
  return { kind: "trained", heard, step: training.step, losses, points, weights, state };
}

/**
 * @param {Bench} bench
 * @param {number} step
 * @returns {LabFrame}
 */
function lookedAt({ training, heard }, step) {
  const found = training.snapshots.find((snapshot) => snapshot.step === step);
  if (!found) throw new RangeError(`There is no snapshot of step ${step}.`);
  const state = isFinished(training) ? "finished" : "paused",
    weights = found.weights.slice();
  return { kind: "look", heard, step, losses: new Float64Array(0), points: [], weights, state };
}

/**
 * @param {Bench} bench
 * @param {number} step
 * @returns {LabFrame}
 */
function rewound(bench, step) {
  rewind(bench.training, step);
  [bench.sent, bench.points] = [step, []];
  return { ...trainedFrame(bench), kind: "rewind" };
}

/** Serve the page that started this worker. Called inside the worker. */
export function serveLab() {
  const channel = new MessageChannel();
  /** @type {(() => void)[]} */
  const work = [];
  channel.port1.onmessage = () => work.shift()?.();
  const receive = labServer(
    (answer) => {
      const moved = answer.kind === "failed" ? [] : [answer.weights.buffer, answer.losses.buffer];
      globalThis.postMessage(answer, { transfer: moved });
    },
    (one) => {
      work.push(one);
      channel.port2.postMessage(null);
    },
  );
  globalThis.onmessage = ({ data }) => receive(data);
}

/**
 * A worker with `serveLab`. It gets the text of the script's own function, so that a page opened
 * from disk can start it without loading a file. Throws an Error if the browser has no workers.
 * @returns {Worker}
 */
export function labWorker() {
  if (typeof Worker !== "function") {
    throw new Error(
      "This browser has no Web Workers, so it cannot train here. The other parts work.",
    );
  }
  const source = `(${ownSource()})().serveLab();`;
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  const worker = new Worker(address);
  worker.addEventListener("message", () => URL.revokeObjectURL(address), { once: true });
  return worker;
}

/* global explorerBody */
function ownSource() {
  // @ts-expect-error The name of the function that script.py puts around all modules.
  if (typeof explorerBody === "function") return String(explorerBody);
  throw new Error(
    "Training needs the explorer's one script: import of single modules cannot start it.",
  );
}
