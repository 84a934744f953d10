// @ts-check
/** Everything that the page shows of a state: runs of the model with and without the change. */

import { meanMixed, run } from "../model.js";
import { randomFrom } from "../random.js";
import { repeatedRows } from "../rows.js";
import { changeCount, NO_CHANGE } from "./explorer_state.js";
import { periodOf } from "./token_edits.js";
import {
  copiesIn,
  inductionAnswer,
  leadingBos,
  previousTokenHead,
  topTokens,
} from "./strip_measures.js";

/** @typedef {import("../products.js").Floats} Floats */
/** @typedef {import("../sizes.js").Model} Model */
/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {import("../model.js").Run} Run */
/** @typedef {import("../interventions.js").Interventions} Interventions */
/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */

/**
 * `clean` is the run without the change, `out` the one with it (the same object if there is none).
 * `query` and `target` are those of the state, or the default for null. `answer` is what an
 * induction head would say at the query, `copies` what repeats in the row; `repeats` says whether any
 * token does. `cutSender` is the previous-token head. `besideOf` names the model that this one is compared with.
 * `meanOf` says of what the mean is that replaces a head.
 * @typedef {{
 *   state: ExplorerState, model: Model, name: string, title: string, step: number | null,
 *   words: string[], tokens: number[], clean: Run, out: Run, change: Interventions, changes: number,
 *   copies: import("./strip_measures.js").Copies | null, repeats: boolean, query: number,
 *   predicted: number, target: number, answer: import("./strip_measures.js").InductionAnswer | null,
 *   cutSender: Head | null,
 *   beside: {name: string, title: string, model: Model, out: Run} | null, besideOf?: string,
 *   meanOf: string,
 * }} ExplorerView
 */

/** What is drawn once and used again, by a text that names it. @typedef {Map<string, any>} Memory */

/** Rows over which the mean of a head is taken. */
const MEAN_ROWS = 64;

/**
 * @param {ExplorerState} state that fits the model
 * @param {{
 *   name: string, title: string, step: number | null, model: Model, words: string[],
 *   beside: {name: string, title: string, model: Model} | null,
 *   means?: {of: string, at: (nPos: number) => Floats[]},
 * }} shown what the page shows; `means` replaces the mean over random rows
 * @param {Memory} memory
 * @returns {ExplorerView}
 */
export function explorerView(state, shown, memory) {
  const { model } = shown,
    { tokens } = state,
    nPos = tokens.length;
  const clean = remembered(memory, "clean", [model, tokens], () => run(model, tokens));
  const copies = copiesIn(tokens, periodIn(state, model), model.bosToken);
  const repeats = new Set(tokens).size < nPos;
  const changes = changeCount(repeats ? state : { ...state, knockout: [] });
  const { change, out } = remembered(
    memory,
    "changed",
    [clean, state.off, state.freeze, state.cut, state.knockout],
    () => {
      const made = changeOf(state, model, clean, memory, shown.means?.at);
      return { change: made, out: changes ? run(model, tokens, made) : clean };
    },
  );
  const query = state.query ?? nPos - 1,
    predicted = topTokens(out, query, 1)[0].token;
  const { beside } = shown;
  return {
    state,
    model,
    words: shown.words,
    name: shown.name,
    title: shown.title,
    step: shown.step,
    tokens,
    clean,
    out,
    change,
    changes,
    copies,
    repeats,
    query,
    predicted,
    target: state.target ?? predicted,
    answer: inductionAnswer(tokens, query),
    cutSender: state.cut?.sender ?? previousTokenHead(clean),
    meanOf:
      shown.means?.of ??
      `${MEAN_ROWS} rows of ${nPos} random tokens that repeat a block, position by position`,
    beside: beside && {
      name: beside.name,
      title: beside.title,
      model: beside.model,
      out: remembered(memory, "beside", [beside.model, tokens], () => run(beside.model, tokens)),
    },
  };
}

