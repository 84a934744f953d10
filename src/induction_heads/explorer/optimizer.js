// @ts-check
/** AdamW with clipping, warm-up and decay, as `induction_heads.training.run` uses PyTorch's. */

/** @typedef {import("./products.js").Floats} Floats */

/**
 * The learning rate rises over `warmup` steps and falls to zero over the last share `decay`.
 * @typedef {{
 *   steps: number, learningRate: number, betas: [number, number], weightDecay: number,
 *   clip: number, warmup: number, decay: number,
 * }} Settings
 */

const ADAM_EPSILON = 1e-8; // PyTorch's

/**
 * The learning rate of a step as a fraction of the highest one.
 * @param {Settings} settings
 * @param {number} step
 */
export function rate({ steps, warmup, decay }, step) {
  const left = (steps - step) / Math.max(1, decay * steps);
  return Math.min(1, (step + 1) / Math.max(1, warmup), decay ? Math.max(0, left) : 1);
}

/**
 * Scale the gradient to the norm `clip` if its norm is larger. Returns the norm before.
 * @param {Floats} gradient
 * @param {number} clip
 */
export function clipNorm(gradient, clip) {
  let square = 0;
  for (let i = 0; i < gradient.length; i++) square += gradient[i] * gradient[i];
  const norm = Math.sqrt(square),
    scale = clip / (norm + 1e-6);
  if (scale < 1) for (let i = 0; i < gradient.length; i++) gradient[i] *= scale;
  return norm;
}

/**
 * Update the weights and the two running means of the gradient, in place.
 * @param {{weights: Floats, first: Floats, second: Floats, step: number}} state `step` updates were made
 * @param {Floats} gradient
 * @param {Settings} settings
 */
export function adamwStep({ weights, first, second, step }, gradient, settings) {
  const [beta1, beta2] = settings.betas;
  const learningRate = settings.learningRate * rate(settings, step);
  const decayed = 1 - learningRate * settings.weightDecay;
  const size = learningRate / (1 - beta1 ** (step + 1));
  const root = Math.sqrt(1 - beta2 ** (step + 1));
  for (let i = 0; i < weights.length; i++) {
    const slope = gradient[i];
    first[i] += (1 - beta1) * (slope - first[i]);
    second[i] = beta2 * second[i] + (1 - beta2) * slope * slope;
    weights[i] =
      decayed * weights[i] - (size * first[i]) / (Math.sqrt(second[i]) / root + ADAM_EPSILON);
  }
}
