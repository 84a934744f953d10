// @ts-check
/** A small line chart over training steps, with the present step marked. */

import { element } from "./elements.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 320,
  HEIGHT = 130,
  LEFT = 34,
  RIGHT = 8,
  TOP = 8,
  BOTTOM = 22;

/**
 * `update` draws lines (one list of numbers for each name) over steps; `mark` marks one place. A
 * press on the chart calls `pick` with the nearest place.
 * @param {string} title
 * @param {string[]} names of the lines
 * @param {(place: number) => void} pick
 */
export function stepChart(title, names, pick) {
  const drawing = svgElement("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    class: "ex-chart",
    "aria-hidden": "true",
  });
  const axes = svgElement("g", { class: "ex-axes" }),
    lines = svgElement("g", {});
  const marker = svgElement("line", { class: "ex-now", y1: TOP, y2: HEIGHT - BOTTOM });
  drawing.append(axes, lines, marker);
  /** @type {number[]} */
  let steps = [];
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const { clientX } = /** @type {MouseEvent} */ (event);
    const x = ((clientX - box.left) / box.width) * WIDTH;
    const away = steps.map((step) => Math.abs(placeOf(step, steps) - x));
    if (away.length) pick(away.indexOf(Math.min(...away)));
  });
  const key = element(
    "span",
    { class: "ex-chart-key" },
    ...(names.length > 1
      ? names.map((name, i) => element("span", { class: `ex-line-name ex-line-${i}` }, name))
      : []),
  );
  return {
    element: element(
      "figure",
      { class: "ex-figure" },
      element("figcaption", {}, element("span", { class: "ex-chart-title" }, title), key),
      drawing,
    ),
    /** @param {number[]} newSteps @param {number[][]} values */
    update(newSteps, values) {
      steps = newSteps;
      const top = values.length > 1 ? 1 : Math.ceil(Math.max(...values.flat()));
      axes.replaceChildren(...axisParts(steps, top));
      lines.replaceChildren(
        ...values.map((line, i) =>
          svgElement("polyline", {
            class: `ex-line ex-line-${i}`,
            points: line
              .map((value, at) => `${placeOf(steps[at], steps)},${heightOf(value, top)}`)
              .join(" "),
          }),
        ),
      );
    },
    /** @param {number} place */
    mark(place) {
      const x = steps.length ? placeOf(steps[place], steps) : -10;
      marker.setAttribute("x1", `${x}`);
      marker.setAttribute("x2", `${x}`);
    },
  };
}

/**
 * @param {number} step
 * @param {number[]} steps
 */
function placeOf(step, steps) {
  return LEFT + ((WIDTH - LEFT - RIGHT) * step) / steps[steps.length - 1];
}

/**
 * @param {number} value
 * @param {number} top
 */
function heightOf(value, top) {
  return HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * value) / top;
}

/**
 * @param {number[]} steps
 * @param {number} top
 */
function axisParts(steps, top) {
  const parts = [0, top / 2, top].flatMap((value) => [
    svgElement("line", {
      x1: LEFT,
      x2: WIDTH - RIGHT,
      y1: heightOf(value, top),
      y2: heightOf(value, top),
    }),
    svgText(LEFT - 5, heightOf(value, top) + 4, `${value}`, "end"),
  ]);
  const last = steps[steps.length - 1];
  for (const step of [0, last / 2, last]) {
    parts.push(
      svgText(
        placeOf(step, steps),
        HEIGHT - 6,
        `${Math.round(step)}`,
        step === last ? "end" : "middle",
      ),
    );
  }
  return parts;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 */
function svgElement(tag, attributes) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, `${value}`);
  return made;
}

/**
 * @param {number} x
 * @param {number} y
 * @param {string} text
 * @param {string} anchor
 */
function svgText(x, y, text, anchor) {
  const made = svgElement("text", { x, y, "text-anchor": anchor });
  made.textContent = text;
  return made;
}