/**
 * What the page shows of the model beside: the same tokens and query, without a change.
 * @param {ExplorerView} view
 * @returns {ExplorerView | null}
 */
export function viewBeside({ beside, ...view }) {
  if (!beside) return null;
  const { name, title, model, out } = beside;
  const { nLayers, nHeads } = model.sizes,
    [layer, head] = view.state.head;
  const own = /** @type {Head} */ (
    layer < nLayers && head < nHeads ? [layer, head] : [nLayers - 1, 0]
  );
  return {
    ...view,
    ...{ name, title, model, out, clean: out, changes: 0, step: null, beside: null },
    state: { ...view.state, ...NO_CHANGE, head: own },
    besideOf: view.name,
  };
}

/**
 * The length of one copy that the reader chose, if it fits, or the one found in the tokens.
 * @param {ExplorerState} state
 * @param {Model} model
 */
function periodIn({ period, tokens }, { bosToken }) {
  return period !== null && period < tokens.length
    ? period
    : periodOf(tokens.slice(leadingBos(tokens, bosToken)));
}

/**
 * The change in the engine's words.
 * @param {ExplorerState} state
 * @param {Model} model
 * @param {Run} clean
 * @param {Memory} memory
 * @param {((nPos: number) => Floats[])} [meansOf]
 * @returns {Interventions}
 */
function changeOf(state, model, clean, memory, meansOf) {
  const { nLayers, nHeads } = model.sizes;
  /** @type {Interventions} */
  const change = { off: state.off };
  if (state.off.some(({ how }) => how === "mean")) {
    change.means = remembered(memory, "means", [model, state.tokens.length], () =>
      meansOf
        ? meansOf(state.tokens.length)
        : meanMixed(model, referenceRows(model, state.tokens.length)),
    );
  }
  if (state.freeze)
    change.frozen = clean.patterns.map((patterns, layer) => (layer > 0 ? patterns : null));
  if (state.cut) {
    const { sender, receiver, sides } = state.cut;
    const receivers = receiver ? [receiver] : headsAfter(sender[0], nLayers, nHeads);
    change.cut = receivers.flatMap((to) => sides.map((side) => ({ sender, receiver: to, side })));
  }
  change.knockout = state.knockout.map((head) => ({ head }));
  return change;
}

/**
 * All heads of the layers after one.
 * @param {number} layer
 * @param {number} nLayers
 * @param {number} nHeads
 * @returns {Head[]}
 */
export function headsAfter(layer, nLayers, nHeads) {
  /** @type {Head[]} */
  const heads = [];
  for (let later = layer + 1; later < nLayers; later++) {
    for (let head = 0; head < nHeads; head++) heads.push([later, head]);
  }
  return heads;
}

/**
 * Random rows for a mean: a block twice, cut to the length of the strip, after the BOS token if the
 * model has one. The seed is fixed.
 * @param {Model} model
 * @param {number} nPos
 */
export function referenceRows(model, nPos) {
  const { bosToken } = model,
    { dVocab } = model.sizes,
    before = Number(bosToken !== null),
    period = Math.min(Math.ceil(nPos / 2), dVocab - before);
  const rows = repeatedRows(dVocab, period, MEAN_ROWS, randomFrom(0), bosToken);
  // Where the vocabulary is too small for two long copies, there are more of them.
  return rows.map((row) =>
    Array.from({ length: nPos }, (_, pos) =>
      pos < row.length ? row[pos] : row[before + ((pos - before) % period)],
    ),
  );
}

/**
 * What was made last under this name if it was made from the same things, else what `make` gives.
 * @template T
 * @param {Memory} memory
 * @param {string} name
 * @param {unknown[]} from
 * @param {() => T} make
 * @returns {T}
 */
export function remembered(memory, name, from, make) {
  const cached = memory.get(name);
  if (
    cached &&
    cached.from.every((/** @type {unknown} */ one, /** @type {number} */ i) => one === from[i])
  ) {
    return cached.value;
  }
  const value = make();
  memory.set(name, { from, value });
  return value;
}
