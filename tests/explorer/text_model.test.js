// @ts-check
/** node --test: a small text model, its words, its tokens, and what its parts add up to. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenizerFrom } from "../../src/induction_heads/explorer/byte_pairs.js";
import { run } from "../../src/induction_heads/explorer/model.js";
import {
  contributionsAboveMean,
  loadTextModel,
  meansAt,
  tokensOfText,
  visiblePiece,
} from "../../src/induction_heads/explorer/text_model.js";
import { newState } from "../../src/induction_heads/explorer/page/explorer_state.js";
import {
  groundOf,
  silencedRun,
  textView,
  tokenInWords,
  withTokens,
} from "../../src/induction_heads/explorer/page/text_view.js";

const SIZES = {
  nLayers: 2,
  nHeads: 2,
  dModel: 8,
  dHead: 4,
  dVocab: 259,
  nCtx: 6,
  layerNorm: true,
  smeared: false,
};
const TOKENIZER = {
  bytes: Array.from({ length: 256 }, (_, byte) => byte + 1),
  merges: /** @type {[number, number][]} */ ([
    [98, 99],
    [257, 100],
  ]),
  firstMerged: 257,
  special: { "<bos>": 0 },
};
const DIGITS =
  "!#()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";

/** Weights in half precision, small and with any sign, as text. @param {number} count */
function storedWeights(count) {
  let text = "";
  for (let i = 0; i < count; i += 2) {
    const half = (/** @type {number} */ n) =>
      (((n * 7919) % 2) << 15) | (0x3000 + ((n * 104729) % 0x600));
    // Base 85: four bytes, the first of them the highest.
    const pair = [half(i), half(i + 1)].flatMap((h) => [h & 255, h >> 8]);
    let word = pair.reduce((sum, byte) => sum * 256 + byte, 0),
      digits = "";
    for (let d = 0; d < 5; d++) {
      digits = DIGITS[word % 85] + digits;
      word = Math.floor(word / 85);
    }
    text += digits;
  }
  return text;
}

const COUNT = 2 * 259 * 8 + 6 * 8 + 2 * (4 * 2 * 8 * 4 + 16) + 16;
const HEAD = {
  format: 2,
  name: "small",
  sizes: SIZES,
  bosToken: 0,
  nParts: 3,
  tokenizer: TOKENIZER,
  means: [0, 1].map(() => [0, 1].map((head) => [head, 0.25, -0.5, 1])),
  meanRows: 64,
};

/** @type {number[]} */
const shares = [];
const textModel = await loadTextModel(
  async (kind) => {
    if (kind === "text-model") return HEAD;
    const text = storedWeights(COUNT),
      third = Math.ceil(text.length / 15) * 5,
      at = Number(kind.slice(5)) - 1;
    return text.slice(at * third, (at + 1) * third);
  },
  "small",
  (share) => shares.push(share),
);

test("parts are counted as they arrive", () => {
  assert.deepEqual(shares, [0, 1 / 3, 2 / 3, 1]);
});

test("the pair of the lowest rank is merged first, and special tokens are whole", () => {
  const { encode, decode, bytesOf } = tokenizerFrom(TOKENIZER);
  assert.deepEqual(encode("abc"), [258]);
  assert.deepEqual(encode("ab bc"), [257, 33, 99, 100]);
  assert.deepEqual(encode("a<bos>b"), [98, 0, 99]);
  assert.deepEqual(encode(""), []);
  assert.equal(decode(encode("é<bos>\u0000")), "é<bos>\u0000");
  assert.throws(() => bytesOf(259), /Token 259 is not one of the 259/);
  assert.throws(
    () => tokenizerFrom({ ...TOKENIZER, merges: [[400, 1]] }),
    /Merge 0 joins 400 and 1, of which one is not a token/,
  );
});

