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
 * The snapshots before the last, from late to early, each as differences from the next one, in units.
 * `spacing` is the unit of each weight matrix; `bits` the size of a number: 8, 16 or 32.
 * @typedef {{
 *   format: number, name: string, steps: number[], spacing: number[], bits: number,
 *   differences: string,
 * }} StoredSnapshots
 */

const FORMAT = 2;
/** 85 characters that need no escape in a script, an attribute or JSON. */
const DIGITS =
  "!#()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~";

/**
 * The model in a stored text, in single precision (it is stored in half precision).
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
  return modelIn(flat, stored.sizes, stored.bosToken);
}

/**
 * The model at each stored training step, in order of the steps. The last one is `last` itself.
 * @param {StoredSnapshots} stored
 * @param {Model} last the final model, decoded by `modelFrom`
 * @returns {Promise<{step: number, model: Model}[]>}
 */
export async function snapshotsFrom(stored, last) {
  mustBeKnown(stored);
  const { steps, spacing, bits } = stored;
  const Integers = bits === 8 ? Int8Array : bits === 16 ? Int16Array : Int32Array;
  const differences = new Integers(await inflated(bytesFrom(stored.differences)));
  const names = weightShapes(last.sizes).map(([name]) => name);
  const running = names.map((name) => Float64Array.from(last.weights[name]));
  const snapshots = [{ step: steps[steps.length - 1], model: last }];
  let next = 0;
  for (let at = steps.length - 2; at >= 0; at--) {
    const flat = new Float32Array(weightCount(last.sizes));
    let start = 0;
    running.forEach((weight, matrix) => {
      for (let i = 0; i < weight.length; i++) weight[i] += differences[next++] * spacing[matrix];
      flat.set(weight, start);
      start += weight.length;
    });
    snapshots.unshift({ step: steps[at], model: modelIn(flat, last.sizes, last.bosToken) });
  }
  return snapshots;
}

/** @param {{format: number, name: string}} stored */
function mustBeKnown({ format, name }) {
  if (format !== FORMAT) {
    throw new RangeError(`${name} is stored in format ${format}; this reader knows ${FORMAT}.`);
  }
}

/**
 * The bytes of a text in base 85: five characters are four bytes, the first digit is the highest.
 * @param {string} text
 */
function bytesFrom(text) {
  const value = new Uint8Array(128);
  for (let i = 0; i < DIGITS.length; i++) value[DIGITS.charCodeAt(i)] = i;
  const groups = Math.ceil(text.length / 5);
  const padded = text.padEnd(5 * groups, DIGITS[84]);
  const bytes = new Uint8Array(4 * groups);
  for (let i = 0, at = 0; i < padded.length; i += 5) {
    let word = 0;
    for (let j = i; j < i + 5; j++) word = word * 85 + value[padded.charCodeAt(j)];
    bytes[at++] = word >>> 24;
    bytes[at++] = word >>> 16;
    bytes[at++] = word >>> 8;
    bytes[at++] = word;
  }
  return bytes.subarray(0, Math.floor((text.length * 4) / 5));
}

/**
 * The bytes that zlib compressed.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Promise<ArrayBuffer>}
 */
async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

/**
 * The number in 16 bits of half precision.
 * @param {number} bits
 */
function fromHalf(bits) {
  const sign = bits & 0x8000 ? -1 : 1,
    exponent = (bits >> 10) & 31,
    fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
