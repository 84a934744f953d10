// @ts-check
/** node --test: products of any shape, the knocked-out stripe, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { contributions } from "../../src/induction_heads/explorer/contributions.js";
import { knockOutStripes } from "../../src/induction_heads/explorer/interventions.js";
import { meanMixed, probabilities, run } from "../../src/induction_heads/explorer/model.js";
import {
  addProduct,
  addTransposedProduct,
  matrix,
  transposed,
} from "../../src/induction_heads/explorer/products.js";
import { normal, randomFrom } from "../../src/induction_heads/explorer/random.js";
import {
  evenPrefixMatchingScore,
  inductionScore,
  keysAfterCopies,
  prefixMatchingScore,
  previousTokenScore,
} from "../../src/induction_heads/explorer/scores.js";
import { modelIn } from "../../src/induction_heads/explorer/sizes.js";
import { modelOf, newTraining, trainingOptions } from "../../src/induction_heads/explorer/train.js";
import { modelFrom } from "../../src/induction_heads/explorer/weights.js";

const model = modelOf(
  newTraining(trainingOptions({ sizes: { nCtx: 10, dVocab: 12 }, data: { longest: 5 } })),
);
const ROW = [3, 1, 4, 1, 5, 9, 2, 6];

test("products of any shape equal the plain sum, inside larger arrays too", () => {
  const random = randomFrom(0);
  /** @param {number} length */
  const drawn = (length) => Float64Array.from({ length }, () => normal(random));
  for (const [m, k, n] of [
    [1, 1, 1],
    [2, 3, 4],
    [5, 7, 9],
    [4, 6, 8],
    [3, 2, 11],
    [8, 1, 3],
  ]) {
    const left = matrix(drawn(200), m, k, 3, k + 2),
      right = matrix(drawn(200), k, n, 5, n + 1);
    const out = matrix(drawn(200), m, n, 7, n + 3),
      before = out.data.slice();
    const expected = before.slice();
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        for (let p = 0; p < k; p++) {
          expected[7 + i * (n + 3) + j] +=
            left.data[3 + i * (k + 2) + p] * right.data[5 + p * (n + 1) + j];
        }
      }
    }
    addProduct(out, left, right);
    assert.ok(
      out.data.every((x, i) => Math.abs(x - expected[i]) < 1e-12),
      `${m} ${k} ${n}`,
    );
    out.data.set(before);
    addTransposedProduct(out, transposed(left), right);
    assert.ok(
      out.data.every((x, i) => Math.abs(x - expected[i]) < 1e-12),
      `${m} ${k} ${n}`,
    );
  }
  const square = matrix(drawn(4), 2, 2);
  assert.throws(() => addProduct(square, square, matrix(drawn(6), 3, 2)), /cannot be added/);
});

test("a row whose whole weight is on the stripe is spread evenly over the rest", () => {
  const pattern = new Float32Array(16);
  pattern.set([1, 0, 0, 0, 0.5, 0.5, 0, 0, 0, 1, 0, 0, 0.1, 0.3, 0.4, 0.2]);
  knockOutStripes(pattern, 0, [5, 7, 5, 7]);
  const expected = [1, 0, 0, 0, 0.5, 0.5, 0, 0, 0.5, 0, 0.5, 0, 1 / 6, 0.5, 0, 1 / 3];
  assert.ok(
    pattern.every((x, i) => Math.abs(x - expected[i]) < 1e-6),
    `${pattern}`,
  );
});

test("of three copies both stripes are knocked out, and a query that repeats nothing keeps its row", () => {
  const nPos = 6,
    pattern = new Float32Array(36);
  for (let query = 0; query < nPos; query++) {
    pattern.fill(1 / (query + 1), query * nPos, query * nPos + query + 1);
  }
  knockOutStripes(pattern, 0, [1, 2, 1, 2, 1, 2]);
  const row = (/** @type {number} */ query) =>
    Array.from(pattern.subarray(query * nPos, query * nPos + nPos), (x) => +x.toFixed(4));
  assert.deepEqual(row(1), [0.5, 0.5, 0, 0, 0, 0]);
  assert.deepEqual(row(3), [0.3333, 0.3333, 0, 0.3333, 0, 0]);
  assert.deepEqual(row(4), [0.3333, 0, 0.3333, 0, 0.3333, 0]);
  assert.deepEqual(row(5), [0.25, 0.25, 0, 0.25, 0, 0.25]);
});

