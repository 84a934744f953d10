// @ts-check
/** Draws an attention pattern at one of several training snapshots, chosen with a slider. */

/**
 * @param {string} id of the figure, which holds a canvas, a slider and an output element
 * @param {{
 *   frames: number[][], facts: string[], nPos: number, cell: number, stripe: number[][],
 *   stripeColor: string,
 * }} data `frames`: the weights on and below the diagonal, row by row, in hundredths;
 *   `stripe`: [query, key] of each outlined cell
 */
export default function patternFrames(id, data) {
  const { frames, facts, nPos, cell, stripe, stripeColor } = data;
  const figure = document.getElementById(id);
  const canvas = figure?.querySelector("canvas");
  const slider = figure?.querySelector("input");
  const output = figure?.querySelector("output");
  const context = canvas?.getContext("2d");
  if (!canvas || !slider || !output || !context) return;

  /** @param {number} weight in hundredths: 0 is white, 100 is dark blue */
  const shade = (weight) => {
    const [red, green, blue] = [8, 48, 107].map((end) =>
      Math.round(255 + ((end - 255) * weight) / 100),
    );
    return `rgb(${red},${green},${blue})`;
  };
  const draw = () => {
    const frame = Number(slider.value);
    context.fillStyle = "#d9d9d9";
    context.fillRect(0, 0, canvas.width, canvas.height);
    let index = 0;
    for (let query = 0; query < nPos; query++) {
      for (let key = 0; key <= query; key++) {
        context.fillStyle = shade(frames[frame][index++]);
        context.fillRect(key * cell, query * cell, cell, cell);
      }
    }
    context.strokeStyle = stripeColor;
    for (const [query, key] of stripe) {
      context.strokeRect(key * cell + 0.5, query * cell + 0.5, cell - 1, cell - 1);
    }
    output.textContent = facts[frame];
    slider.setAttribute("aria-valuetext", facts[frame]);
  };
  slider.addEventListener("input", draw);
  draw();
}
