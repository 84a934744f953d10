// @ts-check
/** The backward pass through the attention of one head on one row of tokens. */

import { sigmoid } from "./attention.js";

/** @typedef {import("./products.js").Floats} Floats */

/**
 * The position of the head's rows in each array, and their length.
 * @typedef {{start: number, stride: number, nPos: number, dHead: number}} Where
 */

/**
 * From the gradient of z to those of the query, key and value, which are added to `dSides`.
 *
 * With smeared keys, the key gradient is that of the unmixed key, and the gradient of α is returned;
 * otherwise 0 is returned.
 * @param {import("./gradients.js").LayerMemory} layer
 * @param {number} at where the head's pattern starts
 * @param {Floats} dZ
 * @param {Record<"Q" | "K" | "V", Floats>} dSides
 * @param {Where} where
 * @param {number | null} alpha null without smeared keys
 */
export function attendBackward(layer, at, dZ, dSides, where, alpha) {
  const { q: Q, k: K, v: V, patterns } = layer,
    { Q: dQ, K: dK, V: dV } = dSides;
  const { start, stride, nPos, dHead } = where,
    scale = 1 / Math.sqrt(dHead);
  const dPattern = new Float64Array(nPos + 3); // The last group of four may reach past the end.
  for (let query = 0; query < nPos; query++) {
    const from = start + query * stride,
      row = at + query * nPos;
    let mean = 0;
    // Four keys at a time; a future key has weight 0, and the query's own key is read instead.
    for (let key = 0; key <= query; key += 4) {
      const a = start + key * stride;
      const b = start + Math.min(key + 1, query) * stride;
      const c = start + Math.min(key + 2, query) * stride;
      const e = start + Math.min(key + 3, query) * stride;
      const w0 = patterns[row + key];
      const w1 = key + 1 <= query ? patterns[row + key + 1] : 0;
      const w2 = key + 2 <= query ? patterns[row + key + 2] : 0;
      const w3 = key + 3 <= query ? patterns[row + key + 3] : 0;
      let s0 = 0,
        s1 = 0,
        s2 = 0,
        s3 = 0;
      for (let d = 0; d < dHead; d++) {
        const dz = dZ[from + d];
        s0 += dz * V[a + d];
        s1 += dz * V[b + d];
        s2 += dz * V[c + d];
        s3 += dz * V[e + d];
        dV[a + d] += w0 * dz;
        dV[b + d] += w1 * dz;
        dV[c + d] += w2 * dz;
        dV[e + d] += w3 * dz;
      }
      dPattern[key] = s0;
      dPattern[key + 1] = s1;
      dPattern[key + 2] = s2;
      dPattern[key + 3] = s3;
      mean += w0 * s0 + w1 * s1 + w2 * s2 + w3 * s3;
    }
    for (let key = 0; key <= query; key += 4) {
      const a = start + key * stride;
      const b = start + Math.min(key + 1, query) * stride;
      const c = start + Math.min(key + 2, query) * stride;
      const e = start + Math.min(key + 3, query) * stride;
      const s0 = patterns[row + key] * (dPattern[key] - mean) * scale;
      const s1 =
        key + 1 <= query ? patterns[row + key + 1] * (dPattern[key + 1] - mean) * scale : 0;
      const s2 =
        key + 2 <= query ? patterns[row + key + 2] * (dPattern[key + 2] - mean) * scale : 0;
      const s3 =
        key + 3 <= query ? patterns[row + key + 3] * (dPattern[key + 3] - mean) * scale : 0;
      for (let d = 0; d < dHead; d++) {
        const x = Q[from + d];
        dQ[from + d] += s0 * K[a + d] + s1 * K[b + d] + s2 * K[c + d] + s3 * K[e + d];
        dK[a + d] += s0 * x;
        dK[b + d] += s1 * x;
        dK[c + d] += s2 * x;
        dK[e + d] += s3 * x;
      }
    }
  }
  return alpha === null ? 0 : smearBackward(layer.plainK, dK, where, sigmoid(alpha));
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
    const here = start + pos * stride,
      before = here - stride;
    for (let d = 0; d < dHead; d++) {
      const slope = dK[here + d];
      dShare += slope * (plain[here + d] - plain[before + d]);
      dK[before + d] += (1 - share) * slope;
      dK[here + d] = share * slope;
    }
  }
  return dShare * share * (1 - share);
}
