// @ts-check
/** What the tests ask of the explorer. Nothing here needs node, so a browser can answer, too. */

import { tokenizerFrom } from "../../src/induction_heads/explorer/byte_pairs.js";
import { pathEffects } from "../../src/induction_heads/explorer/circuit_paths.js";
import { contributions } from "../../src/induction_heads/explorer/contributions.js";
import { lossAndGradient, workspaceFor } from "../../src/induction_heads/explorer/gradients.js";
import { meanMixed, run } from "../../src/induction_heads/explorer/model.js";
import { adamwStep, clipNorm } from "../../src/induction_heads/explorer/optimizer.js";
import { modelIn } from "../../src/induction_heads/explorer/sizes.js";
import { textModelFrom } from "../../src/induction_heads/explorer/text_model.js";
import {
  deskFor,
  measured,
  modelOf,
  newTraining,
  trainingOptions,
  trainStep,
} from "../../src/induction_heads/explorer/train.js";
import { modelFrom, snapshotsFrom } from "../../src/induction_heads/explorer/weights.js";
import {
  diagonalShare,
  kComposedQkCircuit,
  kCompositionScore,
  ovCircuit,
  qkCircuit,
} from "../../src/induction_heads/explorer/weights_matrices.js";

/** @type {Record<string, (request: any) => number[] | Promise<number[]>>} */
const QUESTIONS = {
  /** All weights of a stored model and of its snapshots, if there are any. */
  async weights({ model, snapshots }) {
    const last = modelFrom(model);
    const models = await modelsOf(snapshots, last);
    return models.flatMap((one) =>
      Object.values(one.weights).flatMap((weight) => Array.from(weight)),
    );
  },

  /** Logits of every row of every case. A case names a snapshot and what is changed. */
  async logits({ model, snapshots, cases }) {
    const last = modelFrom(model);
    const models = await modelsOf(snapshots, last);
    /** @type {number[]} */
    const numbers = [];
    for (const { snapshot, rows, change } of cases) {
      for (const row of rows) {
        const own = models.at(snapshot) ?? last;
        numbers.push(...run(own, row, prepared(own, row, rows, change)).logits);
      }
    }
    return numbers;
  },

  /** Of each text the number of its tokens, then their ids. */
  tokens({ tokenizer, texts }) {
    const { encode } = tokenizerFrom(tokenizer);
    return texts.flatMap((/** @type {string} */ text) => {
      const ids = encode(text);
      return [ids.length, ...ids];
    });
  },

  /** Logits of a text model at the last position of every row of every case. */
  lastLogits({ head, parts, cases }) {
    const { model } = textModelFrom(head, parts);
    /** @type {number[]} */
    const numbers = [];
    for (const { rows, change } of cases) {
      for (const row of rows) {
        const { logits } = run(model, row, prepared(model, row, rows, change));
        numbers.push(...logits.subarray(-model.sizes.dVocab));
      }
    }
    return numbers;
  },

  /** Logits, losses, patterns, z and residuals of one row, one after another. */
  everything({ model, row }) {
    const { logits, losses, patterns, z, residuals } = run(modelFrom(model), row);
    return [logits, losses, ...patterns, ...z, ...residuals].flatMap((part) => Array.from(part));
  },

  /** For each case: a logit, the sum of what contributes to it, and the sum over sources. */
  contributions({ model, cases }) {
    const own = modelFrom(model);
    return cases.flatMap((/** @type {any} */ { row, query, token, change }) => {
      const made = prepared(own, row, [row], change);
      const parts = contributions(own, run(own, row, made), query, token, made);
      const heads = parts.heads.reduce((sum, { total }) => sum + total, 0);
      let sources = 0;
      for (const { bySource } of parts.heads) for (const part of bySource) sources += part;
      return [parts.logit, parts.embedding + parts.position + parts.bias + heads, heads, sources];
    });
  },

  /** What a logit loses without each path between two heads, in the order of sender, receiver, side. */
  pathEffects({ model, row, query, token }) {
    const effects = pathEffects(modelFrom(model), row, query, token, {});
    return effects.map(({ effect }) => effect);
  },

  /** Circuits of a head, each with its diagonal share; composed ones with their scores before them. */
  circuits({ model, head, previous }) {
    const own = modelFrom(model),
      { dVocab } = own.sizes;
    /** @param {import("../../src/induction_heads/explorer/products.js").Floats} table */
    const shared = (table) => [diagonalShare(table, dVocab), ...table];
    const composed = previous.flatMap((/** @type {[number, number]} */ earlier) => [
      kCompositionScore(own, earlier, head),
      ...shared(kComposedQkCircuit(own, earlier, head)),
    ]);
    return [...shared(qkCircuit(own, head)), ...shared(ovCircuit(own, head)), ...composed];
  },

  /** For each model: the loss, then the gradient of every weight. */
  gradients({ precision, models }) {
    const Floats = precision === 64 ? Float64Array : Float32Array;
    return models.flatMap((/** @type {any} */ { sizes, weights, rows }) => {
      const own = modelIn(Floats.from(weights), sizes);
      const work = workspaceFor(sizes, rows.length, rows[0].length, own.weights.W_E);
      lossAndGradient(own, rows.flat(), work); // The second call must not see the first.
      const loss = lossAndGradient(own, rows.flat(), work);
      return [loss, ...work.flatGradient];
    });
  },

  /** The weights after each update by given gradients. */
  updates({ settings, weights, gradients }) {
    const state = {
      step: 0,
      weights: Float64Array.from(weights),
      first: new Float64Array(weights.length),
      second: new Float64Array(weights.length),
    };
    return gradients.flatMap((/** @type {number[]} */ given) => {
      const gradient = Float64Array.from(given);
      clipNorm(gradient, settings.clip);
      adamwStep(state, gradient, settings);
      state.step += 1;
      return Array.from(state.weights);
    });
  },

  /** First weights, then for each step its tokens and its loss, then the last weights. */
  training({ options, steps }) {
    const training = newTraining(trainingOptions(options)),
      desk = deskFor(training);
    const numbers = Array.from(training.weights);
    for (let step = 0; step < steps; step++) {
      const loss = trainStep(training, desk);
      numbers.push(...desk.tokens, loss);
    }
    return [...numbers, ...training.weights];
  },

  /** The highest previous-token and induction score and the second-copy loss after some steps. */
  formation({ options, steps }) {
    const training = newTraining(trainingOptions(options)),
      desk = deskFor(training);
    for (let step = 0; step < steps; step++) trainStep(training, desk);
    const { previousToken, induction, secondCopyLoss } = measured(modelOf(training));
    return [Math.max(...previousToken.flat()), Math.max(...induction.flat()), secondCopyLoss];
  },
};

/**
 * The models of the snapshots, or the last one alone.
 * @param {any} snapshots
 * @param {import("../../src/induction_heads/explorer/sizes.js").Model} last
 */
async function modelsOf(snapshots, last) {
  return snapshots ? (await snapshotsFrom(snapshots, last)).map((one) => one.model) : [last];
}

/**
 * The change with what depends on the row: clean patterns for `freeze`, means over all rows.
 * @param {import("../../src/induction_heads/explorer/sizes.js").Model} model
 * @param {number[]} row
 * @param {number[][]} rows
 * @param {any} change
 */
function prepared(model, row, rows, { freeze, mean, ...change }) {
  const frozen =
    freeze && run(model, row).patterns.map((p, layer) => (freeze.includes(layer) ? p : null));
  return { ...change, ...(freeze && { frozen }), ...(mean && { means: meanMixed(model, rows) }) };
}

/**
 * @param {{question: string}} request
 * @returns {Promise<Float64Array>}
 */
export async function answers(request) {
  return Float64Array.from(await QUESTIONS[request.question](request));
}
