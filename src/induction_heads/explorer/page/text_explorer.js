// @ts-check
/** A model of text that runs in the page on what the reader types. */

import { loadTextModel } from "../text_model.js";
import { decodeState, encodeState, fittedState, newState, NO_CHANGE } from "./explorer_state.js";
import { saidInWords } from "./prediction_bars.js";
import { watchedScheme } from "./scheme_watch.js";
import { probabilityOf } from "./strip_measures.js";
import { textParts } from "./text_parts.js";
import { groundOf, silencedRun, textView, tokenInWords, withTokens } from "./text_view.js";

/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */
/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../text_model.js").TextModel} TextModel */
/** @typedef {import("../sizes.js").Head} Head */

/**
 * `examples` are texts with names; the first is the text at the start. `size` says how much is loaded,
 * `head` on which head it opens.
 * @typedef {{
 *   model: string, size: string, head: Head, examples: {name: string, text: string}[],
 *   load: (kind: string, name: string) => Promise<any>, state?: string, address?: string,
 *   onState?: (text: string) => void,
 * }} TextExplorerOptions
 */

/** Changes are announced to a screen reader after this pause. */
const QUIET_TEXT_MS = 900;

/**
 * Put the explorer of a text model into an element. Its weights are loaded when the reader asks for
 * them, or when a state is given.
 * @param {HTMLElement} root
 * @param {TextExplorerOptions} options
 */
export function mountTextExplorer(root, options) {
  const mount = new TextMount(root, options);
  return {
    state: () => mount.encoded(),
    setState: (/** @type {string} */ text) => mount.restore(text),
    destroy: () => mount.destroy(),
  };
}

