// @ts-check
/** The attention pattern of one head, and what it mixes. */

/** @typedef {import("./products.js").Floats} Floats */

/**
 * A head's rows inside a larger array: position p starts at `start + p * stride`.
 * @typedef {{data: Floats, start: number, stride: number}} Rows
 */

/**
 * Write softmax(q · k / √d_head) over the keys that are not in the future to `out`, from `at` on.
 * @param {Floats} out
 * @param {number} at
 * @param {Rows} q
 * @param {Rows} k
 * @param {number} nPos
 * @param {number} dHead
 */
export function writePattern(out, at, q, k, nPos, dHead) {
  const Q = q.data, K = k.data, scale = 1 / Math.sqrt(dHead);
  for (let query = 0; query < nPos; query++) {
    const row = at + query * nPos, from = q.start + query * q.stride;
    let highest = -Infinity;
    for (let key = 0; key <= query; key++) {
      const to = k.start + key * k.stride;
      let score = 0;
      for (let d = 0; d < dHead; d++) score += Q[from + d] * K[to + d];
      score *= scale;
      out[row + key] = score;
      if (score > highest) highest = score;
    }
    let total = 0;
    for (let key = 0; key <= query; key++) {
      const weight = Math.exp(out[row + key] - highest);
      out[row + key] = weight;
      total += weight;
    }
    for (let key = 0; key <= query; key++) out[row + key] /= total;
    out.fill(0, row + query + 1, row + nPos);
  }
}

/**
 * Write pattern · values to `z`.
 * @param {Rows} z
 * @param {Floats} pattern
 * @param {number} at
 * @param {Rows} v
 * @param {number} nPos
 * @param {number} dHead
 */
export function writeMixed(z, pattern, at, v, nPos, dHead) {
  const Z = z.data, V = v.data;
  for (let query = 0; query < nPos; query++) {
    const to = z.start + query * z.stride;
    for (let d = 0; d < dHead; d++) Z[to + d] = 0;
    for (let key = 0; key <= query; key++) {
      const weight = pattern[at + query * nPos + key], from = v.start + key * v.stride;
      for (let d = 0; d < dHead; d++) Z[to + d] += weight * V[from + d];
    }
  }
}

/**
 * Mix each key with the one before it, in place: σ(α) k_j + (1 − σ(α)) k_{j−1}. The first stays.
 * @param {Rows} k
 * @param {number} alpha
 * @param {number} nPos
 * @param {number} dHead
 */
export function smear(k, alpha, nPos, dHead) {
  const K = k.data, share = sigmoid(alpha);
  // From the last position to the first, so that each key still finds the plain one before it.
  for (let pos = nPos - 1; pos > 0; pos--) {
    const here = k.start + pos * k.stride, before = here - k.stride;
    for (let d = 0; d < dHead; d++) {
      K[here + d] = share * K[here + d] + (1 - share) * K[before + d];
    }
  }
}

/** @param {number} x */
export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}
