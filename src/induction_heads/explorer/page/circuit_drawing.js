// @ts-check
/** The circuit of one prediction: tokens, layers, and arrows as wide as what they do for one logit. */

import { circuitArrows } from "../circuit_paths.js";
import { element, setText } from "./elements.js";
import { sameHead } from "./pattern_grid.js";
import { rovingFocus } from "./roving_focus.js";
import { headName, signed } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../circuit_paths.js").CircuitArrow} CircuitArrow */
/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */

const SVG_SPACE = "http://www.w3.org/2000/svg";
const TOKEN_STEP = 46,
  LAYER_STEP = 84,
  CIRCUIT_MARGIN = 30,
  WIDEST = 11;
/** Arrows below this share of the widest are left out. */
const LEAST_SHARE = 0.03;
const MOST_ARROWS = 48;

const SIDE_WORDS = { Q: "query", K: "key", V: "value" };

/**
 * @param {{
 *   change: (part: Partial<ExplorerState>) => void, focusToken: (pos: number) => void,
 *   announce: (text: string) => void,
 * }} actions
 */
export function circuitDrawing(actions) {
  // Without a tab index, Chromium makes a drawing that overflows a stop of its own.
  const svg = svgNode("svg", {
    class: "ex-circuit",
    role: "group",
    "aria-label": "Arrows",
    tabindex: "-1",
  });
  const readout = element("p", { class: "ex-readout" });
  const heads = element("div", {
    class: "ex-circuit-heads",
    role: "group",
    "aria-label": "Silence a head",
  });
  const caption = element("p", { class: "ex-note" });
  /** @type {{node: SVGElement, text: string, press: () => void}[]} */
  let controls = [];
  const stopAt = rovingFocus(/** @type {any} */ (svg), () =>
    controls.map(({ node }) => /** @type {any} */ (node)),
  );
  const controlOf = (/** @type {Event} */ event) =>
    controls.find(({ node }) => node.contains(/** @type {Node} */ (event.target)));
  svg.addEventListener("click", (event) => controlOf(event)?.press());
  svg.addEventListener("keydown", (event) => {
    const { key } = /** @type {KeyboardEvent} */ (event);
    const control = controlOf(event);
    if (!control || (key !== "Enter" && key !== " ")) return;
    event.preventDefault();
    control.press();
  });
  for (const kind of ["pointerover", "focusin"]) {
    svg.addEventListener(kind, (event) => setText(readout, controlOf(event)?.text ?? CIRCUIT_HINT));
  }
  let timer = 0;
  /** @param {ExplorerView} view */
  const draw = (view) => {
    const focused = controls.findIndex(({ node }) => node === document.activeElement);
    controls = drawCircuit(svg, view, actions);
    stopAt(0);
    if (focused >= 0)
      /** @type {any} */ (controls[Math.min(focused, controls.length - 1)]?.node)?.focus();
    setText(readout, CIRCUIT_HINT);
    setText(caption, captionOf(view));
    const pressed = Array.from(heads.children).indexOf(/** @type {any} */ (document.activeElement));
    heads.replaceChildren(...headButtons(view, actions.change));
    if (pressed >= 0) /** @type {HTMLElement} */ (heads.children[pressed])?.focus();
  };
  const whole = element(
    "section",
    { class: "ex-circuit-box", "aria-label": "Circuit" },
    element("p", { class: "ex-heading" }, "How the prediction comes about"),
    element("div", { class: "ex-scroll" }),
    heads,
    caption,
    readout,
  );
  whole.children[1].append(svg);
  return {
    element: whole,
    /** Drawn after the frame that shows the edit, since it takes a run for each path. @param {ExplorerView} view */
    update(view) {
      whole.hidden = view.model.sizes.nLayers > 2;
      clearTimeout(timer);
      if (!whole.hidden) timer = window.setTimeout(() => draw(view), 0);
    },
    destroy: () => clearTimeout(timer),
  };
}

const CIRCUIT_HINT =
  "Point at an arrow to read it. Press a path into layer 1 to cut it, a token to change it.";

/** @param {ExplorerView} view */
function captionOf({ words, target, query, model }) {
  const own = `Arrows into the top row: what a source adds to the logit of ${words[target]} at position ${query}.`;
  return model.sizes.nLayers < 2
    ? own
    : `${own} Arrows below: weight × what the logit loses if the path into the query (Q), key (K) or ` +
        "value (V) of a later head is cut × that head's use of the position. Orange: lowers the logit.";
}

/**
 * Draw everything anew; returns what can be pressed.
 * @param {SVGElement} svg
 * @param {ExplorerView} view
 * @param {{change: (part: Partial<ExplorerState>) => void, focusToken: (pos: number) => void}} actions
 */
