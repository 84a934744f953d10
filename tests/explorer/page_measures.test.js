// @ts-check
/** node --test: what the page says of a row, and the view of a state. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "../../src/induction_heads/explorer/model.js";
import { newState } from "../../src/induction_heads/explorer/page/explorer_state.js";
import {
  explorerView,
  referenceRows,
  viewBeside,
} from "../../src/induction_heads/explorer/page/explorer_view.js";
import { scoresMeaning } from "../../src/induction_heads/explorer/page/pattern_grid.js";
import {
  lossInWords,
  needsInWords,
} from "../../src/induction_heads/explorer/page/prediction_bars.js";
import { editedRow } from "../../src/induction_heads/explorer/page/strip_buttons.js";
import {
  copiesIn,
  evenScores,
  headScores,
  inductionAnswer,
  patternOf,
  percent,
  previousTokenHead,
  probabilityOf,
  repeatLoss,
  repeatLossName,
  signed,
  topTokens,
} from "../../src/induction_heads/explorer/page/strip_measures.js";
import { defaultWords } from "../../src/induction_heads/explorer/page/token_edits.js";
import { randomFrom } from "../../src/induction_heads/explorer/random.js";
import { inductionScore } from "../../src/induction_heads/explorer/scores.js";
import { modelOf, newTraining, trainingOptions } from "../../src/induction_heads/explorer/train.js";

const model = modelOf(
  newTraining(trainingOptions({ sizes: { nCtx: 12, dVocab: 12 }, data: { longest: 6 } })),
);
const ROW = [3, 1, 4, 3, 1, 4];
const OUT = run(model, ROW);

/** @param {number} a @param {number | null} b */
const near = (a, b) => assert.ok(b !== null && Math.abs(a - b) < 1e-6, `${a} ${b}`);

test("an induction head attends to all keys after earlier copies", () => {
  assert.deepEqual(inductionAnswer([0, 1, 2, 0, 1], 4), { sources: [2], tokens: [2] });
  assert.deepEqual(inductionAnswer([0, 1, 2, 0, 1, 2, 0, 1], 7), { sources: [2, 5], tokens: [2] });
  assert.deepEqual(inductionAnswer([0, 1, 0, 2, 0], 4), { sources: [1, 3], tokens: [2, 1] });
  assert.deepEqual(inductionAnswer([4, 4, 4], 2), { sources: [1, 2], tokens: [4] });
  assert.equal(inductionAnswer([0, 1, 2], 2), null);
  assert.equal(inductionAnswer([3], 0), null);
});

test("copies are counted from their period, and BOS belongs to none", () => {
  assert.deepEqual(copiesIn([0, 1, 2, 0, 1], 3, null), { period: 3, start: 3, count: 2 });
  assert.deepEqual(copiesIn([0, 1, 0, 1, 0, 1], 2, null), { period: 2, start: 2, count: 3 });
  assert.deepEqual(copiesIn([9, 0, 1, 0, 1], 2, 9), { period: 2, start: 3, count: 2 });
  assert.deepEqual(copiesIn([4, 4, 4, 4], 1, null), { period: 1, start: 1, count: 4 });
  assert.equal(copiesIn([0, 1, 2], 3, null), null);
  assert.equal(copiesIn([9, 0, 1], 2, 9), null);
  assert.equal(copiesIn([0, 1, 0], null, null), null);
});

test("the loss of the repeats counts from the second token of the second copy, and is named so", () => {
  const two = { period: 3, start: 3, count: 2 };
  near((OUT.losses[3] + OUT.losses[4]) / 2, repeatLoss(OUT, two));
  assert.equal(repeatLoss(run(model, ROW.slice(0, 4)), two), null);
  assert.equal(repeatLoss(OUT, null), null);
  const out = run(model, [1, 2, 1, 2, 1, 2]);
  near(
    (out.losses[2] + out.losses[3] + out.losses[4]) / 3,
    repeatLoss(out, { period: 2, start: 2, count: 3 }),
  );
  assert.equal(repeatLossName(two), "Second-copy loss");
  assert.equal(repeatLossName({ period: 2, start: 2, count: 3 }), "Loss of copies 2–3");
});

test("the induction score of two copies is that of the engine, and of more counts every copy", () => {
  near(inductionScore(patternOf(OUT, [1, 1]), 6, 3), headScores(OUT, [1, 1]).induction);
  const row = [1, 2, 1, 2, 1, 2],
    out = run(model, row),
    pattern = patternOf(out, [1, 0]);
  const weights = [
    [2, 1],
    [3, 2],
    [4, 1],
    [4, 3],
    [5, 2],
    [5, 4],
  ].map(([q, k]) => pattern[q * 6 + k]);
  near(weights.reduce((sum, weight) => sum + weight, 0) / 4, headScores(out, [1, 0]).induction);
  assert.deepEqual(headScores(run(model, [1]), [0, 0]), { previousToken: null, induction: null });
  assert.equal(headScores(run(model, [1, 2, 3]), [0, 0]).induction, null);
});

test("a head that attends evenly has the scores that the page names", () => {
  const even = evenScores([0, 1, 0, 1]);
  near((1 / 2 + 1 / 3 + 1 / 4) / 3, even.previousToken);
  near((1 / 3 + 1 / 4) / 2, even.induction);
  assert.deepEqual(evenScores([5]), { previousToken: null, induction: null });
  assert.match(
    scoresMeaning([0, 1, 0, 1]),
    /\(0\.36 if spread evenly\).*\(0\.29 if spread evenly\)/,
  );
  assert.match(scoresMeaning([0, 1, 2]), /No token repeats/);
  assert.match(scoresMeaning([0]), /no scores/);
});

