// @ts-check
/** A matrix on a canvas: an attention pattern or a circuit, with a hovered and outlined cells. */

import { element } from "./elements.js";

/** @typedef {import("../products.js").Floats} Floats */
/** @typedef {[number, number]} Cell a row and a column */

/**
 * What is drawn. `from` and `to` are the values of the ends of the color scale; a scale through
 * zero (`from` < 0) has two colors. Cells above the diagonal are gray with `causal`.
 * @typedef {{
 *   values: ArrayLike<number>, nRows: number, nColumns: number, from?: number, to?: number,
 *   causal?: boolean, outlined?: Cell[], row?: number | null, start?: number,
 * }} Drawing
 */

/**
 * The canvas and what it can do. `draw` repaints all of it; `cellAt` tells the cell under a
 * pointer event, or null outside.
 * @typedef {{
 *   element: HTMLCanvasElement, draw: (drawing: Drawing) => void,
 *   cellAt: (event: MouseEvent) => Cell | null,
 * }} MatrixCanvas
 */

/**
 * Colors come from the style sheet: --ex-low, --ex-high, --ex-negative, --ex-masked, --ex-outline.
 * @param {string} label what a screen reader says
 * @param {number} [side] pixels of the longer side, before the page scales it
 * @returns {MatrixCanvas}
 */
export function matrixCanvas(label, side = 480) {
  const canvas = element("canvas", { class: "ex-matrix", role: "img", "aria-label": label });
  const small = document.createElement("canvas");
  let nRows = 1,
    nColumns = 1;
  return {
    element: canvas,
    draw(drawing) {
      ({ nRows, nColumns } = drawing);
      paintCells(small, drawing, matrixColors(canvas));
      const cell = Math.max(1, Math.floor(side / Math.max(nRows, nColumns)));
      if (canvas.width !== nColumns * cell || canvas.height !== nRows * cell) {
        canvas.width = nColumns * cell;
        canvas.height = nRows * cell;
      }
      const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      pen.imageSmoothingEnabled = false;
      pen.drawImage(small, 0, 0, canvas.width, canvas.height);
      paintOutlines(pen, drawing, cell, canvas);
    },
    cellAt(event) {
      const box = canvas.getBoundingClientRect();
      const row = Math.floor(((event.clientY - box.top) / box.height) * nRows);
      const column = Math.floor(((event.clientX - box.left) / box.width) * nColumns);
      return row >= 0 && row < nRows && column >= 0 && column < nColumns ? [row, column] : null;
    },
  };
}

/** @typedef {Record<"low" | "high" | "negative" | "masked", number[]>} Colors */

/**
 * @param {HTMLElement} where
 * @returns {Colors}
 */
function matrixColors(where) {
  const style = getComputedStyle(where);
  const color = (/** @type {string} */ name, /** @type {string} */ otherwise) =>
    hexColor(style.getPropertyValue(`--ex-${name}`).trim() || otherwise);
  return {
    low: color("low", "#ffffff"),
    high: color("high", "#08306b"),
    negative: color("negative", "#d55e00"),
    masked: color("masked", "#d9d9d9"),
  };
}

/** @param {string} text `#rrggbb` */
function hexColor(text) {
  return [1, 3, 5].map((place) => parseInt(text.slice(place, place + 2), 16));
}

/**
 * One pixel a cell.
 * @param {HTMLCanvasElement} canvas
 * @param {Drawing} drawing
 * @param {Colors} colors
 */
function paintCells(canvas, drawing, colors) {
  const { values, nRows, nColumns, from = 0, to = 1, causal = false, start = 0 } = drawing;
  canvas.width = nColumns;
  canvas.height = nRows;
  const pen = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const image = pen.createImageData(nColumns, nRows);
  for (let row = 0; row < nRows; row++) {
    for (let column = 0; column < nColumns; column++) {
      const place = row * nColumns + column,
        value = values[start + place];
      const end = value < 0 && from < 0 ? colors.negative : colors.high;
      const low = Math.max(from, 0);
      const part = value < 0 && from < 0 ? value / from : (value - low) / (to - low);
      const mix = Math.min(1, Math.max(0, part)),
        masked = causal && column > row;
      for (let i = 0; i < 3; i++) {
        const shade = colors.low[i] + (end[i] - colors.low[i]) * mix;
        image.data[4 * place + i] = masked ? colors.masked[i] : shade;
      }
      image.data[4 * place + 3] = 255;
    }
  }
  pen.putImageData(image, 0, 0);
}

/**
 * @param {CanvasRenderingContext2D} pen
 * @param {Drawing} drawing
 * @param {number} cell
 * @param {HTMLElement} where
 */
function paintOutlines(pen, { outlined = [], row = null, nColumns }, cell, where) {
  const style = getComputedStyle(where).getPropertyValue("--ex-outline").trim();
  pen.strokeStyle = style || "#d55e00";
  pen.lineWidth = Math.max(1, cell / 12);
  for (const [at, column] of outlined) {
    // Inside the cell, so that marks of neighbors do not close around a cell between them.
    const inset = Math.max(1.5, cell / 7);
    pen.strokeRect(column * cell + inset, at * cell + inset, cell - 2 * inset, cell - 2 * inset);
  }
  if (row !== null) pen.strokeRect(0.5, row * cell + 0.5, nColumns * cell - 1, cell - 1);
}