function drawCircuit(svg, view, actions) {
  const { model, tokens, words, query, target, state, change } = view,
    { nLayers } = model.sizes;
  const width = 2 * CIRCUIT_MARGIN + TOKEN_STEP * (tokens.length - 1) + 40,
    height = LAYER_STEP * nLayers + 92;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("style", `max-width: ${width}px; min-width: ${Math.round(width * 0.62)}px`);
  const x = (/** @type {number} */ pos) => CIRCUIT_MARGIN + TOKEN_STEP * pos,
    y = (/** @type {number} */ level) => height - 34 - LAYER_STEP * level;
  svg.replaceChildren();
  tokens.forEach((_, pos) => {
    const top = pos === query ? nLayers : nLayers - 1;
    for (let level = 0; level < Math.max(1, top); level++) {
      svg.append(
        svgNode("path", { class: "ex-stream", d: `M${x(pos)} ${y(level)}V${y(level + 1)}` }),
      );
    }
  });
  const shown = strongest(circuitArrows(model, tokens, query, target, change));
  const most = Math.max(...shown.map(({ strength }) => Math.abs(strength)), 1e-9);
  const bundles = bundled(shown, most);
  const controls = bundles.map(({ arrow, wide, shift, place }) => {
    const level = arrow.head[0];
    const d = arc(x(arrow.from) + shift, y(level), x(arrow.to) + shift, y(level + 1));
    const names = [
      "ex-arrow",
      `ex-arrow-${level}`,
      arrow.strength < 0 && "ex-arrow-minus",
      arrow.cut && "ex-arrow-cut",
    ].filter(Boolean);
    const text = arrowInWords(arrow, view);
    const node = svgNode("g", {
      class: names.join(" "),
      role: "button",
      tabindex: "-1",
      "aria-label": text,
    });
    node.append(
      svgNode("path", { class: "ex-arrow-target", d }),
      svgNode("path", { class: "ex-arrow-line", d, "stroke-width": wide.toFixed(1) }),
    );
    svg.append(node);
    return {
      node,
      text,
      press: () => pressArrow(arrow, state, actions.change),
      arrow,
      wide,
      place,
    };
  });
  for (const { arrow, wide, place, node } of controls) {
    if (wide < NAMED_WIDTH && !arrow.cut) continue;
    const middle = (x(arrow.from) + x(arrow.to)) / 2,
      right = middle < width / 2;
    node.append(
      circuitText(
        nameOfArrow(arrow),
        middle + (right ? 14 : -14),
        (y(arrow.head[0]) + y(arrow.head[0] + 1)) / 2 + 13 * place + (arrow.head[0] ? -4 : 12),
        `ex-arrow-name${right ? "" : " ex-arrow-name-left"}`,
      ),
    );
  }
  const places = tokens.map((token, pos) => {
    const text = `Position ${pos}: ${words[token]}. Press to change it.`;
    const node = svgNode("g", {
      class: "ex-circuit-token",
      role: "button",
      tabindex: "-1",
      "aria-label": text,
    });
    node.append(
      svgNode("rect", {
        x: `${x(pos) - 15}`,
        y: `${y(0) + 2}`,
        width: "30",
        height: "26",
        rx: "5",
      }),
      circuitText(words[token], x(pos), y(0) + 20),
    );
    svg.append(node);
    return { node, text, press: () => actions.focusToken(pos) };
  });
  svg.append(
    circuitText(`→ ${words[target]}`, x(query), y(nLayers) - 12, "ex-circuit-answer"),
    ...Array.from({ length: nLayers }, (_, layer) =>
      circuitText(`layer ${layer}`, width - 4, y(layer + 0.45), "ex-circuit-layer"),
    ),
  );
  return [...controls, ...places];
}

/** @param {CircuitArrow[]} arrows */
function strongest(arrows) {
  const most = Math.max(...arrows.map(({ strength }) => Math.abs(strength)));
  return arrows
    .filter(({ strength }) => Math.abs(strength) >= LEAST_SHARE * most)
    .sort((a, b) => Math.abs(b.strength) - Math.abs(a.strength))
    .slice(0, MOST_ARROWS)
    .reverse();
}

/**
 * A curve from a lower to a higher level; straight up where a position reads itself.
 * @param {number} x0
 * @param {number} y0
 * @param {number} x1
 * @param {number} y1
 */
function arc(x0, y0, x1, y1) {
  const bend = (y0 - y1) * 0.55;
  return x0 === x1
    ? `M${x0} ${y0}C${x0 - 16} ${y0 - bend} ${x1 - 16} ${y1 + bend} ${x1} ${y1}`
    : `M${x0} ${y0}C${x0} ${y0 - bend} ${x1} ${y1 + bend} ${x1} ${y1}`;
}

