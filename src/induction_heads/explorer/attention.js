// @ts-check
/** The attention pattern of one head, and what it mixes. */

/** @typedef {import("./products.js").Floats} Floats */

/**
 * A head's rows inside a larger array: position p starts at `start + p * stride`.
 * @typedef {{data: Floats, start: number, stride: number}} Rows
 */

/**
 * Write softmax(q · k / √d_head) over the keys up to the query to `out`, from `at` on.
 *
 * Four keys are processed at a time, so that four sums run in parallel. In the last group the places of
 * future keys hold the query's own key; their results are not used.
 * @param {Floats} out
 * @param {number} at
 * @param {Rows} q
 * @param {Rows} k
 * @param {number} nPos
 * @param {number} dHead
 */
export function writePattern(out, at, q, k, nPos, dHead) {
  const Q = q.data,
    K = k.data,
    scale = 1 / Math.sqrt(dHead);
  for (let query = 0; query < nPos; query++) {
    const row = at + query * nPos,
      from = q.start + query * q.stride;
    let highest = -Infinity;
    for (let key = 0; key <= query; key += 4) {
      const a = k.start + key * k.stride;
      const b = k.start + Math.min(key + 1, query) * k.stride;
      const c = k.start + Math.min(key + 2, query) * k.stride;
      const e = k.start + Math.min(key + 3, query) * k.stride;
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0;
      for (let d = 0; d < dHead; d++) {
        const x = Q[from + d];
        s0 += x * K[a + d];
        s1 += x * K[b + d];
        s2 += x * K[c + d];
        s3 += x * K[e + d];
      }
      out[row + key] = s0 * scale;
      if (key + 1 <= query) out[row + key + 1] = s1 * scale;
      if (key + 2 <= query) out[row + key + 2] = s2 * scale;
      if (key + 3 <= query) out[row + key + 3] = s3 * scale;
      highest = Math.max(highest, s0 * scale, s1 * scale, s2 * scale, s3 * scale);
    }
    let total = 0;
    for (let key = 0; key <= query; key++) {
      const weight = Math.exp(out[row + key] - highest);
      out[row + key] = weight;
      total += weight;
    }
    const share = 1 / total;
    for (let key = 0; key <= query; key++) out[row + key] *= share;
    for (let key = query + 1; key < nPos; key++) out[row + key] = 0;
  }
}

/**
 * Write pattern · values to `z`, four keys at a time.
 * @param {Rows} z
 * @param {Floats} pattern
 * @param {number} at
 * @param {Rows} v
 * @param {number} nPos
 * @param {number} dHead
 */
export function writeMixed(z, pattern, at, v, nPos, dHead) {
  const Z = z.data,
    V = v.data;
  for (let query = 0; query < nPos; query++) {
    const to = z.start + query * z.stride,
      row = at + query * nPos;
    for (let d = 0; d < dHead; d++) Z[to + d] = 0;
    for (let key = 0; key <= query; key += 4) {
      const a = v.start + key * v.stride;
      const b = v.start + Math.min(key + 1, query) * v.stride;
      const c = v.start + Math.min(key + 2, query) * v.stride;
      const e = v.start + Math.min(key + 3, query) * v.stride;
      const w0 = pattern[row + key];
      const w1 = key + 1 <= query ? pattern[row + key + 1] : 0;
      const w2 = key + 2 <= query ? pattern[row + key + 2] : 0;
      const w3 = key + 3 <= query ? pattern[row + key + 3] : 0;
      for (let d = 0; d < dHead; d++) {
        Z[to + d] += w0 * V[a + d] + w1 * V[b + d] + w2 * V[c + d] + w3 * V[e + d];
      }
    }
  }
}

/**
 * Mix each key with the one before it, in place: σ(α) k_j + (1 − σ(α)) k_{j−1}. The first key does not change.
 * @param {Rows} k
 * @param {number} alpha
 * @param {number} nPos
 * @param {number} dHead
 */
export function smear(k, alpha, nPos, dHead) {
  const K = k.data,
    share = sigmoid(alpha);
  // From the last position to the first, so that each key reads the unmixed key before it.
  for (let pos = nPos - 1; pos > 0; pos--) {
    const here = k.start + pos * k.stride,
      before = here - k.stride;
    for (let d = 0; d < dHead; d++) {
      K[here + d] = share * K[here + d] + (1 - share) * K[before + d];
    }
  }
}

/** @param {number} x */
export function sigmoid(x) {
  return 1 / (1 + Math.exp(-x));
}