test("a text is read up to the context, and the rest is given back", () => {
  assert.deepEqual(tokensOfText(textModel, "abc"), {
    tokens: [0, 258],
    read: "abc",
    complete: true,
  });
  const long = tokensOfText(textModel, "xyxyxyxy");
  assert.deepEqual(long, { tokens: [0, 121, 122, 121, 122, 121], read: "xyxyx", complete: false });
  assert.deepEqual(tokensOfText(textModel, "").tokens, [0]);
  const { rest } = withTokens(newState({ text: "xyxyxyxy" }), textModel, new Map());
  assert.equal(rest, "yxy");
});

test("pieces are shown as signs where they are not text", () => {
  const shown = (/** @type {string} */ text) => visiblePiece(new TextEncoder().encode(text));
  assert.equal(shown(" a\n\t"), "␣a⏎⇥");
  assert.equal(shown("\u0000\r\n"), "⟨00⟩␍⏎");
  assert.equal(shown("é"), "é");
  assert.equal(visiblePiece(Uint8Array.of(0xe2, 0x82)), "⟨e2⟩⟨82⟩");
  assert.equal(textModel.words[0], "BOS");
});

test("what the parts add is the logit above the mean logit", () => {
  const out = run(textModel.model, [0, 258, 33, 258]);
  const parts = contributionsAboveMean(textModel, out, 3, 258, {});
  const own = out.logits.subarray(3 * 259);
  const mean = Array.from(own).reduce((sum, x) => sum + x, 0) / 259;
  const sum = parts.heads.reduce((all, { total }) => all + total, 0);
  assert.ok(Math.abs(own[258] - mean - parts.logit) < 1e-5);
  assert.ok(
    Math.abs(parts.embedding + parts.position + parts.bias + sum - parts.logit) < 1e-4,
    `${sum} ${parts.logit}`,
  );
  assert.ok(Math.abs(parts.logit) > 0.1);
});

test("means are the same at every position", () => {
  const means = meansAt(textModel, 3);
  assert.equal(means.length, 2);
  assert.deepEqual(Array.from(means[0].subarray(0, 8)), [0, 0.25, -0.5, 1, 0, 0.25, -0.5, 1]);
  assert.deepEqual(Array.from(means[1].subarray(-4)), [1, 0.25, -0.5, 1]);
});

test("colors are the loss, its rise without a head, or the attention from one query", () => {
  const memory = new Map(),
    made = (
      /** @type {Partial<import("../../src/induction_heads/explorer/page/explorer_state.js").ExplorerState>} */ part,
    ) => {
      const { state } = withTokens(newState({ text: "abc abc", ...part }), textModel, memory);
      const view = textView(state, textModel, memory);
      const silenced = () => silencedRun(view, state.head, textModel, memory);
      return { view, silenced, ground: groundOf(view, 2, silenced) };
    };
  const loss = made({});
  assert.equal(loss.ground.values[0], null);
  assert.equal(loss.ground.values[2], loss.view.out.losses[1]);
  const silence = made({ color: "silence", head: [0, 1] }),
    plain = run(textModel.model, silence.view.tokens, {
      off: [{ head: [0, 1], how: "mean" }],
      means: meansAt(textModel, silence.view.tokens.length),
    });
  const rise = silence.ground.values.slice(1);
  rise.forEach((value, i) =>
    assert.ok(Math.abs((value ?? NaN) - (plain.losses[i] - loss.view.out.losses[i])) < 1e-6),
  );
  assert.ok(rise.some((value) => Math.abs(value ?? 0) > 1e-3));
  assert.equal(silence.silenced(), silence.silenced());
  const { values } = made({ color: "attention", head: [1, 1] }).ground;
  assert.ok(
    Math.abs(values.reduce((/** @type {number} */ sum, x) => sum + (x ?? 0), 0) - 1) < 1e-6,
  );
  assert.equal(values[3], 0);
  assert.match(
    tokenInWords(silence.view, 1, silence.ground.values),
    /^Position 1: abc, loss \d+\.\d\d nats, L0H1 silenced [+−]?\d/,
  );
});
