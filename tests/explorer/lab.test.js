// @ts-check
/** node --test: the training panel's worker, run, settings and words, without a page. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  addToHistory,
  forgetAfter,
  formationStep,
  newLabHistory,
  pointAt,
} from "../../src/induction_heads/explorer/page/lab_history.js";
import { labRun } from "../../src/induction_heads/explorer/page/lab_run.js";
import {
  LAB_DEFAULT,
  labOptions,
  labSettingsFrom,
  labText,
  labWords,
} from "../../src/induction_heads/explorer/page/lab_settings.js";
import {
  labConclusion,
  labMeanings,
  labQuestion,
  likeliest,
} from "../../src/induction_heads/explorer/page/lab_words.js";
import { labServer } from "../../src/induction_heads/explorer/page/lab_worker.js";
import { mustBeDrawable } from "../../src/induction_heads/explorer/rows.js";
import { trainingOptions } from "../../src/induction_heads/explorer/train.js";

/** @typedef {import("../../src/induction_heads/explorer/page/lab_settings.js").LabSettings} LabSettings */

const TINY = trainingOptions({
  sizes: { dModel: 8, dHead: 4, dVocab: 10, nCtx: 12 },
  data: { batch: 2, longest: 6 },
  settings: { steps: 45 },
});

/**
 * A run whose worker is on this side. Messages wait until `deliver` is called, as they do in a page.
 * @param {import("../../src/induction_heads/explorer/train.js").Options} options
 */
function runHere(options) {
  /** @type {(() => void)[]} */
  const waiting = [];
  /** @type {string[]} */
  const said = [];
  const worker = {
    /** @type {((event: any) => void) | null} */
    onmessage: null,
    /** @type {((event: any) => void) | null} */
    onerror: null,
    terminate() {},
    postMessage: (/** @type {any} */ request) =>
      waiting.push(() => receive(structuredClone(request))),
  };
  const receive = labServer(
    (answer) => waiting.push(() => worker.onmessage?.({ data: structuredClone(answer) })),
    (work) => waiting.push(work),
  );
  const run = labRun(worker, options, {
    drawn() {},
    formed: (step) => said.push(`formed ${step}`),
    paused: (step) => said.push(`paused ${step}`),
    finished: (step) => said.push(`finished ${step}`),
    failed: (message) => said.push(`failed ${message}`),
  });
  const deliver = (until = () => false) => {
    for (let work = waiting.shift(); work; work = waiting.shift()) {
      work();
      if (until()) return;
    }
  };
  deliver();
  return { run, said, deliver };
}

test("a run trains to its last step and says so once", () => {
  const { run, said, deliver } = runHere(TINY);
  assert.equal(run.state().state, "paused");
  run.train();
  assert.equal(run.state().state, "running");
  deliver();
  const { state, history, last } = run.state();
  assert.equal(state, "finished");
  assert.equal(last?.step, 45);
  assert.equal(history.losses.length, 45);
  assert.deepEqual(
    history.points.map(({ step }) => step),
    [0, 10, 20, 30, 40, 45],
  );
  assert.deepEqual(
    said.filter((text) => !text.startsWith("formed")),
    ["finished 45"],
  );
});

test("after a look back, training forgets what came later and makes the same steps again", () => {
  const { run, said, deliver } = runHere(TINY);
  run.train();
  deliver();
  const first = structuredClone(run.state().history),
    weights = run.state().last?.weights;
  run.look(20);
  deliver();
  assert.equal(run.state().shown?.step, 20);
  assert.equal(run.state().history.losses.length, 45, "looking forgets nothing");
  run.step(1);
  deliver();
  assert.equal(run.state().last?.step, 21);
  assert.equal(run.state().shown?.step, 21);
  assert.equal(run.state().history.losses.length, 21);
  run.train();
  deliver();
  assert.deepEqual(run.state().history, first);
  assert.deepEqual(run.state().last?.weights, weights);
  assert.equal(said.filter((text) => text === "finished 45").length, 2);
});

test("a pause stops between two frames, and steps go on from there", () => {
  const { run, said, deliver } = runHere({ ...TINY, settings: { ...TINY.settings, steps: 4000 } });
  run.train();
  deliver(() => run.state().history.losses.length > 0);
  run.pause();
  deliver();
  const { state, last } = run.state(),
    at = Number(last?.step);
  assert.equal(state, "paused");
  assert.ok(at > 0 && at < 4000, `${at}`);
  assert.equal(said.at(-1), `paused ${at}`);
  run.step(10);
  deliver();
  assert.equal(run.state().last?.step, at + 10);
  assert.equal(run.state().state, "paused");
});

