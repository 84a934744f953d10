// @ts-check
/** node --test: the arrows of a circuit add up to what they stand for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { circuitArrows, pathEffects } from "../../src/induction_heads/explorer/circuit_paths.js";
import { contributions } from "../../src/induction_heads/explorer/contributions.js";
import { run } from "../../src/induction_heads/explorer/model.js";
import { modelOf, newTraining, trainingOptions } from "../../src/induction_heads/explorer/train.js";

const model = modelOf(
  newTraining(trainingOptions({ sizes: { nCtx: 12, dVocab: 12 }, data: { longest: 6 } })),
);
const ROW = [3, 1, 4, 3, 1];
const QUERY = 4,
  TOKEN = 4;

/** @param {number} a @param {number} b */
const near = (a, b) => assert.ok(Math.abs(a - b) < 1e-5, `${a} ${b}`);
/** @param {number[]} numbers */
const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);

test("arrows into the logit are what each source adds", () => {
  const { heads } = contributions(model, run(model, ROW), QUERY, TOKEN);
  const arrows = circuitArrows(model, ROW, QUERY, TOKEN).filter(({ receiver }) => !receiver);
  assert.equal(arrows.length, 4 * ROW.length);
  for (const { head, total } of heads) {
    near(
      total,
      sum(arrows.filter((one) => one.head.join() === head.join()).map((one) => one.strength)),
    );
  }
});

test("the arrows of a path add up to what the logit loses without it", () => {
  const arrows = circuitArrows(model, ROW, QUERY, TOKEN);
  const effects = pathEffects(model, ROW, QUERY, TOKEN, {});
  assert.equal(effects.length, 12);
  for (const { sender, receiver, side, effect } of effects) {
    const own = arrows.filter(
      (one) =>
        one.side === side &&
        one.head.join() === sender.join() &&
        one.receiver?.join() === receiver.join(),
    );
    near(effect, sum(own.map(({ strength }) => strength)));
    if (side === "Q") assert.ok(own.every(({ to }) => to === QUERY));
  }
  assert.ok(effects.some(({ effect }) => Math.abs(effect) > 1e-4));
});

test("a path that is cut keeps its arrow, and the others are measured beside the cut", () => {
  const cut = /** @type {const} */ ({ sender: [0, 1], receiver: [1, 0], side: "V" });
  const change = {
    cut: [{ sender: [...cut.sender], receiver: [...cut.receiver], side: cut.side }],
  };
  const made =
    /** @type {import("../../src/induction_heads/explorer/interventions.js").Interventions} */ (
      change
    );
  const key = (/** @type {any} */ one) => `${one.sender} ${one.receiver} ${one.side}`;
  const before = new Map(
    pathEffects(model, ROW, QUERY, TOKEN, {}).map((one) => [key(one), one.effect]),
  );
  for (const one of pathEffects(model, ROW, QUERY, TOKEN, made)) {
    assert.equal(one.cut, key(one) === key(cut));
    if (one.cut) near(one.effect, before.get(key(one)) ?? NaN);
  }
  const direct = circuitArrows(model, ROW, QUERY, TOKEN, made).filter(({ receiver }) => !receiver);
  const { heads } = contributions(model, run(model, ROW, made), QUERY, TOKEN, made);
  near(sum(direct.map(({ strength }) => strength)), sum(heads.map(({ total }) => total)));
});

test("with the patterns frozen a path into a query or a key does nothing", () => {
  const frozen = run(model, ROW).patterns.map((pattern, layer) => (layer ? pattern : null));
  for (const { side, effect } of pathEffects(model, ROW, QUERY, TOKEN, { frozen })) {
    if (side !== "V") near(effect, 0);
  }
});

test("one layer has only arrows into the logit, and three are refused", () => {
  const sized = (/** @type {number} */ nLayers) =>
    modelOf(newTraining(trainingOptions({ sizes: { nLayers } })));
  assert.ok(circuitArrows(sized(1), [1, 2, 1], 2, 2).every(({ receiver }) => receiver === null));
  assert.throws(() => circuitArrows(sized(3), [1, 2, 1], 2, 2), /two is the most/);
});