class TextMount {
  /** @param {HTMLElement} root @param {TextExplorerOptions} options */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    /** @type {import("./explorer_view.js").Memory} */
    this.memory = new Map();
    /** @type {TextModel | null} */
    this.textModel = null;
    /** @type {ExplorerView | null} */
    this.view = null;
    /** @type {number | null} */
    this.pointed = null;
    this.frame = 0;
    this.idle = 0;
    this.quiet = 0;
    this.sent = "";
    this.spoken = "";
    this.rest = "";
    this.loading = false;
    const { model, head, examples } = options;
    this.opening = newState({ model, head, text: examples[0].text });
    const { state, problem } = decodeState(options.state ?? "", this.opening);
    this.state = state;
    this.problem = problem;
    this.parts = textParts(this.actions(), {
      ...options,
      id: Math.random().toString(36).slice(2, 8),
    });
    root.classList.add("ex-explorer", "ex-of-text");
    root.replaceChildren(...this.parts.elements);
    this.parts.setText(this.state.text);
    this.scheme = watchedScheme(() => this.parts.repaint());
    if (options.state) this.load();
  }

  actions() {
    /** @param {Partial<ExplorerState>} part */
    const change = (part) => this.change(part);
    return {
      change,
      load: () => this.load(),
      text: (/** @type {string} */ text) => change({ text, query: null, target: null }),
      select: (/** @type {number} */ pos) =>
        change({ query: pos === this.state.query ? null : pos, target: null }),
      point: (/** @type {number | null} */ pos) => this.point(pos),
      target: (/** @type {number | null} */ token) =>
        change({ target: token === this.state.target ? null : token }),
      head: (/** @type {Head} */ head) => change({ head }),
      cell: (/** @type {Head} */ head, /** @type {number} */ query) => change({ head, query }),
      color: (/** @type {ExplorerState["color"]} */ color) => change({ color }),
      undo: () => change(NO_CHANGE),
      link: () =>
        `${location.href.split("#")[0]}#${this.options.address ?? "explorer"}=${this.encoded()}`,
      announce: (/** @type {string} */ text) => this.parts.announce(text),
    };
  }

  async load() {
    if (this.loading || this.textModel) return;
    this.loading = true;
    this.parts.showLoading(0);
    try {
      const { load, model } = this.options;
      this.textModel = await loadTextModel(load, model, (share) => this.parts.showLoading(share));
      this.draw();
    } catch (error) {
      this.parts.showFailure(error instanceof Error ? error.message : String(error));
    }
    this.loading = false;
  }

  /** @param {Partial<ExplorerState>} part */
  change(part) {
    this.state = { ...this.state, ...part };
    this.problem = null;
    this.draw();
  }

  /** @param {number | null} pos under the pointer; only colors and words follow it */
  point(pos) {
    if (pos === this.pointed) return;
    this.pointed = pos;
    if (this.view) this.paint();
  }

  encoded() {
    const { tokens } = newState();
    return encodeState({ ...this.state, tokens });
  }

  /** @param {string} text */
  restore(text) {
    const { state, problem } = decodeState(text, this.opening);
    this.state = state;
    this.problem = problem;
    this.parts.setText(state.text);
    if (this.textModel) this.draw();
    else if (text) this.load();
  }

  draw() {
    if (!this.textModel) return;
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      try {
        this.drawNow();
      } catch (error) {
        this.parts.showProblem(
          `Cannot show this: ${error instanceof Error ? error.message : error}`,
        );
        throw error;
      }
    });
  }

  drawNow() {
    const { textModel, memory } = this;
    if (!textModel) return;
    const read = withTokens(this.state, textModel, memory);
    const { state, problem } = fittedState(read.state, textModel.model.sizes);
    this.problem ??= problem;
    this.state = state;
    this.rest = read.rest;
    this.view = textView(state, textModel, memory);
    this.pointed = null;
    this.parts.update(this.view, this.rest);
    this.parts.showProblem(this.problem);
    this.paint();
    this.rank();
    this.report();
  }

  /** Colors, and what is said of the token under the pointer or of the selected one. */
  paint() {
    const { view, textModel, memory } = this;
    if (!view || !textModel) return;
    const at = this.pointed ?? view.query;
    const ground = groundOf(view, at, () => silencedRun(view, view.state.head, textModel, memory));
    const label = (/** @type {number} */ pos) => tokenInWords(view, pos, ground.values);
    this.parts.paint(view, ground, textModel.tokenizer, label, this.rest);
    this.parts.say(label(at));
  }

  /** Fill the column of silenced heads, one head at a time, so that typing is never held up. */
  rank() {
    const { view, textModel, memory } = this;
    clearTimeout(this.idle);
    if (!view || !textModel) return;
    /** @param {Head} head */
    const known = (head) => memory.get(`silenced ${head}`)?.from[0] === view.out;
    const all = view.model.sizes;
    /** @type {Head[]} */
    const missing = [];
    for (let layer = 0; layer < all.nLayers; layer++) {
      for (let head = 0; head < all.nHeads; head++) {
        if (!known([layer, head])) missing.push([layer, head]);
      }
    }
    this.parts.rank(view, textModel, (head) =>
      known(head)
        ? probabilityOf(silencedRun(view, head, textModel, memory), view.query, view.target)
        : null,
    );
    if (!missing.length) return;
    this.idle = window.setTimeout(() => {
      silencedRun(view, missing[0], textModel, memory);
      this.rank();
    }, PAUSE_MS);
  }

  report() {
    const state = this.encoded();
    if (state !== this.sent && this.sent) this.options.onState?.(state);
    this.sent = state;
    const { view } = this;
    if (!view) return;
    const words = view.words.map((word) => `“${word}”`);
    const text = `After ${words[view.tokens[view.query]]}: ${saidInWords({ ...view, words })}`;
    if (text === this.spoken) return;
    this.spoken = text;
    clearTimeout(this.quiet);
    this.quiet = window.setTimeout(() => this.parts.announce(text), QUIET_TEXT_MS);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.idle);
    clearTimeout(this.quiet);
    this.scheme();
    this.root.classList.remove("ex-explorer", "ex-of-text");
    this.root.replaceChildren();
  }
}

/** Milliseconds between two silenced heads: a key press comes first. */
const PAUSE_MS = 12;
