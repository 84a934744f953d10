// @ts-check
/** The backward pass through the attention of one head on one row of tokens. */

import { sigmoid } from "./attention.js";

/** @typedef {import("./products.js").Floats} Floats */

/**
 * Where the head's rows are in each array, and how many numbers they have.
 * @typedef {{start: number, stride: number, nPos: number, dHead: number}} Where
 */

/**
 * From the gradient of z to those of the query, key and value, which are added to `dSides`.
 *
 * With smeared keys, the gradient of the key is that of the plain key, and that of α is returned;
 * without, 0 is.
 * @param {import("./gradients.js").Kept} kept
 * @param {number} at where the head's pattern starts
 * @param {Floats} dZ
 * @param {Record<"Q" | "K" | "V", Floats>} dSides
 * @param {Where} where
 * @param {number | null} alpha null without smeared keys
 */
export function attendBackward(kept, at, dZ, dSides, where, alpha) {
  const { q: Q, k: K, v: V, patterns } = kept, { Q: dQ, K: dK, V: dV } = dSides;
  const { start, stride, nPos, dHead } = where, scale = 1 / Math.sqrt(dHead);
  const dPattern = new Float64Array(nPos);
  for (let query = 0; query < nPos; query++) {
    const from = start + query * stride, row = at + query * nPos;
    let mean = 0;
    for (let key = 0; key <= query; key++) {
      const to = start + key * stride, weight = patterns[row + key];
      let along = 0;
      for (let d = 0; d < dHead; d++) {
        const dz = dZ[from + d];
        along += dz * V[to + d];
        dV[to + d] += weight * dz;
      }
      dPattern[key] = along;
      mean += weight * along;
    }
    for (let key = 0; key <= query; key++) {
      const to = start + key * stride;
      const dScore = patterns[row + key] * (dPattern[key] - mean) * scale;
      for (let d = 0; d < dHead; d++) {
        dQ[from + d] += dScore * K[to + d];
        dK[to + d] += dScore * Q[from + d];
      }
    }
  }
  return alpha === null ? 0 : smearBackward(kept.plainK, dK, where, sigmoid(alpha));
}

/**
 * From the gradient of the smeared keys to that of the plain ones, in place, and to that of α.
 * @param {Floats} plain
 * @param {Floats} dK
 * @param {Where} where
 * @param {number} share σ(α)
 */
function smearBackward(plain, dK, { start, stride, nPos, dHead }, share) {
  let dShare = 0;
  for (let pos = 1; pos < nPos; pos++) {
    const here = start + pos * stride, before = here - stride;
    for (let d = 0; d < dHead; d++) {
      const slope = dK[here + d];
      dShare += slope * (plain[here + d] - plain[before + d]);
      dK[before + d] += (1 - share) * slope;
      dK[here + d] = share * slope;
    }
  }
  return dShare * share * (1 - share);
}
