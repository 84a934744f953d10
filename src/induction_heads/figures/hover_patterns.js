// @ts-check
/** Draws attention patterns with the AttentionHeads component of CircuitsVis. */

/**
 * @param {string} id of the element to draw in
 * @param {object} properties of `AttentionHeads`
 * @param {string | null} library the source of CircuitsVis, which runs unless the page has it
 *   already; null if the page loads it with a deferred script
 */
export default function hoverPatterns(id, properties, library) {
  const page = /** @type {any} */ (globalThis);
  const draw = () => page.CircuitsVis.render(id, page.CircuitsVis.AttentionHeads, properties);
  if (library === null) {
    addEventListener("DOMContentLoaded", draw);
    return;
  }
  page.CircuitsVis ??= new Function(library)();
  draw();
}
