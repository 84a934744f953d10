// @ts-check
/** One tab stop for a group of controls; the arrow keys move inside. */

/**
 * Let the arrow keys, Home and End move the focus among the controls of a group. Returns a function
 * that makes one of them the tab stop. Keys with Alt, Ctrl or Meta are ignored.
 * @param {HTMLElement} group
 * @param {() => HTMLElement[]} controls in their order
 * @param {(index: number) => void} [moved] called when the keys moved the focus
 * @param {() => number} [perRow] the number of controls in a row; without it, up and down act as left and right
 */
export function rovingFocus(group, controls, moved, perRow) {
  /** @param {number} index */
  const stopAt = (index) => {
    controls().forEach((control, i) => {
      const wanted = i === index ? 0 : -1;
      if (control.tabIndex !== wanted) control.tabIndex = wanted;
    });
  };
  group.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const all = controls(),
      at = all.indexOf(/** @type {HTMLElement} */ (event.target));
    const to = placeAfterKey(event.key, at, all.length, perRow?.() ?? 1);
    if (at < 0 || to === null) return;
    event.preventDefault();
    if (to === at) return;
    stopAt(to);
    all[to].focus();
    moved?.(to);
  });
  return stopAt;
}

/**
 * The place after a key press, or null for a key that does not move the focus.
 * @param {string} key
 * @param {number} at
 * @param {number} count
 * @param {number} perRow
 */
export function placeAfterKey(key, at, count, perRow) {
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -perRow, ArrowDown: perRow }[key];
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (step === undefined) return null;
  const to = at + step;
  return to >= 0 && to < count ? to : at;
}
