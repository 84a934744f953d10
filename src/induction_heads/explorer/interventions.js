// @ts-check
/** What a reader can change in a forward pass. The meaning is that of `induction_heads.interp.interventions`. */

import { keysAfterCopies } from "./scores.js";

/** @typedef {import("./products.js").Floats} Floats */
/** @typedef {import("./sizes.js").Sizes} Sizes */
/** @typedef {import("./sizes.js").Head} Head */

/**
 * All changes to a forward pass in one plain object. They can be combined.
 *
 * - `off`: heads whose z is replaced, by zero or by `means` (which `meanMixed` makes).
 * - `frozen`: for each layer, patterns that replace its own, or null. Shaped as `patterns` of a
 *   run: `[head, query, key]`.
 * - `cut`: what the sender wrote is left out of one input of one later head: of its query, key or
 *   value. Other heads, other inputs and detours through heads in between keep it.
 * - `knockout`: the weights of a head on all keys after an earlier copy of the query's token are
 *   removed from its pattern (after freezing) and each row is scaled to sum to 1 again.
 *
 * @typedef {{
 *   off?: {head: Head, how: "zero" | "mean"}[],
 *   means?: Floats[],
 *   frozen?: (Floats | null)[],
 *   cut?: {sender: Head, receiver: Head, side: "Q" | "K" | "V"}[],
 *   knockout?: {head: Head}[],
 * }} Interventions
 */

/**
 * Throws a RangeError for a head that does not exist, a cut that does not lead to a later layer,
 * or patterns or means of the wrong length.
 * @param {Interventions} change
 * @param {Sizes} sizes
 * @param {number} nPos
 */
export function mustApply(change, sizes, nPos) {
  const { nLayers, nHeads, dHead } = sizes;
  /** @param {Head} head */
  const mustExist = ([layer, head]) => {
    if (!(layer >= 0 && layer < nLayers && head >= 0 && head < nHeads)) {
      throw new RangeError(
        `There is no L${layer}H${head} in ${nLayers} layers of ${nHeads} heads.`,
      );
    }
  };
  for (const { head, how } of change.off ?? []) {
    mustExist(head);
    const length = change.means?.[head[0]]?.length;
    const needed = nHeads * nPos * dHead;
    if (how === "mean" && length !== needed) {
      throw new RangeError(
        `L${head[0]}H${head[1]} is replaced by a mean, but \`means\` has ${length ?? "no"} numbers for its ` +
          `layer; ${needed} are needed. Make it with meanMixed, on rows of ${nPos} tokens.`,
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
  for (const { head } of change.knockout ?? []) mustExist(head);
  (change.frozen ?? []).forEach((pattern, layer) => {
    const needed = nHeads * nPos * nPos;
    if (pattern && pattern.length !== needed) {
      throw new RangeError(
        `The frozen patterns of layer ${layer} have ${pattern.length} numbers; ${needed} are needed ` +
          `for ${nHeads} heads and ${nPos} tokens.`,
      );
    }
  });
}

/**
 * Removes the induction stripes from one head's pattern, in place: all weights on keys right after
 * an earlier copy of the query's token.
 *
 * If all weight of a row is there, it is spread evenly over the other visible keys.
 * @param {Floats} patterns
 * @param {number} at where the head's pattern starts
 * @param {ArrayLike<number>} tokens
 */
export function knockOutStripes(patterns, at, tokens) {
  const nPos = tokens.length;
  for (let query = 0; query < nPos; query++) {
    const row = at + query * nPos,
      removed = keysAfterCopies(tokens, query);
    if (!removed.length) continue;
    for (const key of removed) patterns[row + key] = 0;
    let left = 0;
    for (let key = 0; key <= query; key++) left += patterns[row + key];
    const others = query + 1 - removed.length; // At least key 0, which comes after no token.
    for (let key = 0; key <= query; key++) {
      if (left > 1e-6) patterns[row + key] /= left;
      else patterns[row + key] = removed.includes(key) ? 0 : 1 / others;
    }
  }
}
