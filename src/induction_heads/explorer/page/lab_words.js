// @ts-check
/** What the training panel asks before a run, and says after it. */

import { MEASURED_ROWS } from "../train.js";
import { formationStep, LAB_FORMED, pointAt } from "./lab_history.js";

/** @typedef {import("./lab_settings.js").LabSettings} LabSettings */
/** @typedef {import("./lab_history.js").LabHistory} LabHistory */

/** @typedef {{of: string, shows: string, not: string}} LabMeaning */

/**
 * The question to decide before training.
 * @param {LabSettings} settings
 */
export function labQuestion({ layers, smeared, repeats, noise }) {
  if (!repeats) return "No token repeats within a row. Will an induction head still form?";
  if (noise) return `${noise} % of the tokens are random. Will an induction head still form?`;
  if (layers === 1 && smeared)
    return "Each key also contains the previous token. Will one layer learn to copy?";
  if (layers === 1) return "Will one layer learn to copy?";
  if (smeared)
    return "Each key also contains the previous token. Will two layers learn to copy sooner?";
  return "Will two layers learn to copy? Gradually, or all at once?";
}

/**
 * For each setting in effect: what the run shows, and what it does not.
 * @param {LabSettings} settings
 * @returns {LabMeaning[]}
 */
export function labMeanings({ layers, heads, smeared, repeats, noise, size, seed }) {
  /** @type {(LabMeaning | false)[]} */
  const meanings = [
    layers === 2 &&
      !smeared && {
        of: "Two layers",
        shows:
          "whether, and at which step, a head of the second layer attends to the token after the earlier copy.",
        not: "that two layers are needed for anything else: this task has one regularity, and the rows were made for it.",
      },
    layers === 1 &&
      !smeared && {
        of: "One layer",
        shows:
          "how far one layer gets if its keys contain only their own token and position, not the previous token.",
        not: "that it is impossible. A run that fails is one run, not an argument.",
      },
    smeared && {
      of: "Smeared keys",
      shows:
        "what one learned number per head changes: it mixes each key with the previous one, so a key can " +
        "contain the previous token. The previous-token score may stay low: no head needs to attend there.",
      not: "that language models work this way. It is a change of the architecture, made to test a cause.",
    },
    repeats && {
      of: "Repeats",
      shows: "what a model learns from rows in which a block appears three times, then a new one.",
      not: "how often text must repeat. Here it always does, so copying always pays.",
    },
    !repeats && {
      of: "No repeats",
      shows:
        "that the same model has no reason to copy if rows do not repeat. Its loss on two copies " +
        "rises: it has learned that a token never appears twice.",
      not: "that repeats alone are the cause. The rows differ in more ways: here the remaining tokens can be inferred.",
    },
    noise > 0 && {
      of: `Noise ${noise} %`,
      shows:
        `whether copying is learned where about ${intactPairs(noise)} % of the pairs of a token and ` +
        "its successor are intact.",
      not: "that a head never forms: the run is short. Try 5 and 10 %, then smeared keys with 30 %.",
    },
    heads === 1 && {
      of: "One head per layer",
      shows: "whether one head per layer is enough.",
      not: "that additional heads do nothing: several heads can share the work.",
    },
    heads === 4 && {
      of: "Four heads per layer",
      shows: "which heads do the copying, and whether one or several do.",
      not: "that four are needed. Each head has the same size as before, so the model is also larger.",
    },
    size === "toy" && {
      of: "Toy size",
      shows: "a model with the sizes, rows and steps of the course's toys.",
      not: "the same run: PyTorch trained the toys, from different random numbers.",
    },
    {
      of: `Seed ${seed}`,
      shows:
        "one draw of the initial weights and the rows. The same seed gives the same run in the same browser.",
      not: "how much runs differ. Try three seeds before you believe a difference in steps.",
    },
  ];
  return meanings.filter((meaning) => meaning !== false);
}

/**
 * The share of pairs of neighbors of which noise replaced neither, in percent.
 * @param {number} noise in percent
 */
function intactPairs(noise) {
  return Math.round(100 * (1 - noise / 100) ** 2);
}

/**
 * The state of a run: its step, and its losses and scores at the last measured point.
 * @param {LabHistory} history
 * @param {number} step
 * @param {number} steps
 */
export function labStanding(history, step, steps) {
  const point = pointAt(history, step),
    loss = history.losses[step - 1];
  return [
    `Step ${step} of ${steps}`,
    loss !== undefined && `loss ${loss.toFixed(2)}`,
    point && `second copy ${point.secondCopyLoss.toFixed(2)} nats`,
    point && `highest previous-token score ${point.previousToken.toFixed(2)}`,
    point && `highest induction score ${point.induction.toFixed(2)}`,
  ]
    .filter(Boolean)
    .join(" · ");
}

/**
 * What the curves are, for these options, and which run is drawn pale (empty: none).
 * @param {import("../train.js").Options} options
 * @param {string} before
 */
export function labCurvesNote({ sizes: { dVocab, nCtx } }, before) {
  const period = Math.min(nCtx >> 1, dVocab);
  return [
    `Second copy and scores: every 10 steps, means over ${MEASURED_ROWS} rows of two copies of ${period} random tokens.`,
    `A guess among all ${dVocab} tokens costs ${Math.log(dVocab).toFixed(2)} nats.`,
    before && `Pale: the previous run (${before}).`,
  ]
    .filter(Boolean)
    .join(" ");
}

/**
 * The result of a run, and what the reader expected (`null`: no answer).
 * @param {LabHistory} history
 * @param {boolean | null} expected whether a head would form
 * @param {boolean} finished
 */
export function labConclusion(history, expected, finished) {
  const formed = formationStep(history),
    step = history.losses.length;
  if (formed === null && !finished) return "";
  const what =
    formed === null
      ? `No induction head formed in ${step} steps: no head's score reached ${LAB_FORMED}.`
      : `Phase change at step ${formed}: an induction head has formed.`;
  if (expected === null) return what;
  return `${what} You expected ${expected ? "one" : "none"}.`;
}

/**
 * The most likely next tokens of one probability row, in words that do not break: `C 93 %, D 2 %`.
 * @param {ArrayLike<number>} shares
 * @param {(token: number) => string} word
 */
export function likeliest(shares, word) {
  return Array.from(shares, (share, token) => ({ share, token }))
    .sort((a, b) => b.share - a.share)
    .slice(0, 3)
    .map(({ share, token }) => `${word(token)}\u00a0${Math.round(100 * share)}\u00a0%`)
    .join(", ");
}