test("the prefix-matching score counts every key after an earlier copy", () => {
  const tokens = [5, 7, 5, 5];
  assert.deepEqual(
    [0, 1, 2, 3].map((query) => keysAfterCopies(tokens, query)),
    [[], [], [1], [1, 3]],
  );
  const pattern = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0.25, 0.75, 0, 0, 0, 0.5, 0.25, 0.25);
  assert.equal(prefixMatchingScore(pattern, tokens), 0.75);
  assert.equal(evenPrefixMatchingScore(tokens), (1 / 3 + 2 / 4) / 2);
  assert.equal(prefixMatchingScore(pattern, [1, 2, 3, 4]), null);
  assert.equal(prefixMatchingScore(Float32Array.of(1), [3]), null);
});

test("scores by hand", () => {
  const pattern = Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 0, 0.5, 0.5, 0, 0, 0.25, 0.75, 0);
  assert.equal(previousTokenScore(pattern, 4), 2.25 / 3);
  assert.equal(inductionScore(pattern, 4, 2), 1.25 / 2);
  assert.throws(() => inductionScore(pattern, 4, 3), /does not fit twice/);
});

test("probabilities add up to one and losses are their logarithms", () => {
  const out = run(model, ROW);
  for (let pos = 0; pos + 1 < ROW.length; pos++) {
    const chances = Array.from(probabilities(out, pos));
    assert.ok(Math.abs(chances.reduce((sum, x) => sum + x, 0) - 1) < 1e-6);
    assert.ok(Math.abs(out.losses[pos] + Math.log(chances[ROW[pos + 1]])) < 1e-5);
  }
});

test("a change leaves the model and its own inputs as they were", () => {
  const clean = run(model, ROW),
    weights = model.weights["layers.1.W_Q"].slice();
  const frozen = clean.patterns.map((pattern) => pattern.slice());
  run(model, ROW, { frozen: clean.patterns, knockout: [{ head: [1, 0] }] });
  assert.deepEqual(clean.patterns, frozen);
  assert.deepEqual(model.weights["layers.1.W_Q"], weights);
  assert.deepEqual(run(model, ROW).logits, clean.logits);
});

test("a mean over one row is that row", () => {
  const means = meanMixed(model, [ROW]);
  /** @type {import("../../src/induction_heads/explorer/interventions.js").Interventions} */
  const change = {
    off: [
      { head: [0, 1], how: "mean" },
      { head: [1, 0], how: "mean" },
    ],
    means,
  };
  assert.deepEqual(run(model, ROW, change).logits, run(model, ROW).logits);
  assert.throws(() => meanMixed(model, [ROW, [1]]), /rows of equal length/);
});

test("what does not fit is refused with what is needed", () => {
  /** @param {any} change @param {RegExp} message */
  const refused = (change, message) => assert.throws(() => run(model, ROW, change), message);
  refused({ off: [{ head: [2, 0], how: "zero" }] }, /no L2H0 in 2 layers/);
  refused({ off: [{ head: [1, 0], how: "mean" }] }, /meanMixed, on rows of 8 tokens/);
  refused({ cut: [{ sender: [1, 0], receiver: [1, 1], side: "Q" }] }, /earlier layer/);
  refused({ cut: [{ sender: [0, 0], receiver: [1, 1], side: "O" }] }, /choose Q, K or V/);
  refused({ knockout: [{ head: [1, 5] }] }, /no L1H5/);
  refused({ frozen: [null, new Float32Array(3)] }, /layer 1 have 3 numbers; 128 are needed/);
  assert.throws(() => run(model, [12]), /Token 12 is not one of 0 to 11/);
  assert.throws(() => run(model, []), /Got 0 tokens; this model takes 1 to 10/);
  assert.throws(() => contributions(model, run(model, ROW), 8, 0), /query 8 of 8/);
  assert.throws(() => modelIn(new Float32Array(3), model.sizes), /Got 3 numbers/);
  const stored = { format: 9, name: "m", sizes: model.sizes, bosToken: null, weights: "" };
  assert.throws(() => modelFrom(stored), /stored in format 9; this reader knows 2/);
  assert.throws(() => modelFrom({ ...stored, format: 2 }), /0 bytes hold fewer than/);
});
