// @ts-check
/** Text as tokens by byte-level byte-pair encoding (Sennrich et al. 2016), as the package's tokenizer does. */

/**
 * A tokenizer as `induction_heads.explorer.text_models` stores it: the id of each byte, and pairs of
 * ids that are merged, in order of their rank. The first merge makes the id `firstMerged`, the next
 * one the id after it. `special` are texts that are one token each, such as BOS.
 * @typedef {{
 *   bytes: number[], merges: [number, number][], firstMerged: number,
 *   special: Record<string, number>,
 * }} StoredTokenizer
 */

/**
 * `encode` gives the ids of a text, without a BOS token in front. `bytesOf` gives the bytes of one
 * token, `decode` the text of several; bytes that are not UTF-8 become U+FFFD there.
 * @typedef {{
 *   encode: (text: string) => number[], decode: (ids: ArrayLike<number>) => string,
 *   bytesOf: (id: number) => Uint8Array, dVocab: number,
 * }} Tokenizer
 */

/**
 * Where GPT-2 splits a text before it merges. The spaces are those of Unicode: JavaScript's `\s`
 * leaves out U+0085 and has U+FEFF.
 */
const PIECES =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** Pieces of which the tokens are kept. */
const KEPT_PIECES = 5000;

/**
 * @param {StoredTokenizer} stored
 * @returns {Tokenizer}
 */
export function tokenizerFrom({ bytes, merges, firstMerged, special }) {
  /** @type {Map<number, Uint8Array>} */
  const bytesOfId = new Map(bytes.map((id, byte) => [id, Uint8Array.of(byte)]));
  const utf8 = new TextEncoder();
  for (const [text, id] of Object.entries(special)) bytesOfId.set(id, utf8.encode(text));
  const dVocab = firstMerged + merges.length;
  /** @type {Map<number, number>} */
  const ranks = new Map();
  merges.forEach(([left, right], rank) => {
    ranks.set(left * dVocab + right, rank);
    const both = [bytesOfId.get(left), bytesOfId.get(right)];
    if (!both[0] || !both[1]) {
      throw new RangeError(
        `Merge ${rank} joins ${left} and ${right}, of which one is not a token.`,
      );
    }
    bytesOfId.set(firstMerged + rank, Uint8Array.of(...both[0], ...both[1]));
  });
  /** @type {Map<string, number[]>} */
  const known = new Map();
  /** @param {string} piece */
  const encodedPiece = (piece) => {
    let ids = known.get(piece);
    if (!ids) {
      ids = merged(Array.from(utf8.encode(piece), (byte) => bytes[byte]));
      if (known.size < KEPT_PIECES) known.set(piece, ids);
    }
    return ids;
  };
  /**
   * Merge the pair of the lowest rank, the leftmost first, until no pair has one.
   * @param {number[]} ids
   */
  const merged = (ids) => {
    for (;;) {
      let best = Infinity,
        at = -1;
      for (let i = 0; i + 1 < ids.length; i++) {
        const rank = ranks.get(ids[i] * dVocab + ids[i + 1]) ?? Infinity;
        if (rank < best) [best, at] = [rank, i];
      }
      if (at < 0) return ids;
      ids.splice(at, 2, firstMerged + best);
    }
  };
  const bytesOf = (/** @type {number} */ id) => {
    const found = bytesOfId.get(id);
    if (!found) throw new RangeError(`Token ${id} is not one of the ${dVocab} of this tokenizer.`);
    return found;
  };
  return {
    dVocab,
    bytesOf,
    encode(text) {
      /** @type {number[]} */
      const ids = [];
      for (const part of splitAt(text, Object.keys(special))) {
        if (part in special) ids.push(special[part]);
        else for (const [piece] of part.matchAll(PIECES)) ids.push(...encodedPiece(piece));
      }
      return ids;
    },
    decode(ids) {
      const parts = Array.from(ids, bytesOf),
        all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
      let at = 0;
      for (const part of parts) {
        all.set(part, at);
        at += part.length;
      }
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(all);
    },
  };
}

/**
 * The text cut around each of some words, which are parts of their own.
 * @param {string} text
 * @param {string[]} words
 */
function splitAt(text, words) {
  let parts = [text];
  for (const word of words) {
    parts = parts.flatMap((part) =>
      words.includes(part)
        ? [part]
        : part.split(word).flatMap((piece, i) => (i ? [word, piece] : [piece])),
    );
  }
  return parts;
}
