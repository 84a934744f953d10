// @ts-check
/** What each table of the weights view is, and what a bright diagonal shows and does not. */

import { headName } from "./strip_measures.js";

/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {"composed" | "direct" | "ov"} TableKind */
/** @typedef {{title: string, rows: string, columns: string, shows: string, not: string}} TableWords */

/**
 * @param {Head | null} previous
 * @param {Head} head
 * @param {boolean} smeared
 * @returns {Record<TableKind, TableWords>}
 */
export function tableWords(previous, head, smeared) {
  const own = headName(head),
    earlier = previous ? headName(previous) : "";
  return {
    composed: {
      title: `QK circuit of ${own}, through ${earlier}`,
      rows: "query token",
      columns: "token moved to the key",
      shows:
        `${own} attends to positions to which ${earlier} moved the query token. If ${earlier} ` +
        "moves each token one position ahead, those are the positions right after an earlier copy.",
      not:
        `that ${earlier} moves tokens one position ahead (its pattern shows what it moves), or that the model ` +
        "needs this path: cut it and see.",
    },
    direct: {
      title: `QK circuit of ${own}, direct`,
      rows: "query token",
      columns: "key token",
      shows: smeared
        ? `${own} attends to copies of the query token. With smeared keys each key contains a share of the ` +
          "previous one, so this also finds the position right after an earlier copy."
        : `${own} attends to copies of the query token.`,
      not: "where the head looks in a context: positions and what earlier heads wrote are left out.",
    },
    ov: {
      title: `OV circuit of ${own}`,
      rows: "attended token",
      columns: "predicted token",
      shows: `where ${own} attends to a token, it raises the logit of that token: it copies.`,
      not: `where ${own} attends. A head that copies from the wrong position predicts the wrong token.`,
    },
  };
}

/**
 * How often the diagonal is the largest, beside chance.
 * @param {number} share
 * @param {number} size
 */
export function shareText(share, size) {
  return `Largest on the diagonal in ${Math.round(share * size)} of ${size} rows (by chance 1).`;
}
