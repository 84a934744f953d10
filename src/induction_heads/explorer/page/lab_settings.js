// @ts-check
/** What a reader can choose about a training run, and its short text for a link. */

import { trainingOptions } from "../train.js";

/**
 * `noise` is in percent. A `toy` has the sizes and the data of the course's toys.
 * @typedef {{
 *   layers: 1 | 2, heads: 1 | 2 | 4, smeared: boolean, repeats: boolean, noise: number, seed: number,
 *   size: "small" | "toy",
 * }} LabSettings
 */

/** @type {LabSettings} */
export const LAB_DEFAULT = {
  layers: 2,
  heads: 2,
  smeared: false,
  repeats: true,
  noise: 0,
  seed: 0,
  size: "small",
};

export const LAB_LARGEST_NOISE = 30;
export const LAB_LARGEST_SEED = 9999;

const LAB_TEXT = /^l([12])h([124])k([ps])r([01])n(\d{1,2})e(\d{1,4})z([st])$/;

/**
 * The settings as a short text of letters and digits, `l1h2kpr1n0e0zs`; empty for the default.
 * @param {LabSettings} settings
 */
export function labText(settings) {
  const text = fullText(settings);
  return text === fullText(LAB_DEFAULT) ? "" : text;
}

/** @param {LabSettings} settings */
function fullText({ layers, heads, smeared, repeats, noise, seed, size }) {
  return `l${layers}h${heads}k${smeared ? "s" : "p"}r${+repeats}n${noise}e${seed}z${size[0]}`;
}

/**
 * The settings of a text of `labText`, or null if it is none.
 * @param {string} text
 * @returns {LabSettings | null}
 */
export function labSettingsFrom(text) {
  if (!text) return LAB_DEFAULT;
  const found = LAB_TEXT.exec(text);
  if (!found || +found[5] > LAB_LARGEST_NOISE) return null;
  return {
    layers: /** @type {1 | 2} */ (+found[1]),
    heads: /** @type {1 | 2 | 4} */ (+found[2]),
    smeared: found[3] === "s",
    repeats: found[4] === "1",
    noise: +found[5],
    seed: +found[6],
    size: found[7] === "t" ? "toy" : "small",
  };
}

/**
 * The options of the run. The seed decides the first weights and the rows.
 * @param {LabSettings} settings
 */
export function labOptions({ layers, heads, smeared, repeats, noise, seed, size }) {
  const sizes = { nLayers: layers, nHeads: heads, smeared };
  const data = { repeats, noise: noise / 100 };
  if (size === "small") return trainingOptions({ sizes, data, seed });
  return trainingOptions({
    sizes: { ...sizes, dModel: 64, dHead: 32, dVocab: 64 },
    data: { ...data, batch: 32 },
    settings: { steps: 400 },
    seed,
  });
}

/**
 * The settings in words: `two layers, smeared keys, noise 10 %, seed 3`.
 * @param {LabSettings} settings
 */
export function labWords({ layers, heads, smeared, repeats, noise, seed, size }) {
  return [
    size === "toy" && "toy",
    layers === 1 ? "one layer" : "two layers",
    heads !== 2 && `${heads === 1 ? "one head" : "four heads"} per layer`,
    smeared && "smeared keys",
    !repeats && "no repeats",
    noise > 0 && `noise ${noise} %`,
    `seed ${seed}`,
  ]
    .filter(Boolean)
    .join(", ");
}
