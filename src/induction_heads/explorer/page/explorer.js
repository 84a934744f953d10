// @ts-check
/** The explorer: a model that runs in the page on tokens that the reader edits. */

import { randomFrom } from "../random.js";
import {
  changeCount,
  decodeState,
  encodeState,
  fittedState,
  newState,
  NO_CHANGE,
  SECTIONS,
} from "./explorer_state.js";
import { explorerParts } from "./explorer_parts.js";
import { explorerView, remembered } from "./explorer_view.js";
import { modelStore } from "./model_store.js";
import { lossInWords, saidInWords } from "./prediction_bars.js";
import { watchedScheme } from "./scheme_watch.js";
import { sectionPanels } from "./section_panels.js";
import { editedRow } from "./strip_buttons.js";
import { defaultWords, movedToken, removedToken, replacedToken } from "./token_edits.js";
import { otherModel } from "./top_bar.js";

/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */
/** @typedef {import("./explorer_state.js").Section} Section */
/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../sizes.js").Head} Head */

/**
 * @typedef {{
 *   models: {name: string, title: string}[],
 *   load: (kind: "model" | "snapshots", name: string) => Promise<any>,
 *   tokens?: number[], words?: string[], period?: number, state?: string, parts?: Section[],
 *   open?: string, address?: string, onState?: (text: string) => void,
 * }} ExplorerOptions
 */

/** Changes are announced to a screen reader after this pause. */
const QUIET_MS = 700;

/**
 * Put the explorer into an element. `state` returns the state as text, `setState` takes such a text.
 * Throws a TypeError without a model.
 * @param {HTMLElement} root
 * @param {ExplorerOptions} options
 */
export function mountExplorer(root, options) {
  if (!options.models?.length)
    throw new TypeError("The explorer needs a model: `models` is empty.");
  const mount = new ExplorerMount(root, options);
  return {
    state: () => encodeState(mount.state),
    setState: (/** @type {string} */ text) => mount.restore(text),
    destroy: () => mount.destroy(),
  };
}

/** The state of one explorer, and what its parts ask for. Each change is drawn in the next frame. */
class ExplorerMount {
  /** @param {HTMLElement} root @param {ExplorerOptions} options */
  constructor(root, options) {
    this.root = root;
    this.options = options;
    this.id = Math.random().toString(36).slice(2, 8);
    this.random = randomFrom(Date.now());
    /** @type {import("./explorer_view.js").Memory} */
    this.memory = new Map();
    /** @type {ExplorerView | null} */
    this.view = null;
    this.frame = 0;
    this.quiet = 0;
    this.spoken = "";
    this.sent = "";
    this.focus = -1;
    this.opening = newState({
      model: options.models[0].name,
      ...(options.tokens?.length && { tokens: options.tokens }),
      period: options.period ?? null,
      section: SECTIONS.find((name) => name === options.open) ?? null,
    });
    const { state, problem } = decodeState(options.state ?? "", this.opening);
    this.state = state;
    this.hidden = !options.state && !options.open;
    this.store = modelStore(options.load, () => this.draw());
    const parts = options.parts ?? SECTIONS;
    this.panels = sectionPanels(parts, {
      announce: (text) => this.parts.announce(text),
      changed: () => this.panelChanged(),
    });
    this.parts = explorerParts(this.actions(), {
      models: options.models,
      parts,
      panels: this.panels,
      id: this.id,
    });
    root.classList.add("ex-explorer");
    root.replaceChildren(...this.parts.elements.filter(Boolean));
    this.problem = problem;
    this.panelDefaults = {
      weights: this.panels.weights?.settings() ?? "",
      lab: this.panels.train?.settings() ?? "",
    };
    this.restorePanels();
    this.scheme = watchedScheme(() => this.parts.repaint());
    this.draw();
  }

