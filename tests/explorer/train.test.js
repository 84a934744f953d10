// @ts-check
/** node --test: the trainer's state, its random numbers and its rows. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { lossAndGradient, workspaceFor } from "../../src/induction_heads/explorer/gradients.js";
import { rate } from "../../src/induction_heads/explorer/optimizer.js";
import {
  distinct,
  normal,
  randomFrom,
  uniform,
} from "../../src/induction_heads/explorer/random.js";
import { drawRows } from "../../src/induction_heads/explorer/rows.js";
import {
  deskFor,
  measured,
  modelOf,
  newTraining,
  rewind,
  takeSnapshot,
  trainingOptions,
  trainStep,
} from "../../src/induction_heads/explorer/train.js";

const SMALL = {
  sizes: { dModel: 8, dHead: 4, dVocab: 10, nCtx: 12, smeared: true },
  data: { batch: 3, longest: 6, noise: 0.1 },
  settings: { steps: 40 },
};

/** @param {import("../../src/induction_heads/explorer/train.js").Training} training @param {number} steps */
function stepped(training, steps) {
  const desk = deskFor(training);
  return Array.from({ length: steps }, () => trainStep(training, desk));
}

test("the same seed gives the same run and another seed another", () => {
  const runs = [3, 3, 4].map((seed) => {
    const training = newTraining(trainingOptions({ ...SMALL, seed }));
    stepped(training, 5);
    return training.weights;
  });
  assert.deepEqual(runs[0], runs[1]);
  assert.notDeepEqual(runs[0], runs[2]);
});

test("after a rewind the same steps follow", () => {
  const training = newTraining(trainingOptions(SMALL));
  takeSnapshot(training);
  stepped(training, 4);
  takeSnapshot(training);
  takeSnapshot(training); // Once a step.
  const after = stepped(training, 6),
    weights = training.weights.slice();
  takeSnapshot(training);
  rewind(training, 4);
  assert.equal(training.step, 4);
  assert.equal(training.losses.length, 4);
  assert.deepEqual(
    training.snapshots.map((snapshot) => snapshot.step),
    [0, 4],
  );
  assert.deepEqual(stepped(training, 6), after);
  assert.deepEqual(training.weights, weights);
  assert.throws(() => rewind(training, 7), /no snapshot of step 7\. Snapshots: 0, 4/);
});

test("a snapshot does not change with later steps", () => {
  const training = newTraining(trainingOptions(SMALL));
  takeSnapshot(training);
  const [{ weights, random }] = training.snapshots,
    before = weights.slice(),
    at = random.slice();
  stepped(training, 2);
  assert.deepEqual(weights, before);
  assert.deepEqual(random, at);
  assert.notDeepEqual(training.weights, before);
});

test("a run that was sent to a worker goes on as it would have here", () => {
  const here = newTraining(trainingOptions(SMALL));
  stepped(here, 3);
  const there = structuredClone(here);
  assert.deepEqual(stepped(there, 3), stepped(here, 3));
});

test("measures are those of an untrained model before training", () => {
  const { previousToken, induction, secondCopyLoss } = measured(
    modelOf(newTraining(trainingOptions())),
  );
  assert.ok(previousToken.flat().every((score) => score > 0.01 && score < 0.3));
  assert.ok(induction.flat().every((score) => score > 0.01 && score < 0.15));
  assert.ok(Math.abs(secondCopyLoss - Math.log(32)) < 1);
});

test("uniform numbers fill [0, 1) evenly and normal ones have mean 0 and variance 1", () => {
  const random = randomFrom(7),
    count = 40_000;
  const even = Array.from({ length: count }, () => uniform(random));
  assert.ok(even.every((x) => x >= 0 && x < 1));
  const mean = even.reduce((sum, x) => sum + x, 0) / count;
  assert.ok(Math.abs(mean - 0.5) < 0.01, `${mean}`);
  const bell = Array.from({ length: count }, () => normal(random));
  const center = bell.reduce((sum, x) => sum + x, 0) / count;
  const square = bell.reduce((sum, x) => sum + x * x, 0) / count;
  assert.ok(Math.abs(center) < 0.02 && Math.abs(square - 1) < 0.03, `${center} ${square}`);
  assert.notEqual(uniform(randomFrom(0)), uniform(randomFrom(1)));
});

