// @ts-check
/** Draws attention patterns with a component of CircuitsVis. */

/**
 * @param {string} id of the element to draw in
 * @param {string | null} library the source of CircuitsVis, which runs unless the page has it
 *   already; null if the page loads it with a deferred script
 * @param {() => object} component called once CircuitsVis has been loaded
 * @param {object} properties of the component
 */
export default function hoverPatterns(id, library, component, properties) {
  const page = /** @type {any} */ (globalThis);
  const draw = () => page.CircuitsVis.render(id, component(), properties);
  if (library === null) {
    addEventListener("DOMContentLoaded", draw);
    return;
  }
  page.CircuitsVis ??= new Function(library)();
  draw();
}
