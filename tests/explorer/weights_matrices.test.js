// @ts-check
/** node --test: what the weights view refuses, and its diagonal share. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { modelOf, newTraining, trainingOptions } from "../../src/induction_heads/explorer/train.js";
import {
  composedWith,
  diagonalShare,
  kComposedQkCircuit,
  kCompositionScore,
  qkCircuit,
} from "../../src/induction_heads/explorer/weights_matrices.js";

const model = modelOf(newTraining(trainingOptions({ sizes: { dVocab: 20, nHeads: 3 } })));

test("the share counts rows whose largest entry is on the diagonal", () => {
  assert.equal(diagonalShare([3, 1, 2, 0, 4, 1, 5, 0, 1], 3), 2 / 3);
  assert.equal(diagonalShare([1, 1, 0, 0], 2), 0.5); // Of two equal ones, the first.
});

test("earlier heads come in the order of their scores", () => {
  const found = composedWith(model, [1, 2]);
  assert.deepEqual(found.map(({ head }) => head.join()).sort(), ["0,0", "0,1", "0,2"]);
  assert.ok(found[0].score >= found[1].score && found[1].score >= found[2].score);
  assert.ok(found.every(({ score }) => score > 0 && score <= 1));
  assert.deepEqual(composedWith(model, [0, 1]), []);
});

test("a head that is not earlier, or does not exist, is refused", () => {
  assert.throws(
    () => kComposedQkCircuit(model, [1, 0], [1, 1]),
    /L1H0 is not in an earlier layer than L1H1/,
  );
  assert.throws(() => kCompositionScore(model, [1, 0], [0, 1]), /not in an earlier layer/);
  assert.throws(() => qkCircuit(model, [0, 3]), /no L0H3 in 2 layers of 3 heads/);
});
