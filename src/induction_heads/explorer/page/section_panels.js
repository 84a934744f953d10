// @ts-check
/** The independent panels: the weights, and training a model in the page. */

import { labPanel } from "./lab_panel.js";
import { weightsPanel } from "./weights_panel.js";

/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {import("../model.js").Run} Run */

/**
 * What a panel is shown: the model, the run on the reader's tokens, and the selected head.
 * @typedef {{
 *   model: Model, name: string, title: string, out: Run, tokens: number[], words: string[],
 *   head: import("../sizes.js").Head,
 * }} PanelView
 */

/**
 * `settings` is a short text for the link, `restore` takes it.
 * @typedef {{
 *   element: HTMLElement, show: (view: PanelView) => void, hide: () => void, destroy: () => void,
 *   settings: () => string, restore: (text: string) => void,
 * }} StandingPanel
 */

/** @typedef {{announce: (text: string) => void, changed: () => void}} PanelHost */
/** @typedef {{weights?: StandingPanel, train?: StandingPanel}} PanelOfSection */

/**
 * @param {string[]} parts the sections that the page has
 * @param {PanelHost} host
 * @returns {PanelOfSection}
 */
export function sectionPanels(parts, host) {
  return {
    ...(parts.includes("weights") && { weights: weightsPanel(host) }),
    ...(parts.includes("train") && { train: labPanel(host) }),
  };
}
