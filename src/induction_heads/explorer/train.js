// @ts-check
/**
 * Training from scratch. The state is a plain object of numbers and typed arrays: it can be sent to a
 * Web Worker and back, stopped between any two steps, and rewound to a snapshot. The same seed and
 * options give the same run.
 */

import { lossAndGradient, workspaceFor } from "./gradients.js";
import { run } from "./model.js";
import { adamwStep, clipNorm } from "./optimizer.js";
import { normal, randomFrom } from "./random.js";
import { drawRows, mustBeDrawable, repeatedRows } from "./rows.js";
import { inductionScore, previousTokenScore } from "./scores.js";
import { modelIn, weightCount } from "./sizes.js";

/** @typedef {import("./sizes.js").Sizes} Sizes */
/** @typedef {import("./sizes.js").Model} Model */
/** @typedef {import("./rows.js").Data} Data */
/** @typedef {import("./optimizer.js").Settings} Settings */

/** @typedef {{sizes: Sizes, data: Data, settings: Settings, seed: number}} Options */

/**
 * The state on which the next step depends.
 * @typedef {{
 *   step: number, random: Uint32Array, weights: Float32Array, first: Float32Array,
 *   second: Float32Array,
 * }} Moment
 */

/**
 * A training run. `losses` has one entry per step; `snapshots` are in order of their steps.
 * @typedef {Moment & {options: Options, losses: number[], snapshots: Moment[]}} Training
 */

/**
 * Scores of every head, `[layer][head]`, and the mean loss of the second copy from its second token.
 * @typedef {{previousToken: number[][], induction: number[][], secondCopyLoss: number}} Measures
 */

/** @typedef {{tokens: Int32Array, work: import("./gradients.js").Workspace}} Desk */

/**
 * Options of a small model in which induction heads form within seconds, with some of them changed.
 * @param {{
 *   sizes?: Partial<Sizes>, data?: Partial<Data>, settings?: Partial<Settings>, seed?: number,
 * }} [changed]
 * @returns {Options}
 */
export function trainingOptions(changed = {}) {
  const sizes = {
    nLayers: 2,
    nHeads: 2,
    dModel: 32,
    dHead: 16,
    dVocab: 32,
    nCtx: 32,
    layerNorm: false,
    smeared: false,
    ...changed.sizes,
  };
  const data = {
    dVocab: sizes.dVocab,
    nPos: sizes.nCtx,
    batch: 16,
    repeats: true,
    copies: 3,
    shortest: 4,
    longest: 16,
    noise: 0,
    ...changed.data,
  };
  /** @type {Settings} */
  const settings = {
    steps: 600,
    learningRate: 2e-2,
    betas: [0.9, 0.99],
    weightDecay: 0.01,
    clip: 1,
    warmup: 50,
    decay: 0.3,
    ...changed.settings,
  };
  return { sizes, data, settings, seed: changed.seed ?? 0 };
}

/**
 * A run before its first step: every weight is drawn from N(0, 0.64 / d_model), every α is 0.
 * Throws a RangeError for options that do not fit together.
 * @param {Options} options
 * @returns {Training}
 */
export function newTraining(options) {
  const { sizes, data } = options;
  mustBeDrawable(data);
  if (data.dVocab > sizes.dVocab || data.nPos > sizes.nCtx) {
    throw new RangeError(
      `Rows of ${data.nPos} tokens from ${data.dVocab} do not fit a model of ${sizes.nCtx} ` +
        `positions and ${sizes.dVocab} tokens.`,
    );
  }
  const random = randomFrom(options.seed),
    count = weightCount(sizes);
  const model = modelIn(new Float32Array(count), sizes);
  for (const [name, weight] of Object.entries(model.weights)) {
    if (name.endsWith("alpha")) continue;
    for (let i = 0; i < weight.length; i++)
      weight[i] = (0.8 / Math.sqrt(sizes.dModel)) * normal(random);
  }
  return {
    options,
    step: 0,
    random,
    weights: new Float32Array(model.weights.W_E.buffer),
    first: new Float32Array(count),
    second: new Float32Array(count),
    losses: [],
    snapshots: [],
  };
}

