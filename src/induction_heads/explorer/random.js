// @ts-check
/** Random numbers from a seed, the same on every machine: the generator sfc32. */

/** The state of a generator: four 32-bit integers. Each draw changes it.
 * @typedef {Uint32Array} Random
 */

/**
 * A generator started from a seed.
 * @param {number} seed
 * @returns {Random}
 */
export function randomFrom(seed) {
  const state = Uint32Array.of(seed, Math.floor(seed / 2 ** 32), 0x9e3779b9, 1);
  // The first twelve numbers of nearby seeds are similar.
  for (let i = 0; i < 12; i++) nextWord(state);
  return state;
}

/** @param {Random} state */
function nextWord(state) {
  const word = (((state[0] + state[1]) >>> 0) + state[3]) >>> 0;
  state[3] += 1;
  state[0] = state[1] ^ (state[1] >>> 9);
  state[1] = state[2] + (state[2] << 3);
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + word;
  return word;
}

/**
 * A number in [0, 1).
 * @param {Random} state
 */
export function uniform(state) {
  return nextWord(state) / 2 ** 32;
}

/**
 * An integer from 0 to `count` − 1.
 * @param {Random} state
 * @param {number} count
 */
export function below(state, count) {
  return Math.floor(uniform(state) * count);
}

/**
 * A number from the standard normal distribution.
 * @param {Random} state
 */
export function normal(state) {
  const radius = Math.sqrt(-2 * Math.log(1 - uniform(state)));
  return radius * Math.cos(2 * Math.PI * uniform(state));
}

/**
 * `length` distinct integers below `count`, in random order.
 * @param {Random} state
 * @param {number} count
 * @param {number} length
 */
export function distinct(state, count, length) {
  if (length > count) {
    throw new RangeError(`Asked for ${length} different tokens, but only ${count} exist.`);
  }
  const all = Array.from({ length: count }, (_, i) => i);
  for (let i = 0; i < length; i++) {
    const other = i + below(state, count - i);
    [all[i], all[other]] = [all[other], all[i]];
  }
  return all.slice(0, length);
}
