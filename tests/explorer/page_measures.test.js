// @ts-check
/** node --test: what the page says of a row, and the view of a state. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/induction_heads/explorer/model.js";
import { newState } from "../../src/induction_heads/explorer/page/explorer_state.js";
import {
  explorerView,
  referenceRows,
} from "../../src/induction_heads/explorer/page/explorer_view.js";
import {
  headScores,
  inductionAnswer,
  lastCopyLoss,
  lastCopyStart,
  patternOf,
  percent,
  previousTokenHead,
  probabilityOf,
  signed,
  topTokens,
} from "../../src/induction_heads/explorer/page/strip_measures.js";
import { inductionScore } from "../../src/induction_heads/explorer/scores.js";
import { modelOf, newTraining, trainingOptions } from "../../src/induction_heads/explorer/train.js";

const model = modelOf(
  newTraining(trainingOptions({ sizes: { nCtx: 12, dVocab: 12 }, data: { longest: 6 } })),
);
const ROW = [3, 1, 4, 3, 1, 4];
const OUT = run(model, ROW);

/** @param {number} a @param {number | null} b */
const near = (a, b) => assert.ok(b !== null && Math.abs(a - b) < 1e-6, `${a} ${b}`);

test("an induction head says what came after the last time", () => {
  assert.deepEqual(inductionAnswer([0, 1, 2, 0, 1], 4), { token: 2, source: 2 });
  assert.deepEqual(inductionAnswer([0, 0, 1, 0], 3), { token: 1, source: 2 });
  assert.equal(inductionAnswer([0, 1, 2], 2), null);
});

test("the last copy starts where it is whole, or where it has begun", () => {
  assert.deepEqual(
    [
      lastCopyStart(5, 3),
      lastCopyStart(6, 3),
      lastCopyStart(9, 3),
      lastCopyStart(3, 3),
      lastCopyStart(4, null),
    ],
    [3, 3, 6, null, null],
  );
});

test("the loss of the last copy counts from its second token", () => {
  near((OUT.losses[3] + OUT.losses[4]) / 2, lastCopyLoss(OUT, 3));
  const begun = run(model, ROW.slice(0, 5));
  near(begun.losses[3], lastCopyLoss(begun, 3));
  assert.equal(lastCopyLoss(run(model, ROW.slice(0, 4)), 3), null);
  assert.equal(lastCopyLoss(OUT, null), null);
});

test("the induction score of whole copies is that of the engine", () => {
  near(inductionScore(patternOf(OUT, [1, 1]), 6, 3), headScores(OUT, [1, 1], 3).induction);
  const row = [1, 2, 1, 2, 1, 2, 1, 2],
    out = run(model, row);
  near(inductionScore(patternOf(out, [1, 0]), 8, 2), headScores(out, [1, 0], 2).induction);
  const begun = run(model, ROW.slice(0, 5)),
    pattern = patternOf(begun, [1, 0]);
  near((pattern[3 * 5 + 1] + pattern[4 * 5 + 2]) / 2, headScores(begun, [1, 0], 3).induction);
  assert.deepEqual(headScores(run(model, [1]), [0, 0], null), {
    previousToken: null,
    induction: null,
  });
});

test("the most probable tokens are in order and include the requested one", () => {
  const all = topTokens(OUT, 2, 12);
  near(
    1,
    all.reduce((sum, { probability }) => sum + probability, 0),
  );
  assert.ok(all.every(({ probability }, i) => !i || probability <= all[i - 1].probability));
  near(all[7].probability, probabilityOf(OUT, 2, all[7].token));
  const few = topTokens(OUT, 2, 3, [all[7].token, null, all[0].token]);
  assert.deepEqual(
    few.map(({ token }) => token),
    [all[0].token, all[1].token, all[7].token],
  );
});

test("the previous-token head is looked for before the last layer", () => {
  assert.equal(previousTokenHead(OUT)?.[0], 0);
  const one = modelOf(newTraining(trainingOptions({ sizes: { nLayers: 1 } })));
  assert.equal(previousTokenHead(run(one, ROW)), null);
});

test("numbers in words", () => {
  assert.deepEqual([0, 0.0004, 0.005, 0.0996, 0.934, 1].map(percent), [
    "0.0%",
    "<0.1%",
    "0.5%",
    "10%",
    "93%",
    "100%",
  ]);
  assert.deepEqual(
    [signed(1.234), signed(-0.5), signed(0.001), signed(-0.001)],
    ["+1.23", "−0.50", "0.00", "0.00"],
  );
});

test("a view keeps the runs that did not change", () => {
  const shown = { name: "m", title: "m", step: null, model, words: [], beside: null };
  const memory = new Map();
  const state = newState({ tokens: ROW, off: [{ head: [0, 0], how: "zero" }] });
  const first = explorerView(state, shown, memory);
  const second = explorerView({ ...state, query: 2 }, shown, memory);
  assert.ok(first.clean === second.clean && first.out === second.out);
  assert.notEqual(first.out, first.clean);
  assert.deepEqual([first.query, second.query, first.period, first.wholeCopies], [5, 2, 3, true]);
  const plain = explorerView(newState({ tokens: ROW }), shown, memory);
  assert.equal(plain.out, plain.clean);
});

test("freezing without another change changes nothing", () => {
  const shown = { name: "m", title: "m", step: null, model, words: [], beside: null };
  const { out, clean } = explorerView(newState({ tokens: ROW, freeze: true }), shown, new Map());
  assert.notEqual(out, clean);
  assert.deepEqual(out.logits, clean.logits);
});

test("a stripe is knocked out only where two whole copies stand", () => {
  const shown = { name: "m", title: "m", step: null, model, words: [], beside: null };
  const whole = explorerView(newState({ tokens: ROW, knockout: [[1, 0]] }), shown, new Map());
  assert.deepEqual(whole.change.knockout, [{ head: [1, 0], period: 3 }]);
  const begun = explorerView(
    newState({ tokens: ROW.slice(0, 5), knockout: [[1, 0]] }),
    shown,
    new Map(),
  );
  assert.equal(begun.change.knockout, undefined);
  assert.equal(begun.out, begun.clean);
  assert.equal(begun.changes, 0);
});

test("reference rows have the length of the strip and do not change", () => {
  for (const nPos of [1, 5, 12]) {
    const rows = referenceRows(model, nPos);
    assert.equal(rows.length, 64);
    assert.ok(rows.every((row) => row.length === nPos));
    assert.deepEqual(rows, referenceRows(model, nPos));
  }
});
