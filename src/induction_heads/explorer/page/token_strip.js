// @ts-check
/** The row of tokens that the reader edits, with the loss under each token. */

import { element } from "./elements.js";
import { nats, percent, topTokens } from "./strip_measures.js";
import { rovingFocus } from "./roving_focus.js";
import { tokenOfLetter } from "./token_edits.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */

/**
 * What the strip asks for. The place after the last token is Infinity, since a second key may come
 * before the frame that shows the first.
 * @typedef {{
 *   select: (pos: number) => void, typed: (pos: number, token: number) => void,
 *   unknown: (letter: string) => void, remove: (pos: number) => void,
 *   move: (from: number, to: number) => void,
 * }} StripActions
 */

/** Losses at and above this many nats fill the bar. */
const FULL_LOSS = 5;
/** Pixels that a pointer moves before a press becomes a drag. */
const DRAG_START = 8;

/**
 * @param {StripActions} actions
 * @param {string} id of the text that says what the keys do
 * @returns {{
 *   element: HTMLElement, focus: (pos: number) => void,
 *   update: (view: ExplorerView, hidden: boolean) => void,
 * }}
 */
export function tokenStrip(actions, id) {
  /** @type {ReturnType<typeof tokenTile>[]} */
  const tiles = [];
  const last = answerTile();
  const row = element("div", {
    class: "ex-strip",
    role: "group",
    "aria-label": "Tokens",
    "aria-describedby": id,
  });
  row.append(last.element);
  /** @type {ExplorerView | null} */
  let shown = null;
  const buttons = () => [...tiles.map((tile) => tile.button), last.button];
  const stopAt = rovingFocus(row, buttons, (at) =>
    actions.select(at < tiles.length ? at : Infinity),
  );
  row.addEventListener("click", (event) => {
    const at = buttons().findIndex((button) => button.contains(/** @type {Node} */ (event.target)));
    if (at >= 0) actions.select(at < tiles.length ? at : Infinity);
  });
  row.addEventListener("keydown", (event) => {
    const at = buttons().indexOf(/** @type {HTMLButtonElement} */ (event.target));
    if (shown && at >= 0 && stripKey(event, at, shown, actions)) event.preventDefault();
  });
  enableDragging(row, () => tiles.map((tile) => tile.element), actions.move);
  return {
    element: row,
    focus(pos) {
      const all = buttons(),
        at = Math.min(pos, all.length - 1);
      stopAt(at);
      if (document.activeElement !== all[at]) all[at].focus();
    },
    update(view, hidden) {
      shown = view;
      while (tiles.length > view.tokens.length) tiles.pop()?.element.remove();
      while (tiles.length < view.tokens.length) {
        const tile = tokenTile();
        tiles.push(tile);
        last.element.before(tile.element);
      }
      tiles.forEach((tile, pos) => tile.update(view, pos, hidden));
      last.update(view, hidden);
      stopAt(view.state.query ?? tiles.length);
    },
  };
}

/**
 * Do what a key means on a token: a letter replaces it, Alt and an arrow moves it, Delete removes it.
 * @param {KeyboardEvent} event
 * @param {number} at
 * @param {ExplorerView} view
 * @param {StripActions} actions
 */
function stripKey(event, at, view, actions) {
  const nPos = view.tokens.length;
  if (event.altKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
    const to = at + (event.key === "ArrowLeft" ? -1 : 1);
    if (at < nPos && to >= 0 && to < nPos) actions.move(at, to);
    return true;
  }
  if (event.altKey || event.ctrlKey || event.metaKey) return false;
  if (event.key === "Delete" && at < nPos) actions.remove(at);
  else if (event.key === "Backspace") actions.remove(at < nPos ? at : Infinity);
  else if ([...event.key].length === 1 && event.key !== " ") {
    const token = tokenOfLetter(event.key, view.words);
    if (token === null) actions.unknown(event.key);
    else actions.typed(at < nPos ? at : Infinity, token);
  } else return false;
  return true;
}