test("distinct numbers are distinct, and each is as likely at each place", () => {
  const random = randomFrom(1),
    counts = new Array(5).fill(0);
  for (let i = 0; i < 5000; i++) {
    const drawn = distinct(random, 5, 3);
    assert.equal(new Set(drawn).size, 3);
    counts[drawn[2]] += 1;
  }
  assert.ok(
    counts.every((n) => Math.abs(n - 1000) < 150),
    `${counts}`,
  );
  assert.throws(() => distinct(random, 2, 3), /3 different tokens/);
});

test("rows repeat a block as often as asked, or not at all", () => {
  const data = {
    dVocab: 40,
    nPos: 30,
    batch: 50,
    repeats: true,
    copies: 3,
    shortest: 4,
    longest: 7,
    noise: 0,
  };
  const rows = new Int32Array(50 * 30),
    periods = new Set();
  drawRows(data, randomFrom(2), rows);
  for (let row = 0; row < 50; row++) {
    const own = Array.from(rows.subarray(row * 30, (row + 1) * 30));
    const period = own.indexOf(own[0], 1);
    periods.add(period);
    assert.deepEqual(own.slice(period, 3 * period), own.slice(0, 2 * period));
    assert.equal(new Set(own.slice(0, period)).size, period);
    assert.notDeepEqual(own.slice(3 * period, 4 * period), own.slice(0, period));
  }
  assert.deepEqual([...periods].sort(), [4, 5, 6, 7]);
  drawRows({ ...data, repeats: false }, randomFrom(2), rows);
  assert.equal(new Set(rows.subarray(0, 30)).size, 30);
});

test("noise replaces its share of the tokens", () => {
  const data = {
    dVocab: 1000,
    nPos: 30,
    batch: 200,
    repeats: true,
    copies: 2,
    shortest: 5,
    longest: 5,
    noise: 0.2,
  };
  const rows = new Int32Array(200 * 30);
  drawRows(data, randomFrom(3), rows);
  let broken = 0;
  for (let row = 0; row < 200; row++) {
    for (let pos = 0; pos < 5; pos++)
      broken += +(rows[row * 30 + pos] !== rows[row * 30 + pos + 5]);
  }
  assert.ok(Math.abs(broken / 1000 - (1 - 0.8 ** 2)) < 0.05, `${broken}`);
});

test("the learning rate warms up, stays and falls to zero", () => {
  const settings = { ...trainingOptions().settings, steps: 100, warmup: 10, decay: 0.3 };
  assert.deepEqual(
    [0, 9, 50, 70, 85, 100].map((step) => +rate(settings, step).toFixed(6)),
    [0.1, 1, 1, 1, 0.5, 0],
  );
  assert.equal(rate({ ...settings, decay: 0 }, 99), 1);
});

test("options that do not fit together are refused", () => {
  /** @param {any} changed @param {RegExp} message */
  const refused = (changed, message) =>
    assert.throws(() => newTraining(trainingOptions(changed)), message);
  refused({ data: { repeats: false }, sizes: { dVocab: 20 } }, /32 tokens without a repeat/);
  refused({ data: { longest: 40 } }, /Blocks of 4 to 40/);
  refused({ data: { noise: 2 } }, /noise=2/);
  refused({ data: { nPos: 40 } }, /Rows of 40 tokens/);
  const { sizes } = trainingOptions({ sizes: { layerNorm: true } });
  assert.throws(() => workspaceFor(sizes, 1, 8, new Float32Array(1)), /layer norm/);
});

test("a loss that is not finite stops the run", () => {
  const training = newTraining(trainingOptions(SMALL));
  training.weights.fill(1e30);
  assert.throws(() => stepped(training, 1), /The loss became NaN at step 0/);
});

test("the loss of even logits is the logarithm of the vocabulary", () => {
  const training = newTraining(trainingOptions(SMALL)),
    desk = deskFor(training);
  const model = modelOf(training);
  model.weights.W_U.fill(0);
  assert.ok(Math.abs(lossAndGradient(model, desk.tokens, desk.work) - Math.log(10)) < 1e-6);
});