test("the slider may move faster than the worker answers", () => {
  const { run, deliver } = runHere(TINY);
  run.train();
  deliver();
  for (const step of [10, 20, 30, 40]) run.look(step);
  deliver();
  assert.equal(run.state().shown?.step, 40);
  run.look(10);
  run.look(null);
  deliver();
  assert.equal(run.state().shown?.step, 45);
});

test("a loss that is not finite ends the run with a message", () => {
  const { run, said, deliver } = runHere({
    ...TINY,
    settings: { ...TINY.settings, learningRate: 1e30, clip: 1e30 },
  });
  run.train();
  deliver();
  assert.equal(run.state().state, "failed");
  assert.match(
    String(said.at(-1)),
    /failed The loss became (NaN|Infinity) at step \d+: lower the learning rate/,
  );
});

test("a history refuses a gap and forgets what is rewound", () => {
  const history = newLabHistory();
  const point = (/** @type {number} */ step, induction = 0.1) => ({
    step,
    previousToken: 0,
    induction,
    secondCopyLoss: 3,
  });
  addToHistory(history, { step: 2, losses: [3, 2], points: [point(0), point(2, 0.4)] });
  assert.equal(formationStep(history), 2);
  assert.equal(pointAt(history, 1)?.step, 0);
  assert.throws(
    () => addToHistory(history, { step: 4, losses: [1], points: [] }),
    /1 losses up to step 4 after 2/,
  );
  forgetAfter(history, 1);
  assert.deepEqual(history.losses, [3]);
  assert.equal(formationStep(history), null);
});

/** @type {LabSettings[]} */
const SETTINGS = [
  LAB_DEFAULT,
  { layers: 1, heads: 4, smeared: true, repeats: false, noise: 30, seed: 9999, size: "toy" },
  { layers: 2, heads: 1, smeared: false, repeats: true, noise: 5, seed: 7, size: "small" },
  { layers: 1, heads: 2, smeared: false, repeats: true, noise: 0, seed: 0, size: "small" },
  { layers: 2, heads: 2, smeared: true, repeats: true, noise: 0, seed: 0, size: "toy" },
];

test("settings come back from their text, which an address can hold", () => {
  for (const settings of SETTINGS) {
    assert.deepEqual(labSettingsFrom(labText(settings)), settings);
    assert.match(labText(settings), /^[a-z0-9]*$/);
  }
  assert.equal(labText(LAB_DEFAULT), "");
  for (const bad of ["x", "l3h2kpr1n0e0zs", "l2h2kpr1n99e0zs", "l2h2kpr1n0e0zs?"]) {
    assert.equal(labSettingsFrom(bad), null);
  }
});

test("every choice of settings can be trained, with its own question", () => {
  for (const settings of SETTINGS) {
    const {
      sizes,
      data,
      settings: { steps },
    } = labOptions(settings);
    mustBeDrawable(data);
    assert.equal(sizes.nLayers, settings.layers);
    assert.equal(sizes.smeared, settings.smeared);
    assert.ok(data.nPos <= sizes.nCtx && steps % 10 === 0);
  }
  assert.equal(new Set(SETTINGS.map(labQuestion)).size, SETTINGS.length);
  assert.equal(
    labWords(SETTINGS[1]),
    "toy, one layer, four heads per layer, smeared keys, no repeats, noise 30 %, seed 9999",
  );
});

test("each setting in effect says what the run shows and what it does not", () => {
  assert.deepEqual(
    labMeanings(LAB_DEFAULT).map(({ of }) => of),
    ["Two layers", "Repeats", "Seed 0"],
  );
  assert.deepEqual(
    labMeanings(SETTINGS[1]).map(({ of }) => of),
    ["Smeared keys", "No repeats", "Noise 30 %", "Four heads per layer", "Toy size", "Seed 9999"],
  );
  const [noise] = labMeanings({ ...LAB_DEFAULT, noise: 30 }).filter(({ of }) =>
    of.startsWith("Noise"),
  );
  assert.match(noise.shows, /about 49 %/); // (1 − 0.3)²
});

test("the conclusion repeats what the reader expected", () => {
  const point = { step: 10, previousToken: 0, induction: 0.5, secondCopyLoss: 1 };
  const formed = { losses: new Array(10).fill(1), points: [point] };
  assert.match(labConclusion(formed, false, false), /at step 10: .*You expected none\.$/);
  assert.match(labConclusion(formed, null, true), /formed\.$/);
  const none = { losses: new Array(20).fill(1), points: [] };
  assert.equal(labConclusion(none, true, false), "");
  assert.match(
    labConclusion(none, true, true),
    /^No induction head formed in 20 steps.*You expected one\.$/,
  );
});

test("the likeliest tokens are named with their shares", () => {
  assert.equal(
    likeliest([0.1, 0.6, 0.05, 0.25], (token) => "ABCD"[token]),
    "B 60 %, D 25 %, A 10 %".replace(/ (?=[0-9%])/g, "\u00a0"),
  );
});
