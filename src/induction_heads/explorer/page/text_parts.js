// @ts-check
/** The parts of the explorer of a text model, put together. */

import { changeControls } from "./change_controls.js";
import { element, setText } from "./elements.js";
import { TEXT_COLORS } from "./explorer_state.js";
import { headsAfter } from "./explorer_view.js";
import { patternGrid } from "./pattern_grid.js";
import { barList, needsInWords, saidInWords } from "./prediction_bars.js";
import { headName, meanLoss, nats } from "./strip_measures.js";
import { textHeads } from "./text_heads.js";
import { textLegend, textTokens } from "./text_tokens.js";
import { copyLink } from "./top_bar.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("./explorer_state.js").TextColor} TextColor */

/** @type {Record<TextColor, string>} */
const COLOR_NAMES = { loss: "loss", silence: "a head silenced", attention: "attention" };

const ABOUT_TEXT =
  "The parts add up to the logit above the mean logit, so this is what the model did here. “Without it” is " +
  "the probability if the head is replaced by its mean; later heads then read something else, so the " +
  "two columns need not agree.";

/**
 * @param {any} actions see `TextMount`
 * @param {{model: string, size: string, examples: {name: string, text: string}[], id: string}} options
 */
export function textParts(actions, { model, size, examples, id }) {
  const field = textField(actions.text, examples, id, [
    element("strong", {}, model),
    copyLink(actions.link, actions.announce),
  ]);
  const loading = loadingBox(actions.load, model, size);
  const reason = element("p", { class: "ex-problem", role: "alert", hidden: true });
  const live = element("p", { class: "ex-hidden", role: "status", "aria-live": "polite" });
  const tokens = textTokens(actions),
    legend = textLegend(),
    said = element("p", { class: "ex-readout" }),
    length = element("span", { class: "ex-note" });
  const colors = colorChoice(actions, id);
  const heading = element("p", { class: "ex-heading" }),
    bars = barList(actions.target),
    sentence = element("p", { class: "ex-said" }),
    needs = element("p", { class: "ex-needs" });
  const heads = textHeads(actions);
  const grid = patternGrid(actions),
    changes = changeControls(actions.change, id);
  const changesTitle = element("summary", {}, "Change the model");
  const body = element(
    "div",
    { class: "ex-body", hidden: true },
    element(
      "div",
      { class: "ex-text-main" },
      element(
        "section",
        { class: "ex-text-side", "aria-label": "Text" },
        colors.element,
        element("p", { class: "ex-legend-line" }, legend.element, " ", length),
        tokens.element,
        said,
        element("details", { class: "ex-details" }, changesTitle, changes.element),
        element(
          "details",
          { class: "ex-details" },
          element("summary", {}, "Patterns of all heads"),
          grid.element,
        ),
      ),
      element(
        "section",
        { class: "ex-prediction", "aria-label": "Prediction" },
        heading,
        bars.element,
        sentence,
        needs,
        element(
          "div",
          { class: "ex-scroll", tabindex: 0, role: "region", "aria-label": "Heads" },
          heads.element,
        ),
        element("p", { class: "ex-note" }, ABOUT_TEXT),
      ),
    ),
  );
  return {
    elements: [field.element, loading.element, reason, body, live],
    setText: field.set,
    showLoading: loading.progress,
    showFailure: loading.fail,
    announce: (/** @type {string} */ text) => setText(live, text),
    say: (/** @type {string} */ text) => setText(said, text),
    repaint: grid.repaint,
    /** @param {string | null} text */
    showProblem(text) {
      reason.hidden = !text;
      setText(reason, text ?? "");
    },
    /** @param {ExplorerView} view @param {string} rest the text that is not read */
    update(view, rest) {
      loading.element.hidden = true;
      body.hidden = false;
      const { tokens: row, query } = view;
      // In a sentence, a piece of text is in quotes.
      const words = view.words.map((word) => `“${word}”`);
      setText(heading, `After ${words[row[query]]} at position ${query}`);
      bars.update(view, view.out, "");
      setText(sentence, saidInWords({ ...view, words }));
      setText(needs, needsInWords({ ...view, words }));
      colors.update(view);
      changes.update(view);
      setText(
        changesTitle,
        view.changes ? `Change the model (${view.changes})` : "Change the model",
      );
      grid.update(view, false);
      const { nCtx } = view.model.sizes;
      setText(
        length,
        `${row.length} of ${nCtx} tokens, mean loss ${nats(meanLoss(view.out))} nats.` +
          (rest ? ` The last ${[...rest].length} characters do not fit and are not read.` : ""),
      );
    },
    /**
     * @param {ExplorerView} view
     * @param {import("./text_tokens.js").TextGround & {unit: string}} ground
     * @param {import("../byte_pairs.js").Tokenizer} tokenizer
     * @param {(pos: number) => string} label
     * @param {string} rest
     */
    paint(view, ground, tokenizer, label, rest) {
      const { model: own, tokens: row, words, query, answer, state } = view;
      tokens.update({
        tokens: row,
        words,
        texts: row.map((token) => (token === own.bosToken ? "" : tokenizer.decode([token]))),
        query,
        pinned: state.query !== null,
        sources: answer?.sources ?? [],
        labels: row.map((_, pos) => label(pos)),
        rest,
      });
      tokens.paint(ground);
      legend.update(ground, ground.unit);
    },
    rank: heads.update,
  };
}

