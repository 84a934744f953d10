// @ts-check
/** node --test: the text of a state, and what a reader can do to a row of tokens. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  changeCount,
  decodeState,
  encodeState,
  fittedState,
  newState,
} from "../../src/induction_heads/explorer/page/explorer_state.js";
import { placeAfterKey } from "../../src/induction_heads/explorer/page/roving_focus.js";
import {
  brokenRepeat,
  defaultWords,
  longerTokens,
  movedToken,
  periodOf,
  removedToken,
  repeatedTokens,
  replacedToken,
  shuffledTokens,
  tokenOfLetter,
} from "../../src/induction_heads/explorer/page/token_edits.js";
import { randomFrom } from "../../src/induction_heads/explorer/random.js";

const SIZES = {
  nLayers: 2,
  nHeads: 2,
  dModel: 4,
  dHead: 2,
  dVocab: 8,
  nCtx: 10,
  layerNorm: false,
  smeared: false,
};

/** @type {import("../../src/induction_heads/explorer/page/explorer_state.js").ExplorerState} */
const FULL = {
  model: "a~b/ü.1",
  tokens: [3, 12, 3],
  head: [0, 1],
  query: 2,
  target: 7,
  off: [
    { head: [0, 0], how: "zero" },
    { head: [1, 10], how: "mean" },
  ],
  freeze: true,
  cut: { sender: [0, 0], receiver: [1, 1], sides: ["Q", "V"] },
  knockout: [
    [1, 0],
    [1, 1],
  ],
  period: 3,
  snapshot: 12,
  beside: true,
  section: "time",
  text: "def f(x):\n\t~%é😀\ufeff",
  color: "attention",
  weights: "h1~0",
  lab: "two & smeared",
};

