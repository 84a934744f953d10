// @ts-check
/** The parts of the page, put together; each is brought up to date from one view. */

import { changeControls } from "./change_controls.js";
import { circuitDrawing } from "./circuit_drawing.js";
import { element, setText } from "./elements.js";
import { SECTIONS } from "./explorer_state.js";
import { viewBeside } from "./explorer_view.js";
import { patternGrid } from "./pattern_grid.js";
import { patternTable } from "./pattern_table.js";
import { predictionBars } from "./prediction_bars.js";
import { sectionTabs } from "./section_tabs.js";
import { sourceTable } from "./source_table.js";
import { stripButtons } from "./strip_buttons.js";
import { timeSlider } from "./time_slider.js";
import { tokenStrip } from "./token_strip.js";
import { topBar } from "./top_bar.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("./explorer_state.js").Section} Section */
/** @typedef {import("./section_panels.js").PanelOfSection} PanelOfSection */

const KEYS_HELP =
  "Select a token and type a letter to replace it. Drag it or press Alt + arrow to move it. Bars: loss in nats.";

/** What each experiment shows and what it does not. @type {Record<Section, [string, string]>} */
const ABOUT = {
  patterns: [
    "Where it looks",
    "One query, every head. The parts add up exactly to the logit, so this shows what the model did here. " +
      "It does not show what it would do without a part: later heads read what earlier ones write.",
  ],
  change: [
    "Change it",
    "Remove a part and see what it costs on these tokens. If the loss rises, the model used the part here. " +
      "If it does not, the part may still matter: another may do the same work. " +
      "Zero is a value that later layers have never seen, so it can overstate the effect; so can the mean.",
  ],
  time: [
    "Training",
    "The same tokens, read by the model at several steps of its training. " +
      "It shows when the stripe and the loss change together in this run. " +
      "It does not show that one causes the other, or when it happens in a larger model.",
  ],
  weights: [
    "Weights",
    "What a head could do with any token, from its weights alone. " +
      "Only the patterns show whether it does so on these tokens.",
  ],
  train: [
    "Train one here",
    "A small model trains in your browser. It shows the result of these settings with this seed; " +
      "another seed can give a different result.",
  ],
};

/**
 * @param {any} actions see `ExplorerMount`
 * @param {{
 *   models: {name: string, title: string}[], parts: Section[], panels: PanelOfSection, id: string,
 * }} given
 */
export function explorerParts(actions, { models, parts, panels, id }) {
  const top = topBar(models, actions, id),
    bars = predictionBars(actions);
  const strip = tokenStrip(actions, `ex-${id}-keys`),
    buttons = stripButtons(actions);
  const grid = patternGrid(actions),
    gridBeside = patternGrid({ head: () => {}, cell: (_, query) => actions.query(query) }, false),
    sources = sourceTable(actions),
    table = patternTable();
  const circuit = circuitDrawing(actions);
  const changes = changeControls(actions.change, id),
    time = timeSlider(actions);
  /** @type {Record<Section, HTMLElement | undefined>} */
  const contents = {
    patterns: element("div", {}, sources.element, table.element),
    change: changes.element,
    time: time.element,
    weights: panels.weights?.element,
    train: panels.train?.element,
  };
  const sections = SECTIONS.filter((name) => parts.includes(name) && contents[name]).map(
    (name) => ({
      name,
      title: ABOUT[name][0],
      about: ABOUT[name][1],
      content: /** @type {HTMLElement} */ (contents[name]),
    }),
  );
  const tabs = sectionTabs(sections, actions.section, id);
  const reason = element("span");
  const again = element(
    "button",
    { type: "button", class: "ex-button", onclick: actions.retry },
    "Try again",
  );
  const problem = element(
    "p",
    { class: "ex-problem", role: "alert", hidden: true },
    reason,
    " ",
    again,
  );
  const live = element("p", { class: "ex-hidden", role: "status", "aria-live": "polite" });
  const body = element(
    "div",
    { class: "ex-body", hidden: true },
    element(
      "section",
      { class: "ex-row", "aria-label": "Tokens" },
      strip.element,
      buttons.element,
      element("p", { class: "ex-note", id: `ex-${id}-keys` }, KEYS_HELP),
    ),
    element(
      "div",
      { class: "ex-main" },
      bars.element,
      element("div", { class: "ex-grids" }, circuit.element, grid.element, gridBeside.element),
    ),
    sections.length > 0 && tabs.element,
  );
  return {
    sections: sections.map(({ name }) => name),
    elements: [top.element, problem, body, live],
    strip,
    /** @param {string | null} text @param {boolean} [retry] whether it may help to try again */
    showProblem(text, retry = false) {
      problem.hidden = !text;
      again.hidden = !retry;
      setText(reason, text ?? "");
    },
    /** @param {string} text */
    announce: (text) => setText(live, text),
    repaint() {
      grid.repaint();
      gridBeside.repaint();
    },
    /** @param {ExplorerView} view @param {{hidden: boolean, section: string, snapshots: any}} shown */
    update(view, { hidden, section, snapshots }) {
      body.hidden = false;
      grid.update(view, hidden);
      const other = viewBeside(view);
      gridBeside.element.hidden = !other;
      if (other) gridBeside.update(other, hidden);
      top.update(view);
      strip.update(view, hidden);
      buttons.update(view);
      bars.update(view, hidden);
      circuit.element.hidden = hidden;
      if (!hidden) circuit.update(view);
      tabs.element.hidden = hidden;
      tabs.update(section, {
        change: view.changes ? `${ABOUT.change[0]} (${view.changes})` : ABOUT.change[0],
      });
      if (hidden) return;
      if (section === "patterns") [sources, table].forEach((part) => part.update(view));
      if (section === "change") changes.update(view);
      if (section === "time") time.update(view, snapshots);
    },
    destroy() {
      time.destroy();
      circuit.destroy();
    },
  };
}