/** One token: its text, and the loss on it as a bar and a number. */
function tokenTile() {
  const text = element("span", { class: "ex-token-text" });
  const button = element("button", { type: "button", class: "ex-token" }, text);
  const clean = element("span", { class: "ex-loss-bar ex-loss-clean" });
  const own = element("span", { class: "ex-loss-bar" });
  const number = element("span", { class: "ex-loss-number" });
  const whole = element(
    "div",
    { class: "ex-tile" },
    button,
    element(
      "div",
      { class: "ex-loss", "aria-hidden": "true" },
      element("div", { class: "ex-loss-bars" }, clean, own),
      number,
    ),
  );
  let said = "";
  return {
    element: whole,
    button,
    /** @param {ExplorerView} view @param {number} pos @param {boolean} hidden */
    update(view, pos, hidden) {
      const word = view.words[view.tokens[pos]],
        selected = view.query === pos;
      const source = !hidden && Boolean(view.answer?.sources.includes(pos));
      const loss = pos > 0 ? view.out.losses[pos - 1] : null;
      const before = pos > 0 && view.changes ? view.clean.losses[pos - 1] : null;
      const key = `${word} ${pos} ${loss} ${before} ${selected} ${view.state.query} ${source}`;
      if (key === said) return;
      said = key;
      text.textContent = word;
      const lossText = loss === null ? "" : `, loss ${nats(loss)} nats`;
      const beforeText = before === null ? "" : `, without the change ${nats(before)}`;
      button.setAttribute("aria-label", `Position ${pos}: ${word}${lossText}${beforeText}`);
      button.setAttribute("aria-pressed", String(view.state.query === pos));
      whole.classList.toggle("ex-query", selected);
      whole.classList.toggle("ex-source", source);
      setHeight(own, loss);
      setHeight(clean, before);
      clean.hidden = before === null;
      number.textContent = loss === null ? "" : loss.toFixed(1);
    },
  };
}

/**
 * @param {HTMLElement} bar
 * @param {number | null} loss
 */
function setHeight(bar, loss) {
  bar.style.height = `${Math.min(100, (100 * (loss ?? 0)) / FULL_LOSS)}%`;
}

/** The place after the last token: what the model says comes next. */
function answerTile() {
  const text = element("span", { class: "ex-token-text" });
  const button = element("button", { type: "button", class: "ex-token ex-next" }, text);
  const number = element("span", { class: "ex-loss-number" });
  const arrow = element("span", { class: "ex-arrow", "aria-hidden": "true" }, "→");
  const whole = element(
    "div",
    { class: "ex-tile ex-tile-next" },
    button,
    element("div", { class: "ex-loss", "aria-hidden": "true" }, number),
  );
  return {
    element: element("div", { class: "ex-next-group" }, arrow, whole),
    button,
    /** @param {ExplorerView} view @param {boolean} hidden */
    update(view, hidden) {
      const pos = view.tokens.length - 1,
        [best] = topTokens(view.out, pos, 1);
      const word = hidden ? "?" : view.words[best.token];
      const share = hidden ? "" : percent(best.probability);
      text.textContent = word;
      number.textContent = share;
      button.setAttribute(
        "aria-label",
        hidden ? "Next token: not shown yet" : `Next token: the model predicts ${word}, ${share}`,
      );
      button.setAttribute("aria-pressed", String(view.state.query === null));
    },
  };
}

/**
 * Let a pointer drag a tile to another place.
 * @param {HTMLElement} row
 * @param {() => HTMLElement[]} tiles
 * @param {(from: number, to: number) => void} move
 */
function enableDragging(row, tiles, move) {
  let from = -1,
    startX = 0,
    startY = 0,
    dragging = false,
    dropped = false;
  row.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = tiles().findIndex((tile) => tile.contains(/** @type {Node} */ (event.target)));
    [startX, startY, dragging] = [event.clientX, event.clientY, false];
  });
  row.addEventListener("pointermove", (event) => {
    if (from < 0 || !(event.buttons & 1)) return;
    if (!dragging && Math.hypot(event.clientX - startX, event.clientY - startY) < DRAG_START)
      return;
    if (!dragging) row.setPointerCapture(event.pointerId);
    dragging = true;
    const all = tiles(),
      to = nearestTile(all, event);
    all.forEach((tile, i) => {
      tile.classList.toggle("ex-dragged", i === from);
      tile.classList.toggle("ex-drop-before", i === to && to < from);
      tile.classList.toggle("ex-drop-after", i === to && to > from);
    });
  });
  const stop = (/** @type {PointerEvent} */ event) => {
    const all = tiles(),
      start = from;
    all.forEach((tile) => tile.classList.remove("ex-dragged", "ex-drop-before", "ex-drop-after"));
    from = -1;
    if (!dragging || event.type === "pointercancel") return;
    const to = nearestTile(all, event);
    dropped = true;
    setTimeout(() => (dropped = false), 0);
    if (to !== start) move(start, to);
  };
  // The click that ends a drag must not select a token as well.
  row.addEventListener("click", (click) => dropped && click.stopImmediatePropagation(), {
    capture: true,
  });
  row.addEventListener("pointerup", stop);
  row.addEventListener("pointercancel", stop);
}

/**
 * The tile whose middle is nearest to the pointer.
 * @param {HTMLElement[]} tiles
 * @param {PointerEvent} event
 */
function nearestTile(tiles, event) {
  const distances = tiles.map((tile) => {
    const box = tile.getBoundingClientRect();
    return Math.hypot(
      event.clientX - (box.left + box.right) / 2,
      event.clientY - (box.top + box.bottom) / 2,
    );
  });
  return distances.indexOf(Math.min(...distances));
}