/** @param {number[]} tokens @param {number} query @param {number | null} [bosToken] */
function viewAt(tokens, query, bosToken = null) {
  const shown = {
    name: "m",
    title: "m",
    step: null,
    words: defaultWords(12, bosToken),
    beside: null,
  };
  return explorerView(
    newState({ tokens, query }),
    { ...shown, model: { ...model, bosToken } },
    new Map(),
  );
}

test("the page says of every row where an induction head attends, and what that leaves open", () => {
  assert.equal(
    needsInWords(viewAt([0, 1, 2, 0, 1], 4)),
    "B was at position 1 before, followed by C. An induction head attends to position 2 and predicts C.",
  );
  assert.equal(
    needsInWords(viewAt([0, 1, 2, 0, 1, 2, 0, 1], 7)),
    "B was at positions 1 and 4 before, each time followed by C. An induction head attends to one " +
      "or more of positions 2 and 5 and predicts C.",
  );
  assert.equal(
    needsInWords(viewAt([0, 1, 0, 2, 0], 4)),
    "A was at positions 0 and 2 before, followed by B and C. An induction head attends to one or " +
      "more of positions 1 and 3; its prediction depends on which.",
  );
  assert.equal(needsInWords(viewAt([0, 1, 2], 2)), "C is new here: there is nothing to copy.");
});

test("the loss has its right name for any number of copies, and none for rows without", () => {
  const said = (/** @type {number[]} */ tokens, bos = null) =>
    lossInWords(viewAt(tokens, tokens.length - 1, bos));
  assert.match(said([0, 1, 2, 0, 1, 2]), /^Second-copy loss: \d/);
  assert.match(said([0, 1, 2, 0, 1, 2, 0]), /^Loss of copies 2–3: \d/);
  assert.match(said([4, 4, 4, 4, 4]), /^Loss of copies 2–5: \d/);
  assert.match(said([0, 1, 2, 0, 3, 4]), /^The row has no second copy/);
  assert.match(said([0, 1, 2]), /^No token repeats/);
  assert.match(said([0]), /^One token alone/);
});

test("the BOS token in front is not part of a copy and stays in front", () => {
  const row = [0, 3, 1, 4, 3, 1, 4],
    view = viewAt(row, 6, 0);
  assert.deepEqual(view.copies, { period: 3, start: 4, count: 2 });
  const mean = (view.out.losses[4] + view.out.losses[5]) / 2;
  near(mean, repeatLoss(view.out, view.copies));
  const own = { ...model, bosToken: 0 };
  for (const name of /** @type {const} */ (["shuffle", "repeat", "break", "longer"])) {
    const edited = editedRow(name, row, own, randomFrom(1));
    assert.equal(edited?.[0], 0, name);
    assert.equal(edited?.lastIndexOf(0), 0, name);
  }
  assert.deepEqual(editedRow("repeat", row, own, randomFrom(1)), [...row, 3, 1, 4]);
  for (const nPos of [1, 2, 6, 11]) {
    const rows = referenceRows(own, nPos);
    assert.ok(rows.every((one) => one.length === nPos && one[0] === 0 && one.lastIndexOf(0) === 0));
  }
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
  assert.deepEqual(
    [first.query, second.query, first.copies?.period, first.repeats],
    [5, 2, 3, true],
  );
  const plain = explorerView(newState({ tokens: ROW }), shown, memory);
  assert.equal(plain.out, plain.clean);
});

test("freezing without another change changes nothing", () => {
  const shown = { name: "m", title: "m", step: null, model, words: [], beside: null };
  const { out, clean } = explorerView(newState({ tokens: ROW, freeze: true }), shown, new Map());
  assert.notEqual(out, clean);
  assert.deepEqual(out.logits, clean.logits);
});

test("a stripe is knocked out where a token repeats, and is no change where none does", () => {
  const shown = { name: "m", title: "m", step: null, model, words: [], beside: null };
  const knockout = /** @type {[number, number][]} */ ([[1, 0]]);
  const begun = explorerView(newState({ tokens: ROW.slice(0, 5), knockout }), shown, new Map());
  assert.equal(begun.changes, 1);
  assert.equal(patternOf(begun.out, [1, 0])[4 * 5 + 2], 0);
  const none = explorerView(newState({ tokens: [1, 2, 3], knockout }), shown, new Map());
  assert.deepEqual([none.out, none.changes], [none.clean, 0]);
});

test("the model beside reads the same tokens without the change", () => {
  const shown = {
    name: "m",
    title: "m",
    step: null,
    model,
    words: [],
    beside: { name: "n", title: "n", model },
  };
  const state = newState({ tokens: ROW, off: [{ head: [1, 0], how: "zero" }] });
  const view = explorerView(state, shown, new Map()),
    other = viewBeside(view);
  assert.ok(other && other.out !== view.out && other.changes === 0 && other.title === "n");
  assert.deepEqual(other.out.logits, view.clean.logits);
  assert.equal(viewBeside({ ...view, beside: null }), null);
});

test("reference rows have the length of the strip and do not change", () => {
  for (const nPos of [1, 5, 12]) {
    const rows = referenceRows(model, nPos);
    assert.equal(rows.length, 64);
    assert.ok(rows.every((row) => row.length === nPos));
    assert.deepEqual(rows, referenceRows(model, nPos));
  }
});
