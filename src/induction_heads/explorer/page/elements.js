// @ts-check
/** HTML elements, made in one expression. */

/** @typedef {Node | string | null | false | undefined} Child */

/**
 * An element with attributes, event listeners (`onclick: …`) and children. An attribute that is
 * `false`, `null` or `undefined` is left out; `true` gives an attribute without a value.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) {
      made.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    } else if (value !== false && value !== null && value !== undefined) {
      made.setAttribute(name, value === true ? "" : String(value));
    }
  }
  made.append(
    ...children.filter((child) => child !== null && child !== false && child !== undefined),
  );
  return made;
}

/**
 * Write a text only if it is another one.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}
