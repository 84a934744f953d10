// @ts-check
/** A line chart over training steps. Its colors are those of the style sheet, in light and dark. */

import { element } from "./elements.js";

/** @typedef {"loss" | "copy" | "previous" | "induction"} LabLineKind the look of a line in lab.css */

/**
 * A line: its places are pairs of step and value. `before` is the same of the run before, or empty.
 * @typedef {{kind: LabLineKind, places: [number, number][], before: [number, number][]}} LabLine
 */

/**
 * What is drawn: steps from 0 to `steps`, a line of `shown` where the reader looks, of `formed`
 * where the head formed, and a level.
 * @typedef {{
 *   steps: number, lines: LabLine[], shown: number | null, formed: number | null, level: number,
 * }} LabDrawing
 */

/**
 * @typedef {{
 *   title: string, top: number, ticks: number[], names: [LabLineKind, string][], level: string,
 * }} LabChartParts
 */

const SVG_NAMES = "http://www.w3.org/2000/svg";
const CHART_WIDTH = 1000,
  CHART_HEIGHT = 100;

/**
 * A figure and a function that draws it. Values above `top` are drawn at the top.
 * @param {LabChartParts} parts
 */
export function labChart({ title, top, ticks, names, level }) {
  const svg = svgPart("svg", {
    viewBox: `0 0 ${CHART_WIDTH} ${CHART_HEIGHT}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": title,
  });
  const x = (/** @type {number} */ step, /** @type {number} */ steps) =>
    (CHART_WIDTH * step) / steps;
  const y = (/** @type {number} */ value) => CHART_HEIGHT * (1 - Math.min(value, top) / top);
  const paths = new Map(
    names.map(([kind]) => {
      const before = svgPart("path", { class: `ex-lab-line ex-lab-${kind} ex-lab-before` });
      const line = svgPart("path", { class: `ex-lab-line ex-lab-${kind}` });
      return [kind, { before, line }];
    }),
  );
  const marks = Object.fromEntries(
    ["level", "formed", "shown"].map((name) => [
      name,
      svgPart("path", { class: `ex-lab-mark ex-lab-${name}` }),
    ]),
  );
  svg.append(marks.level, marks.formed, marks.shown);
  for (const { before } of paths.values()) svg.append(before);
  for (const { line } of paths.values()) svg.append(line);

  const last = element("span"),
    formedText = element("span", { class: "ex-lab-formed-text" });
  const figure = element(
    "figure",
    { class: "ex-lab-chart" },
    element(
      "figcaption",
      {},
      element("strong", {}, title),
      ...names.map(([kind, name]) =>
        element("span", { class: `ex-lab-name ex-lab-${kind}` }, name),
      ),
      element("span", { class: "ex-lab-name ex-lab-level" }, level),
    ),
    element(
      "div",
      { class: "ex-lab-plot" },
      svg,
      ...ticks.map((tick) =>
        element("span", { class: "ex-lab-tick", style: `top: ${y(tick)}%` }, String(tick)),
      ),
      formedText,
    ),
    element("div", { class: "ex-lab-axis" }, element("span", {}, "0"), last),
  );

  return {
    element: figure,
    /** @param {LabDrawing} drawing */
    draw({ steps, lines, shown, formed, level }) {
      last.textContent = `${steps} steps`;
      const path = (/** @type {[number, number][]} */ places) =>
        places
          .map(
            ([step, value], i) =>
              `${i ? "L" : "M"}${x(step, steps).toFixed(1)} ${y(value).toFixed(2)}`,
          )
          .join("");
      for (const { kind, places, before } of lines) {
        const curve = paths.get(kind);
        curve?.line.setAttribute("d", path(places));
        curve?.before.setAttribute("d", path(before));
      }
      const upright = (/** @type {number | null} */ step) =>
        step === null ? "" : `M${x(step, steps)} 0V${CHART_HEIGHT}`;
      marks.level.setAttribute("d", `M0 ${y(level)}H${CHART_WIDTH}`);
      marks.formed.setAttribute("d", upright(formed));
      formedText.textContent = formed === null ? "" : `formed: step ${formed}`;
      formedText.style.left = `${(100 * (formed ?? 0)) / steps}%`;
      formedText.classList.toggle("ex-lab-left", (formed ?? 0) > steps / 2);
      marks.shown.setAttribute("d", upright(shown));
    },
    /** @param {string} text what a screen reader says of the chart */
    describe(text) {
      svg.setAttribute("aria-label", `${title}. ${text}`);
    },
  };
}

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 */
function svgPart(tag, attributes) {
  const made = document.createElementNS(SVG_NAMES, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