/**
 * The memory that the steps of a run use. It is not part of the state: make it where the steps run.
 * @param {Training} training
 * @returns {Desk}
 */
export function deskFor({ options, weights }) {
  const { batch, nPos } = options.data;
  return {
    tokens: new Int32Array(batch * nPos),
    work: workspaceFor(options.sizes, batch, nPos, weights),
  };
}

/**
 * Draw a batch, update the weights, and return the loss before the update. Throws a RangeError if
 * the loss stops being a number.
 * @param {Training} training
 * @param {Desk} desk
 */
export function trainStep(training, desk) {
  drawRows(training.options.data, training.random, desk.tokens);
  const loss = lossAndGradient(modelOf(training), desk.tokens, desk.work);
  if (!Number.isFinite(loss)) {
    throw new RangeError(
      `The loss became ${loss} at step ${training.step}: lower the learning rate.`,
    );
  }
  clipNorm(desk.work.flatGradient, training.options.settings.clip);
  adamwStep(training, desk.work.flatGradient, training.options.settings);
  training.step += 1;
  training.losses.push(loss);
  return loss;
}

/**
 * Store a snapshot of the current step, unless there is one.
 * @param {Training} training
 */
export function takeSnapshot(training) {
  const last = training.snapshots[training.snapshots.length - 1];
  if (last?.step !== training.step) training.snapshots.push(copied(training));
}

/**
 * Rewind the run to a snapshot and discard everything later. The same steps follow again.
 * Throws a RangeError if there is no snapshot of that step.
 * @param {Training} training
 * @param {number} step
 */
export function rewind(training, step) {
  const target = training.snapshots.find((snapshot) => snapshot.step === step);
  if (!target) {
    const steps = training.snapshots.map((snapshot) => snapshot.step).join(", ");
    throw new RangeError(`There is no snapshot of step ${step}. Snapshots: ${steps || "none"}.`);
  }
  Object.assign(training, copied(target));
  training.losses.length = step;
  training.snapshots = training.snapshots.filter((snapshot) => snapshot.step <= step);
}

/**
 * @param {Moment} moment
 * @returns {Moment}
 */
function copied({ step, random, weights, first, second }) {
  return {
    step,
    random: random.slice(),
    weights: weights.slice(),
    first: first.slice(),
    second: second.slice(),
  };
}

/**
 * The model at the current step: views of its weights, which the next step changes.
 * @param {Training} training
 * @returns {Model}
 */
export function modelOf({ weights, options }) {
  return modelIn(weights, options.sizes);
}

/** Rows on which a model is measured while it trains. */
export const MEASURED_ROWS = 8;

/**
 * Scores and second-copy loss on `rows` rows with two copies of one block of distinct tokens.
 * @param {Model} model
 * @param {{period?: number, rows?: number, seed?: number}} [options]
 * @returns {Measures}
 */
export function measured(model, options = {}) {
  const { nLayers, nHeads, nCtx, dVocab } = model.sizes;
  const { bosToken } = model,
    before = Number(bosToken !== null);
  const longest = Math.min((nCtx - before) >> 1, dVocab - before);
  const { period = longest, rows = MEASURED_ROWS, seed = 1 } = options;
  const nPos = before + 2 * period,
    square = nPos * nPos;
  const table = () => Array.from({ length: nLayers }, () => new Array(nHeads).fill(0));
  const result = { previousToken: table(), induction: table(), secondCopyLoss: 0 };
  for (const row of repeatedRows(dVocab, period, rows, randomFrom(seed), bosToken)) {
    const { patterns, losses } = run(model, row);
    for (let layer = 0; layer < nLayers; layer++) {
      for (let head = 0; head < nHeads; head++) {
        const pattern = patterns[layer].subarray(head * square, (head + 1) * square);
        result.previousToken[layer][head] += previousTokenScore(pattern, nPos) / rows;
        result.induction[layer][head] += inductionScore(pattern, nPos, period) / rows;
      }
    }
    const later = losses.subarray(before + period);
    for (const loss of later) result.secondCopyLoss += loss / later.length / rows;
  }
  return result;
}