/** Pixels from which on an arrow has its name beside it. */
const NAMED_WIDTH = 2;

/**
 * The width of each arrow, and its place among those between the same two positions: side by side.
 * @param {CircuitArrow[]} arrows
 * @param {number} most the largest strength
 */
function bundled(arrows, most) {
  /** @type {Map<string, {arrow: CircuitArrow, wide: number, shift: number, place: number}[]>} */
  const bundles = new Map();
  for (const arrow of arrows) {
    const key = `${arrow.head[0]} ${arrow.from} ${arrow.to}`,
      bundle = bundles.get(key) ?? [];
    const wide = Math.max(1, (WIDEST * Math.abs(arrow.strength)) / most);
    bundle.push({ arrow, wide, shift: 0, place: bundle.length });
    bundles.set(key, bundle);
  }
  for (const bundle of bundles.values()) {
    const all = bundle.reduce((sum, { wide }) => sum + wide + 1, -1);
    let left = -all / 2;
    for (const one of bundle) {
      one.shift = left + one.wide / 2;
      left += one.wide + 1;
      one.place -= (bundle.length - 1) / 2;
    }
  }
  return [...bundles.values()].flat();
}

/** @param {CircuitArrow} arrow */
function nameOfArrow({ head, receiver, side }) {
  return receiver ? `${headName(head)} → ${side} of ${headName(receiver)}` : headName(head);
}

/**
 * @param {CircuitArrow} arrow
 * @param {ExplorerView} view
 */
function arrowInWords({ head, from, to, strength, effect, receiver, side, cut }, view) {
  const { words, tokens, target } = view,
    of = (/** @type {number} */ pos) => `${words[tokens[pos]]} at position ${pos}`;
  if (!receiver || !side) {
    return `${headName(head)} adds ${signed(strength)} to the logit of ${words[target]} from ${of(from)}.`;
  }
  const path = `${headName(head)} copies from ${of(from)} to ${of(to)}, into the ${SIDE_WORDS[side]} of ${headName(receiver)}`;
  return cut
    ? `${path}: cut. Press to restore it.`
    : `${path}: without this path the logit changes by ${signed(-effect)}. Press to cut it.`;
}

/**
 * A path is cut or restored; an arrow into the logit selects its head.
 * @param {CircuitArrow} arrow
 * @param {ExplorerState} state
 * @param {(part: Partial<ExplorerState>) => void} change
 */
function pressArrow(arrow, state, change) {
  const { head, receiver, side } = arrow;
  if (!receiver || !side) return change({ head });
  const { cut } = state;
  const same =
    cut && sameHead(cut.sender, head) && (!cut.receiver || sameHead(cut.receiver, receiver));
  const before = same ? cut.sides : [];
  const sides = /** @type {const} */ (["Q", "K", "V"]).filter((one) =>
    one === side ? !arrow.cut : before.includes(one),
  );
  // A cut from all later heads stays one when a side of it is restored.
  const to = arrow.cut && same ? cut.receiver : receiver;
  change({ cut: sides.length ? { sender: head, receiver: to, sides } : null });
}

/**
 * A button for each head: on, or replaced by zero.
 * @param {ExplorerView} view
 * @param {(part: Partial<ExplorerState>) => void} change
 */
function headButtons({ state, model: { sizes } }, change) {
  const buttons = [];
  for (let layer = 0; layer < sizes.nLayers; layer++) {
    for (let at = 0; at < sizes.nHeads; at++) {
      const head = /** @type {Head} */ ([layer, at]);
      const off = state.off.some((one) => sameHead(one.head, head));
      const others = state.off.filter((one) => !sameHead(one.head, head));
      buttons.push(
        element(
          "button",
          {
            type: "button",
            class: "ex-button ex-silence",
            "aria-pressed": String(off),
            title: off ? "Switch it on again" : "Replace what it passes on by zero",
            onclick: () => change({ off: off ? others : [...others, { head, how: "zero" }] }),
          },
          `${headName(head)} ${off ? "off" : "on"}`,
        ),
      );
    }
  }
  return buttons;
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @returns {SVGElement}
 */
function svgNode(tag, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS(SVG_SPACE, tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

/**
 * @param {string} text
 * @param {number} x
 * @param {number} y
 * @param {string} [name]
 */
function circuitText(text, x, y, name = "") {
  const made = svgNode("text", { x: `${x}`, y: `${y}`, class: name });
  made.textContent = text;
  return made;
}
