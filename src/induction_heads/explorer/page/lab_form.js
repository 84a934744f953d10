// @ts-check
/** The form of the training panel: the settings, and what the reader expects. */

import { element } from "./elements.js";
import { LAB_DEFAULT, LAB_LARGEST_NOISE, LAB_LARGEST_SEED } from "./lab_settings.js";

/** @typedef {import("./lab_settings.js").LabSettings} LabSettings */

/**
 * A form of all settings. `changed` is called after each change by the reader.
 * @param {() => void} changed
 */
export function labForm(changed) {
  const layers = labChoice([
    ["2", "two"],
    ["1", "one"],
  ]);
  const heads = labChoice([
    ["1", "one per layer"],
    ["2", "two per layer"],
    ["4", "four per layer"],
  ]);
  const keys = labChoice([
    ["plain", "plain"],
    ["smeared", "smeared"],
  ]);
  const rows = labChoice([
    ["repeats", "repeat"],
    ["none", "do not repeat"],
  ]);
  const size = labChoice([
    ["small", "small"],
    ["toy", "toy (slower)"],
  ]);
  const noise = element("input", { type: "range", min: 0, max: LAB_LARGEST_NOISE, step: 5 });
  const share = element("output", {});
  const seed = element("input", {
    type: "number",
    min: 0,
    max: LAB_LARGEST_SEED,
    step: 1,
    inputmode: "numeric",
  });
  const fields = element(
    "fieldset",
    { class: "ex-lab-settings" },
    element("legend", {}, "The next run"),
    labField("Layers", layers),
    labField("Heads", heads),
    labField("Keys", keys),
    labField("Rows", rows),
    labField("Noise", noise, share),
    labField("Seed", seed),
    labField("Size", size),
  );

  const sayNoise = () => (share.textContent = `${noise.value} %`);
  noise.addEventListener("input", sayNoise);
  fields.addEventListener("change", () => {
    seed.value = String(wholeNumber(seed.value, LAB_LARGEST_SEED));
    changed();
  });

  /** @param {LabSettings} settings */
  const set = (settings) => {
    layers.value = String(settings.layers);
    heads.value = String(settings.heads);
    keys.value = settings.smeared ? "smeared" : "plain";
    rows.value = settings.repeats ? "repeats" : "none";
    size.value = settings.size;
    noise.value = String(settings.noise);
    seed.value = String(settings.seed);
    sayNoise();
  };
  set(LAB_DEFAULT);

  return {
    element: fields,
    set,
    /** @returns {LabSettings} */
    get: () => ({
      layers: layers.value === "1" ? 1 : 2,
      heads: heads.value === "1" ? 1 : heads.value === "4" ? 4 : 2,
      smeared: keys.value === "smeared",
      repeats: rows.value === "repeats",
      noise: wholeNumber(noise.value, LAB_LARGEST_NOISE),
      seed: wholeNumber(seed.value, LAB_LARGEST_SEED),
      size: size.value === "toy" ? "toy" : "small",
    }),
    /** @param {boolean} locked */
    lock: (locked) => (fields.disabled = locked),
  };
}

/** A question with two answers; `answer` is null before one is chosen. */
export function labExpectation() {
  const question = element("span", { class: "ex-lab-question" });
  const name = `ex-lab-expected-${expectationNumber()}`;
  const [yes, no] = ["one", "none"].map((value) =>
    element("input", { type: "radio", name, value }),
  );
  const fields = element(
    "fieldset",
    { class: "ex-lab-expected" },
    element("legend", {}, question, " Decide, then train."),
    element("label", {}, yes, " An induction head forms"),
    element("label", {}, no, " None forms"),
  );
  return {
    element: fields,
    /** @param {string} text */
    ask(text) {
      if (question.textContent === text) return;
      question.textContent = text;
      yes.checked = no.checked = false;
    },
    /** @returns {boolean | null} */
    answer: () => (yes.checked ? true : no.checked ? false : null),
    /** @param {boolean} locked */
    lock: (locked) => (fields.disabled = locked),
  };
}

/** A number that no other group of answers on the page has. */
function expectationNumber() {
  return document.querySelectorAll(".ex-lab-expected").length + Math.floor(1e9 * Math.random());
}

/** @param {[string, string][]} options value and text */
function labChoice(options) {
  return element(
    "select",
    {},
    ...options.map(([value, text]) => element("option", { value }, text)),
  );
}

/**
 * @param {string} name
 * @param {...HTMLElement} inputs
 */
function labField(name, ...inputs) {
  return element("label", { class: "ex-lab-field" }, element("span", {}, name), ...inputs);
}

/**
 * @param {string} text
 * @param {number} largest
 */
function wholeNumber(text, largest) {
  return Math.min(largest, Math.max(0, Math.round(Number(text)) || 0));
}