/**
 * The box for the text, and examples to put into it.
 * @param {(text: string) => void} changed
 * @param {{name: string, text: string}[]} examples
 * @param {string} id
 * @param {HTMLElement[]} ends of the line above the box
 */
function textField(changed, examples, id, [start, end]) {
  const field = element("textarea", {
    class: "ex-input",
    id: `ex-${id}-text`,
    rows: 4,
    spellcheck: "false",
    autocapitalize: "off",
    autocomplete: "off",
    oninput: () => {
      select.value = "";
      changed(field.value);
    },
  });
  const select = element(
    "select",
    {
      class: "ex-select",
      onchange: () => {
        const chosen = examples[Number(select.value)];
        if (!chosen || select.value === "") return;
        field.value = chosen.text;
        changed(chosen.text);
      },
    },
    element("option", { value: "" }, "your own"),
    ...examples.map(({ name }, at) => element("option", { value: at }, name)),
  );
  return {
    element: element(
      "div",
      { class: "ex-input-box" },
      element(
        "div",
        { class: "ex-input-line" },
        start,
        element("label", { for: `ex-${id}-text` }, "reads this Python: type or paste your own"),
        element("label", { class: "ex-field" }, "Example ", select),
        end,
      ),
      field,
    ),
    /** @param {string} text */
    set(text) {
      field.value = text;
      const at = examples.findIndex((example) => example.text === text);
      select.value = at < 0 ? "" : `${at}`;
    },
  };
}

/**
 * The button that loads the weights, how much has arrived, and why it failed.
 * @param {() => void} load
 * @param {string} model
 * @param {string} size
 */
function loadingBox(load, model, size) {
  const button = element(
    "button",
    { type: "button", class: "ex-button ex-primary", onclick: load },
    `Load ${model} and read the text`,
  );
  const bar = element("progress", { max: 1, value: 0, "aria-label": `Loading ${model}` });
  const text = element("span", { class: "ex-note" }, `${size}; it runs in your browser.`);
  bar.hidden = true;
  return {
    element: element("div", { class: "ex-loading" }, button, bar, text),
    /** @param {number} share */
    progress(share) {
      button.hidden = true;
      bar.hidden = false;
      bar.value = share;
      setText(text, `Loading ${model}: ${Math.round(100 * share)} % of ${size}`);
    },
    /** @param {string} why */
    fail(why) {
      bar.hidden = true;
      button.hidden = false;
      setText(button, "Try again");
      setText(text, `The model could not be loaded. ${why}`);
    },
  };
}

/**
 * What the colors show, and of which head.
 * @param {{color: (color: TextColor) => void, head: (head: [number, number]) => void}} actions
 * @param {string} id
 */
function colorChoice(actions, id) {
  const choices = TEXT_COLORS.map((color) => {
    const input = element("input", {
      type: "radio",
      name: `ex-${id}-color`,
      value: color,
      onchange: () => actions.color(color),
    });
    return {
      color,
      input,
      label: element(
        "label",
        { class: "ex-choice" },
        input,
        element("span", {}, COLOR_NAMES[color]),
      ),
    };
  });
  const select = element("select", {
    class: "ex-select",
    onchange: () => {
      const [layer, head] = select.value.split("-").map(Number);
      actions.head([layer, head]);
    },
  });
  let shape = "";
  return {
    element: element(
      "div",
      { class: "ex-color-line" },
      element("span", { id: `ex-${id}-by` }, "Color by"),
      element(
        "span",
        { class: "ex-choices", role: "radiogroup", "aria-labelledby": `ex-${id}-by` },
        ...choices.map(({ label }) => label),
      ),
      element("label", { class: "ex-field" }, "of head ", select),
    ),
    /** @param {ExplorerView} view */
    update({ state, model: { sizes } }) {
      for (const { color, input } of choices) input.checked = color === state.color;
      if (shape !== `${sizes.nLayers} ${sizes.nHeads}`) {
        select.replaceChildren(
          ...headsAfter(-1, sizes.nLayers, sizes.nHeads).map((head) =>
            element("option", { value: head.join("-") }, headName(head)),
          ),
        );
      }
      shape = `${sizes.nLayers} ${sizes.nHeads}`;
      select.value = state.head.join("-");
    },
  };
}
