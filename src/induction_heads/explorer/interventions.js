// @ts-check
/** What a reader can change in a forward pass. The meaning is that of `induction_heads.interventions`. */

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./sizes.js").Sizes} Sizes */
/** @typedef {import("./sizes.js").Head} Head */

/**
 * Everything that is changed, in one plain object. All of it may be combined.
 *
 * - `off`: heads whose z is replaced, by zero or by `means` (which `meanMixed` makes).
 * - `frozen`: for each layer, patterns to use instead of its own, or null. Shaped as `patterns` of a
 *   run: `[head, query, key]`.
 * - `cut`: what the sender wrote is left out of one input of one later head: of its query, key or
 *   value. Other heads, other inputs and detours through heads in between keep it.
 * - `knockout`: the induction stripe of the last copy of `period` tokens is taken out of a head's
 *   pattern (after freezing) and each row is scaled to sum to 1 again.
 *
 * @typedef {{
 *   off?: {head: Head, how: "zero" | "mean"}[],
 *   means?: Floats[],
 *   frozen?: (Floats | null)[],
 *   cut?: {sender: Head, receiver: Head, side: "Q" | "K" | "V"}[],
 *   knockout?: {head: Head, period: number}[],
 * }} Interventions
 */

/**
 * Throw a RangeError that says what does not fit: a head that does not exist, a cut that does not
 * lead forward, patterns or means of another length, a period that does not fit twice.
 * @param {Interventions} change
 * @param {Sizes} sizes
 * @param {number} nPos
 */
export function mustApply(change, sizes, nPos) {
  const { nLayers, nHeads, dHead } = sizes;
  /** @param {Head} head */
  const mustExist = ([layer, head]) => {
    if (!(layer >= 0 && layer < nLayers && head >= 0 && head < nHeads)) {
      throw new RangeError(`There is no L${layer}H${head} in ${nLayers} layers of ${nHeads} heads.`);
    }
  };
  for (const { head, how } of change.off ?? []) {
    mustExist(head);
    const given = change.means?.[head[0]]?.length;
    const needed = nHeads * nPos * dHead;
    if (how === "mean" && given !== needed) {
      throw new RangeError(
        `A mean stands in for L${head[0]}H${head[1]}: \`means\` holds ${given ?? "nothing"} for its ` +
          `layer and ${needed} numbers are needed. Make it with meanMixed, on rows of ${nPos} tokens.`,
      );
    }
  }
  for (const { sender, receiver, side } of change.cut ?? []) {
    [sender, receiver].forEach(mustExist);
    if (sender[0] >= receiver[0]) {
      throw new RangeError(`The sender L${sender[0]}H${sender[1]} must be in an earlier layer.`);
    }
    if (!["Q", "K", "V"].includes(side)) throw new RangeError(`side=${side}: choose Q, K or V.`);
  }
  for (const { head, period } of change.knockout ?? []) {
    mustExist(head);
    if (!(period >= 2 && period <= nPos / 2)) {
      throw new RangeError(`period=${period} does not fit twice in ${nPos} positions.`);
    }
  }
  (change.frozen ?? []).forEach((pattern, layer) => {
    const needed = nHeads * nPos * nPos;
    if (pattern && pattern.length !== needed) {
      throw new RangeError(
        `The frozen patterns of layer ${layer} hold ${pattern.length} numbers; ${needed} are needed ` +
          `for ${nHeads} heads and ${nPos} tokens.`,
      );
    }
  });
}

/**
 * Take the induction stripe of the last copy out of one head's pattern, in place.
 *
 * A row whose whole weight lay on the stripe is spread evenly over the other keys it can see.
 * @param {Floats} patterns
 * @param {number} at where the head's pattern starts
 * @param {number} nPos
 * @param {number} period
 */
export function knockOutStripe(patterns, at, nPos, period) {
  for (let query = nPos - period; query < nPos; query++) {
    const row = at + query * nPos, stripe = query - period + 1;
    patterns[row + stripe] = 0;
    let left = 0;
    for (let key = 0; key <= query; key++) left += patterns[row + key];
    for (let key = 0; key <= query; key++) {
      if (left > 1e-6) patterns[row + key] /= left;
      else patterns[row + key] = key === stripe ? 0 : 1 / query;
    }
  }
}
