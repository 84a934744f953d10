// @ts-check
/** What a training run has shown so far: its losses, and its measures at each tenth step. */

/** @typedef {import("../train.js").Measures} Measures */

/**
 * One measured moment. Scores are those of the best head.
 * @typedef {{step: number, previousToken: number, induction: number, secondCopyLoss: number}} LabPoint
 */

/** @typedef {{losses: number[], points: LabPoint[]}} LabHistory */

/** An induction head has formed when a head first reaches this score, as in the course. */
export const LAB_FORMED = 0.4;

/** @returns {LabHistory} */
export function newLabHistory() {
  return { losses: [], points: [] };
}

/**
 * The point of some measures.
 * @param {number} step
 * @param {Measures} measures
 * @returns {LabPoint}
 */
export function labPoint(step, { previousToken, induction, secondCopyLoss }) {
  return {
    step,
    previousToken: Math.max(...previousToken.flat()),
    induction: Math.max(...induction.flat()),
    secondCopyLoss,
  };
}

/**
 * Add what a frame of the worker brought. Raises a RangeError if steps are missing in between.
 * @param {LabHistory} history
 * @param {{step: number, losses: ArrayLike<number>, points: LabPoint[]}} frame
 */
export function addToHistory(history, { step, losses, points }) {
  if (history.losses.length + losses.length !== step) {
    throw new RangeError(
      `Got ${losses.length} losses up to step ${step} after ${history.losses.length} earlier ones.`,
    );
  }
  for (let i = 0; i < losses.length; i++) history.losses.push(losses[i]);
  history.points.push(...points);
}

/**
 * Forget what came after a step.
 * @param {LabHistory} history
 * @param {number} step
 */
export function forgetAfter(history, step) {
  history.losses.length = Math.min(history.losses.length, step);
  history.points = history.points.filter((point) => point.step <= step);
}

/**
 * The first measured step at which a head has the score `LAB_FORMED`, or null.
 * @param {LabHistory} history
 */
export function formationStep(history) {
  return history.points.find(({ induction }) => induction >= LAB_FORMED)?.step ?? null;
}

/**
 * The last measured point at or before a step, or null.
 * @param {LabHistory} history
 * @param {number} step
 */
export function pointAt(history, step) {
  return history.points.findLast((point) => point.step <= step) ?? null;
}