test("a state survives its text, which an address can hold", () => {
  const text = encodeState(FULL);
  assert.match(text, /^[A-Za-z0-9._~%!'()*-]+$/);
  assert.deepEqual(decodeState(text), { state: FULL, problem: null });
  const all = { ...FULL, cut: { ...FULL.cut, receiver: null } };
  assert.deepEqual(decodeState(encodeState(/** @type {any} */ (all))).state, all);
});

test("a new state is a short text, and what the text leaves out is new", () => {
  assert.equal(encodeState(newState()), "");
  assert.equal(encodeState(newState({ model: "toy-2l" })), "m.toy-2l");
  const page = newState({ model: "toy-2l", tokens: [5, 5], section: "change" });
  assert.deepEqual(decodeState("", page).state, page);
  assert.deepEqual(decodeState("q.1", page).state, newState({ model: "toy-2l", query: 1 }));
});

test("a text that cannot be read gives the page's own state and says why", () => {
  const page = newState({ model: "toy-2l", tokens: [5, 5] });
  for (const text of [
    "x.1",
    "t.1-",
    "t.-1",
    "t.a",
    "h.1",
    "h.1-2-3",
    "q",
    "q.1.5",
    "o.0-0",
    "o.0-0half",
    "f.0",
    "c.0-0",
    "c.0-0_KQ_all",
    "c.0-0_K_",
    "v.nothing",
    "m.%",
    "m.toy~~",
    "<script>",
    "~",
    "t.99999999999",
  ]) {
    const { state, problem } = decodeState(text, page);
    assert.deepEqual(state, page, text);
    assert.match(problem ?? "", /^The link could not be read: .+\. Showing the default\.$/, text);
  }
});

test("what the model does not have is left out and said", () => {
  const { state, problem } = fittedState(
    newState({ ...FULL, tokens: [1, 2, 9], query: 2, target: 9 }),
    SIZES,
    5,
  );
  assert.deepEqual(
    [state.tokens, state.query, state.target, state.snapshot],
    [[1, 2], null, null, null],
  );
  assert.deepEqual(state.off, [{ head: [0, 0], how: "zero" }]);
  assert.equal(
    problem,
    "Left out for this model: tokens it does not accept, changes to heads it does not have.",
  );
  const one = fittedState({ ...FULL, tokens: [1] }, { ...SIZES, nLayers: 1 }).state;
  assert.deepEqual([one.freeze, one.cut, one.knockout, one.head], [false, null, [], [0, 1]]);
  const back = decodeState("c.1-0_K_0-1").state;
  assert.equal(fittedState(back, SIZES).state.cut, null);
  const fits = newState({ tokens: [1, 2], off: [{ head: [1, 1], how: "mean" }] });
  const kept = fittedState(fits, SIZES);
  assert.equal(kept.problem, null);
  assert.ok(kept.state.tokens === fits.tokens && kept.state.off === fits.off, "nothing is copied");
  assert.equal(fittedState(newState({ tokens: Array(30).fill(1) }), SIZES).state.tokens.length, 10);
});

test("each change counts once, each side of a cut too", () => {
  assert.equal(changeCount(newState()), 0);
  assert.equal(changeCount(FULL), 2 + 1 + 2 + 2);
});

test("the period is found through noise, and not where nothing repeats", () => {
  assert.equal(periodOf([0, 1, 2, 0, 1]), 3);
  assert.equal(periodOf([0, 1, 2, 0, 1, 2, 0, 1, 2]), 3);
  assert.equal(periodOf([0, 1, 2, 3, 4, 0, 1, 5, 3, 4]), 5);
  assert.equal(periodOf([0, 1, 2, 3]), null);
  assert.equal(periodOf([7]), null);
  assert.equal(periodOf([0, 1, 2, 3, 4, 5, 6, 7, 0, 8, 9, 10]), null);
});

test("a row is edited at one place", () => {
  assert.deepEqual(replacedToken([0, 1, 2], 1, 9), [0, 9, 2]);
  assert.deepEqual(replacedToken([0, 1], 2, 9), [0, 1, 9]);
  assert.deepEqual(removedToken([0, 1, 2], 0), [1, 2]);
  assert.deepEqual(movedToken([0, 1, 2, 3], 0, 2), [1, 2, 0, 3]);
  assert.deepEqual(movedToken([0, 1, 2, 3], 3, 1), [0, 3, 1, 2]);
});

test("repeat and longer go on as the row goes", () => {
  assert.deepEqual(repeatedTokens([0, 1, 2, 0, 1]), [0, 1, 2, 0, 1, 2, 0, 1]);
  assert.deepEqual(repeatedTokens([4, 5]), [4, 5, 4, 5]);
  assert.deepEqual(longerTokens([0, 1, 2, 0, 1], 8), [0, 1, 2, 0, 1, 2]);
  assert.deepEqual(longerTokens([0, 2], 8), [0, 2, 1]);
});

test("a broken repeat differs at one place of the last copy", () => {
  assert.deepEqual(brokenRepeat([0, 1, 2, 0, 1], 8), [0, 1, 2, 0, 3]);
  assert.deepEqual(brokenRepeat([0, 1, 2, 3, 0, 1, 2, 3], 8), [0, 1, 2, 3, 0, 1, 4, 3]);
  assert.equal(brokenRepeat([0, 1, 2], 8), null);
});

test("shuffling exchanges the tokens and keeps the repeat", () => {
  const row = [4, 7, 2, 4, 7];
  for (let seed = 0; seed < 20; seed++) {
    const shuffled = shuffledTokens(row, randomFrom(seed));
    assert.notDeepEqual(shuffled, row);
    assert.deepEqual(new Set(shuffled), new Set(row));
    assert.equal(periodOf(shuffled), 3);
  }
  assert.deepEqual(shuffledTokens([1, 1], randomFrom(0)), [1, 1]);
});

test("a letter selects its token in either case", () => {
  const words = defaultWords(30);
  assert.deepEqual(words.slice(24), ["Y", "Z", "26", "27", "28", "29"]);
  assert.equal(tokenOfLetter("c", words), 2);
  assert.equal(tokenOfLetter("C", ["a", "b", "c"]), 2);
  assert.equal(tokenOfLetter("?", words), null);
});

test("keys lead to the neighbors and stay at the edges", () => {
  assert.equal(placeAfterKey("ArrowRight", 1, 4, 1), 2);
  assert.equal(placeAfterKey("ArrowRight", 3, 4, 1), 3);
  assert.equal(placeAfterKey("ArrowDown", 1, 4, 2), 3);
  assert.equal(placeAfterKey("ArrowUp", 1, 4, 2), 1);
  assert.deepEqual([placeAfterKey("Home", 2, 4, 1), placeAfterKey("End", 1, 4, 1)], [0, 3]);
  assert.equal(placeAfterKey("a", 1, 4, 1), null);
});