  /** What the parts of the page may ask for. */
  actions() {
    return {
      select: (/** @type {number} */ pos) =>
        this.change({ query: pos < this.state.tokens.length ? pos : null }),
      typed: (/** @type {number} */ pos, /** @type {number} */ token) => this.typed(pos, token),
      token: (/** @type {number} */ pos, /** @type {number} */ token) =>
        this.edit(replacedToken(this.state.tokens, pos, token)),
      unknown: (/** @type {string} */ letter) =>
        this.parts.announce(`${letter} is not a token of this model.`),
      remove: (/** @type {number} */ pos) => this.removed(pos),
      move: (/** @type {number} */ from, /** @type {number} */ to) => this.moved(from, to),
      edit: (/** @type {import("./strip_buttons.js").RowEdit} */ name) => this.editRow(name),
      reveal: () => this.change({}),
      target: (/** @type {number | null} */ token) =>
        this.change({ target: token === this.state.target ? null : token }),
      head: (/** @type {Head} */ head) => this.change({ head }, false),
      cell: (/** @type {Head} */ head, /** @type {number} */ query) =>
        this.change({ head, query }, false),
      query: (/** @type {number} */ query) => this.change({ query }, false),
      focusToken: (/** @type {number} */ pos) => this.parts.strip.focus(pos),
      change: (/** @type {Partial<ExplorerState>} */ part) => this.change(part),
      section: (/** @type {Section} */ section) => this.change({ section }),
      model: (/** @type {string} */ model) => this.change({ model, snapshot: null, ...NO_CHANGE }),
      beside: (/** @type {boolean} */ beside) => this.change({ beside }),
      pick: (/** @type {number | null} */ snapshot) => this.change({ snapshot }),
      retry: () => this.store.retry(this.state.model),
      link: () => linkTo(this.options.address, this.state),
      announce: (/** @type {string} */ text) => this.parts.announce(text),
    };
  }

  /** @param {Partial<ExplorerState>} part @param {boolean} [reveal] whether the answer may be shown now */
  change(part, reveal = true) {
    this.state = { ...this.state, ...part };
    if (reveal) this.hidden = false;
    this.problem = null;
    this.draw();
  }

  /** @param {number[]} tokens @param {Partial<ExplorerState>} [more] */
  edit(tokens, more = {}) {
    const { nCtx } = this.view?.model.sizes ?? { nCtx: tokens.length };
    if (tokens.length > nCtx) return this.refuse(`This model takes at most ${nCtx} tokens.`);
    if (!tokens.length) return this.refuse("At least one token must remain.");
    const period = tokens.length === this.state.tokens.length ? this.state.period : null;
    this.change({ tokens, period, ...more });
  }

  /** @param {string} text why an action was refused */
  refuse(text) {
    this.problem = text;
    this.draw();
  }

  /** @param {number} pos @param {number} token */
  typed(pos, token) {
    const atEnd = pos >= this.state.tokens.length;
    const at = atEnd ? this.state.tokens.length : pos;
    this.edit(replacedToken(this.state.tokens, at, token), { query: atEnd ? null : pos });
    this.focus = pos;
  }

  /** @param {number} pos Infinity for the last */
  removed(pos) {
    const { tokens, query } = this.state,
      removed = Math.min(pos, tokens.length - 1);
    this.edit(removedToken(tokens, removed), {
      query: query === null || removed >= tokens.length - 1 ? null : removed,
    });
    this.focus = this.state.query ?? Infinity;
  }

  /** @param {number} from @param {number} to */
  moved(from, to) {
    if (Math.max(from, to) >= this.state.tokens.length) return;
    this.edit(movedToken(this.state.tokens, from, to), { query: to });
    this.focus = to;
  }

  /** @param {import("./strip_buttons.js").RowEdit} name */
  editRow(name) {
    const { tokens } = this.state;
    if (name === "reset")
      return this.change({
        tokens: this.opening.tokens,
        period: this.opening.period,
        query: null,
        target: null,
      });
    if (!this.view) return;
    const edited = editedRow(name, tokens, this.view.model, this.random);
    if (edited) this.edit(edited, { query: null });
    else this.refuse("Nothing repeats in these tokens, so there is no repeat to break.");
  }

  /** @param {string} text */
  restore(text) {
    const { state, problem } = decodeState(text, this.opening);
    this.state = state;
    this.hidden = this.hidden && !text;
    this.problem = problem;
    this.restorePanels();
    this.draw();
  }

  restorePanels() {
    const { weights, train } = this.panels,
      { panelDefaults: otherwise } = this;
    if (this.state.weights || otherwise.weights)
      weights?.restore(this.state.weights || otherwise.weights);
    if (this.state.lab || otherwise.lab) train?.restore(this.state.lab || otherwise.lab);
  }

  panelChanged() {
    const { weights, train } = this.panels;
    /** @param {string} own @param {string} plain */
    const unlessDefault = (own, plain) => (own === plain ? "" : own);
    this.state = {
      ...this.state,
      weights: unlessDefault(weights?.settings() ?? "", this.panelDefaults.weights),
      lab: unlessDefault(train?.settings() ?? "", this.panelDefaults.lab),
    };
    this.draw();
  }

