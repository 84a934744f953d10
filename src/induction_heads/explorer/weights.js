// @ts-check
/** Models and snapshots from the text that `induction_heads.explorer.export` writes. */

import { modelIn, weightCount, weightShapes } from "./sizes.js";

/** @typedef {import("./sizes.js").Sizes} Sizes */
/** @typedef {import("./sizes.js").Model} Model */

/**
 * @typedef {{
 *   format: number, name: string, sizes: Sizes, bosToken: number | null, weights: string,
 * }} StoredModel
 */

/**
 * The snapshots before the last, from late to early, each as differences from the one after it.
 * `spacing` is the size of one unit of each weight matrix; `lowBits` the Rice parameter of each
 * matrix in each snapshot.
 * @typedef {{
 *   format: number, name: string, steps: number[], spacing: number[], lowBits: number[][],
 *   differences: string,
 * }} StoredSnapshots
 */

const FORMAT = 1;
/** 85 characters that need no escape in a script, an attribute or JSON. */
const DIGITS =
  "!#()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";

/**
 * The model in a stored text (single precision; what is stored is half precision).
 * @param {StoredModel} stored
 * @returns {Model}
 */
export function modelFrom(stored) {
  mustBeKnown(stored);
  const count = weightCount(stored.sizes);
  const bytes = bytesFrom(stored.weights);
  if (bytes.length < 2 * count) {
    throw new RangeError(`${stored.name}: ${bytes.length} bytes hold fewer than ${count} weights.`);
  }
  const flat = new Float32Array(count);
  for (let i = 0; i < count; i++) flat[i] = fromHalf(bytes[2 * i] | (bytes[2 * i + 1] << 8));
  return modelIn(flat, stored.sizes);
}

/**
 * The model at each stored training step, in order of the steps. The last one is `last` itself.
 * @param {StoredSnapshots} stored
 * @param {Model} last the final model, decoded by `modelFrom`
 * @returns {{step: number, model: Model}[]}
 */
export function snapshotsFrom(stored, last) {
  mustBeKnown(stored);
  const names = weightShapes(last.sizes).map(([name]) => name);
  const running = names.map((name) => Float64Array.from(last.weights[name]));
  const snapshots = [{ step: stored.steps[stored.steps.length - 1], model: last }];
  const next = riceReader(bytesFrom(stored.differences));
  stored.lowBits.forEach((lowBits, back) => {
    const flat = new Float32Array(weightCount(last.sizes));
    let start = 0;
    running.forEach((weight, which) => {
      for (let i = 0; i < weight.length; i++) weight[i] += next(lowBits[which]) * stored.spacing[which];
      flat.set(weight, start);
      start += weight.length;
    });
    const step = stored.steps[stored.steps.length - 2 - back];
    snapshots.unshift({ step, model: modelIn(flat, last.sizes) });
  });
  return snapshots;
}

/** @param {{format: number, name: string}} stored */
function mustBeKnown({ format, name }) {
  if (format !== FORMAT) {
    throw new RangeError(`${name} is stored in format ${format}; this reader knows ${FORMAT}.`);
  }
}

/**
 * The bytes of a text: each five characters are four bytes, the first digit the highest.
 * @param {string} text
 */
function bytesFrom(text) {
  const value = new Uint8Array(128);
  for (let i = 0; i < DIGITS.length; i++) value[DIGITS.charCodeAt(i)] = i;
  const bytes = new Uint8Array((text.length / 5) * 4);
  for (let i = 0, at = 0; i < text.length; i += 5) {
    let word = 0;
    for (let j = i; j < i + 5; j++) word = word * 85 + value[text.charCodeAt(j)];
    bytes[at++] = word >>> 24;
    bytes[at++] = word >>> 16;
    bytes[at++] = word >>> 8;
    bytes[at++] = word;
  }
  return bytes;
}

/**
 * A function that reads the next signed number, given how many low bits it is stored with.
 *
 * A number u ≥ 0 is u >> lowBits ones, a zero, and its low bits. Signed: 0, −1, 1, −2, 2, …
 * @param {Uint8Array} bytes
 */
function riceReader(bytes) {
  let at = 0;
  const bit = () => {
    const value = (bytes[at >> 3] >> (7 - (at & 7))) & 1;
    at++;
    return value;
  };
  return /** @param {number} lowBits */ (lowBits) => {
    let code = 0;
    while (bit()) code++;
    for (let i = 0; i < lowBits; i++) code = (code << 1) | bit();
    return code & 1 ? -(code + 1) / 2 : code / 2;
  };
}

/**
 * The number in 16 bits of half precision.
 * @param {number} bits
 */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