  draw() {
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
    const { models } = this.options,
      { state } = this;
    const named = models.find(({ name }) => name === state.model) ?? models[0];
    if (named.name !== state.model) {
      this.problem ??= `This page has no model ${state.model}.`;
      this.state = { ...state, model: named.name };
    }
    const { value: last, failure } = this.store.model(named.name);
    this.root.classList.toggle("ex-busy", !last && !failure);
    if (!last)
      return this.parts.showProblem(
        failure && `The model could not be read: ${failure}`,
        Boolean(failure),
      );
    const words = this.words(last);
    const { loaded, model, step, fitted } = this.fitted(named.name, last);
    const other = this.state.beside ? otherModel(models, named.name) : null;
    const second = other && this.store.model(other.name).value;
    this.view = explorerView(
      fitted,
      {
        ...named,
        model,
        step,
        words,
        beside: other && second && { ...other, model: second },
      },
      this.memory,
    );
    const section =
      this.parts.sections.find((name) => name === fitted.section) ?? this.parts.sections[0] ?? "";
    this.parts.update(this.view, { hidden: this.hidden, section, snapshots: loaded });
    this.parts.showProblem(this.problem ?? withoutBos(this.view));
    this.showPanels(section);
    this.moveFocus();
    this.report();
  }

  /**
   * The text of each token; the same list as before if there are as many.
   * @param {import("../sizes.js").Model} model
   */
  words({ sizes: { dVocab }, bosToken }) {
    return remembered(this.memory, "words", [dVocab, bosToken], () =>
      defaultWords(dVocab, bosToken).map((word, token) => this.options.words?.[token] ?? word),
    );
  }

  /**
   * The state put right for the model, and the model at the step that it names.
   * @param {string} name
   * @param {import("../sizes.js").Model} last
   */
  fitted(name, last) {
    const wanted =
      this.state.snapshot !== null || (this.state.section ?? this.parts.sections[0]) === "time";
    const { value: snapshots, failure } = wanted
      ? this.store.snapshots(name)
      : { value: null, failure: null };
    const { state: fitted, problem } = fittedState(this.state, last.sizes, snapshots?.length);
    this.problem ??= problem;
    if (failure && fitted.snapshot !== null) {
      this.problem ??= `The snapshots could not be read, so this is the trained model: ${failure}`;
      fitted.snapshot = null;
    }
    this.state = fitted;
    const at = fitted.snapshot === null ? null : (snapshots?.[fitted.snapshot] ?? null);
    return {
      loaded: { snapshots, failure },
      model: at?.model ?? last,
      step: at?.step ?? null,
      fitted,
    };
  }

  /** @param {string} section */
  showPanels(section) {
    const { view } = this;
    if (!view) return;
    for (const name of /** @type {const} */ (["weights", "train"])) {
      const panel = this.panels[name];
      if (name === section && !this.hidden) panel?.show({ ...view, head: view.state.head });
      else panel?.hide();
    }
  }

  moveFocus() {
    if (this.focus >= 0) this.parts.strip.focus(this.focus);
    this.focus = -1;
  }

  /** Tell the page and, after a quiet moment, the screen reader. */
  report() {
    const state = encodeState(this.state);
    if (state !== this.sent && this.sent) this.options.onState?.(state);
    this.sent = state;
    const text = this.view && !this.hidden ? spokenView(this.view) : "";
    const first = !this.spoken;
    if (text === this.spoken) return;
    this.spoken = text;
    clearTimeout(this.quiet);
    if (!first || this.options.state !== undefined)
      this.quiet = window.setTimeout(() => this.parts.announce(text), QUIET_MS);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    clearTimeout(this.quiet);
    this.scheme();
    this.parts.destroy();
    this.panels.weights?.destroy();
    this.panels.train?.destroy();
    this.root.classList.remove("ex-explorer");
    this.root.replaceChildren();
  }
}

/**
 * A remark for a model whose rows began with BOS in training, if this row does not.
 * @param {ExplorerView} view
 */
function withoutBos({ model: { bosToken }, tokens, words, title }) {
  return bosToken === null || tokens[0] === bosToken
    ? null
    : `In training, the rows of ${title} began with ${words[bosToken]}; this row does not. ` +
        "What you see is the model on rows that it does not know.";
}

/**
 * The address of this page with a state in it.
 * @param {string | undefined} address of the explorer that the state is for
 * @param {ExplorerState} state
 */
function linkTo(address = "explorer", state) {
  return `${location.href.split("#")[0]}#${address}=${encodeState(state)}`;
}

/**
 * What a screen reader says of a view: the prediction, the loss and the change.
 * @param {ExplorerView} view
 */
function spokenView(view) {
  const { tokens, words, query, state, step } = view;
  const when = step === null ? "" : `Training step ${step}. `;
  const count = changeCount(state);
  const changed = count ? ` ${count === 1 ? "One change is" : `${count} changes are`} active.` : "";
  const where = `After ${words[tokens[query]]} at position ${query}`;
  return `${when}${where}: ${saidInWords(view)} ${lossInWords(view)}${changed}`;
}
