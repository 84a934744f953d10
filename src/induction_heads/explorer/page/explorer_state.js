// @ts-check
/** What a reader has set, as an object and as a short text that an address can hold. */

/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {import("../sizes.js").Sizes} Sizes */
/** @typedef {"patterns" | "change" | "time" | "weights" | "train"} Section */

/**
 * - `query`: the position whose row is looked at; null is the last one. `target`: the token whose
 *   logit is taken apart; null is the one that the model predicts.
 * - `freeze`: the patterns of all layers after the first are those of the clean run.
 * - `cut`: what `sender` writes is left out of these inputs of `receiver`, or of all later heads.
 * - `snapshot`: the place in the list of snapshots; null is the trained model.
 * - `weights`, `lab`: the settings of those panels, in their own words.
 * - `text`, `color`: of a model of text. Its tokens are those of the text. `color` is what the color of a
 *   token shows: its loss, what it changes that the head is silenced, or attention.
 *
 * @typedef {{
 *   model: string, tokens: number[], head: Head, query: number | null, target: number | null,
 *   off: {head: Head, how: "zero" | "mean"}[], freeze: boolean,
 *   cut: {sender: Head, receiver: Head | null, sides: ("Q" | "K" | "V")[]} | null,
 *   knockout: Head[], period: number | null, snapshot: number | null, beside: boolean,
 *   section: Section | null, weights: string, lab: string, text: string, color: TextColor,
 * }} ExplorerState
 */

/** @typedef {"loss" | "silence" | "attention"} TextColor */

export const TEXT_COLORS = /** @type {TextColor[]} */ (["loss", "silence", "attention"]);

export const SECTIONS = /** @type {Section[]} */ ([
  "patterns",
  "change",
  "time",
  "weights",
  "train",
]);

/**
 * The state in which a page opens.
 * @param {Partial<ExplorerState>} [settings]
 * @returns {ExplorerState}
 */
export function newState(settings = {}) {
  return {
    model: "",
    tokens: [0, 1, 2, 0, 1],
    head: [1, 0],
    query: null,
    target: null,
    off: [],
    freeze: false,
    cut: null,
    knockout: [],
    period: null,
    snapshot: null,
    beside: false,
    section: null,
    weights: "",
    lab: "",
    text: "",
    color: "loss",
    ...settings,
  };
}

/** What is changed in the forward pass when nothing is. */
export const NO_CHANGE = { off: [], freeze: false, cut: null, knockout: [] };

/**
 * How many things are changed in the forward pass.
 * @param {ExplorerState} state
 */
export function changeCount({ off, freeze, cut, knockout }) {
  return off.length + knockout.length + Number(freeze) + (cut ? cut.sides.length : 0);
}

/**
 * Text of a state: parts such as `t.0-1-2-0-1`, with `~` between them. Only what differs from a
 * new state is in it.
 * @param {ExplorerState} state
 * @returns {string}
 */
export function encodeState(state) {
  const fresh = newState();
  /** @type {[string, string, string][]} */
  const parts = STATE_PARTS.map(([key, write]) => [key, write(state), write(fresh)]);
  return parts
    .filter(([, own, plain]) => own !== plain)
    .map(([key, own]) => `${key}.${own}`)
    .join("~");
}

/**
 * The state in a text, or `fallback` and the reason if the text cannot be read.
 * @param {string} text
 * @param {ExplorerState} [fallback]
 * @returns {{state: ExplorerState, problem: string | null}}
 */
export function decodeState(text, fallback = newState()) {
  const copy = newState(fallback);
  if (!text) return { state: copy, problem: null };
  const state = newState({ ...copy, ...newState(), model: copy.model });
  try {
    for (const part of text.split("~")) {
      const key = part[0],
        read = STATE_PARTS.find(([name]) => name === key)?.[2];
      if (!read || part[1] !== ".")
        throw new RangeError(`“${part.slice(0, 20)}” is not part of a link`);
      read(state, part.slice(2));
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return {
      state: copy,
      problem: `The link could not be read: ${reason}. Showing the default.`,
    };
  }
  return { state, problem: null };
}

/**
 * What does not fit the model is put right, such as a head that it does not have.
 * @param {ExplorerState} state
 * @param {Sizes} sizes
 * @param {number} nSnapshots 0 if they are not known yet
 * @returns {{state: ExplorerState, problem: string | null}}
 */
export function fittedState(state, sizes, nSnapshots = 0) {
  /** @param {Head} head */
  const exists = ([layer, head]) => layer < sizes.nLayers && head < sizes.nHeads;
  const inside = allIf(state.tokens, (token) => token < sizes.dVocab);
  const fitting = inside.length > sizes.nCtx ? inside.slice(0, sizes.nCtx) : inside;
  const tokens = fitting.length ? fitting : [0];
  const { cut } = state;
  const to = cut?.receiver ?? [sizes.nLayers - 1, 0];
  const cutFits =
    cut && exists(cut.sender) && exists(/** @type {Head} */ (to)) && cut.sender[0] < to[0];
  const inRow = (/** @type {number | null} */ at, /** @type {number} */ end) =>
    at !== null && at < end ? at : null;
  const fitted = {
    ...state,
    tokens,
    head: exists(state.head) ? state.head : /** @type {Head} */ ([sizes.nLayers - 1, 0]),
    query: inRow(state.query, tokens.length),
    target: inRow(state.target, sizes.dVocab),
    off: allIf(state.off, ({ head }) => exists(head)),
    knockout: allIf(state.knockout, exists),
    freeze: state.freeze && sizes.nLayers > 1,
    cut: cutFits ? cut : null,
    snapshot: nSnapshots ? inRow(state.snapshot, nSnapshots) : state.snapshot,
  };
  const dropped = tokens.length !== state.tokens.length ? "tokens it does not accept" : "";
  const undone =
    changeCount(fitted) < changeCount(state) ? "changes to heads it does not have" : "";
  const what = [dropped, undone].filter(Boolean).join(", ");
  return { state: fitted, problem: what ? `Left out for this model: ${what}.` : null };
}

/**
 * The list itself if all of it fits, so that it is known again, else what fits.
 * @template T
 * @param {T[]} list
 * @param {(one: T) => boolean} fits
 */
function allIf(list, fits) {
  return list.every(fits) ? list : list.filter(fits);
}

/** @param {Head} head */
const headCode = ([layer, head]) => `${layer}-${head}`;

/**
 * @param {string} text
 * @returns {Head}
 */
function headIn(text) {
  const [layer, head, ...more] = numbersIn(text);
  if (head === undefined || more.length) throw new RangeError(`“${text}” is not a head`);
  return [layer, head];
}

/** @param {string} text whole numbers from 0 with `-` between them */
function numbersIn(text) {
  if (!/^\d{1,6}(-\d{1,6})*$/.test(text))
    throw new RangeError(`“${text.slice(0, 20)}” is not a list of numbers`);
  return text.split("-").map(Number);
}

/** @param {number | null} number */
const numberCode = (number) => (number === null ? "" : `${number}`);

/** @param {string} text */
const freeCode = (text) => encodeURIComponent(text).replaceAll("~", "%7E");

/** A text in letters that no address changes: its UTF-8 in base 64. @param {string} text */
function textCode(text) {
  const bytes = new TextEncoder().encode(text);
  return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replace(/=+$/, "");
}

/** @param {string} code */
function textIn(code) {
  if (!/^[\w-]*$/.test(code)) throw new RangeError(`“${code.slice(0, 20)}” is not a text`);
  const letters = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
}

/** @param {string} text */
function switchIn(text) {
  if (text !== "1") throw new RangeError(`“${text.slice(0, 20)}” is not a switch`);
  return true;
}

/** @param {string} text such as `0-1zero` */
function offIn(text) {
  const how = text.endsWith("zero") ? "zero" : text.endsWith("mean") ? "mean" : null;
  if (!how)
    throw new RangeError(`“${text.slice(0, 20)}” does not say how the head is switched off`);
  return { head: headIn(text.slice(0, -4)), how: /** @type {"zero" | "mean"} */ (how) };
}

/** @param {string} text such as `0-0_KV_1-0`; `all` means all later heads */
function cutIn(text) {
  const [sender, sides = "", receiver = ""] = text.split("_");
  if (!/^Q?K?V?$/.test(sides) || !sides)
    throw new RangeError(`“${sides.slice(0, 20)}” is not a side of a head`);
  return {
    sender: headIn(sender),
    sides: /** @type {("Q" | "K" | "V")[]} */ ([...sides]),
    receiver: receiver === "all" ? null : headIn(receiver),
  };
}

/** @type {[string, (state: ExplorerState) => string, (state: ExplorerState, text: string) => void][]} */
const STATE_PARTS = [
  [
    "m",
    (s) => freeCode(s.model),
    (s, text) => {
      s.model = decodeURIComponent(text);
    },
  ],
  [
    "t",
    (s) => s.tokens.join("-"),
    (s, text) => {
      s.tokens = numbersIn(text);
    },
  ],
  [
    "h",
    (s) => headCode(s.head),
    (s, text) => {
      s.head = headIn(text);
    },
  ],
  [
    "q",
    (s) => numberCode(s.query),
    (s, text) => {
      s.query = numbersIn(text)[0];
    },
  ],
  [
    "g",
    (s) => numberCode(s.target),
    (s, text) => {
      s.target = numbersIn(text)[0];
    },
  ],
  [
    "o",
    (s) => s.off.map(({ head, how }) => headCode(head) + how).join("_"),
    (s, text) => {
      s.off = text.split("_").map(offIn);
    },
  ],
  [
    "f",
    (s) => (s.freeze ? "1" : ""),
    (s, text) => {
      s.freeze = switchIn(text);
    },
  ],
  [
    "c",
    (s) =>
      s.cut
        ? `${headCode(s.cut.sender)}_${s.cut.sides.join("")}_${
            s.cut.receiver ? headCode(s.cut.receiver) : "all"
          }`
        : "",
    (s, text) => {
      s.cut = cutIn(text);
    },
  ],
  [
    "k",
    (s) => s.knockout.map(headCode).join("_"),
    (s, text) => {
      s.knockout = text.split("_").map(headIn);
    },
  ],
  [
    "p",
    (s) => numberCode(s.period),
    (s, text) => {
      s.period = numbersIn(text)[0];
    },
  ],
  [
    "s",
    (s) => numberCode(s.snapshot),
    (s, text) => {
      s.snapshot = numbersIn(text)[0];
    },
  ],
  [
    "b",
    (s) => (s.beside ? "1" : ""),
    (s, text) => {
      s.beside = switchIn(text);
    },
  ],
  [
    "v",
    (s) => s.section ?? "",
    (s, text) => {
      const section = SECTIONS.find((name) => name === text);
      if (!section) throw new RangeError(`“${text.slice(0, 20)}” is not a section`);
      s.section = section;
    },
  ],
  [
    "w",
    (s) => freeCode(s.weights),
    (s, text) => {
      s.weights = decodeURIComponent(text);
    },
  ],
  [
    "l",
    (s) => freeCode(s.lab),
    (s, text) => {
      s.lab = decodeURIComponent(text);
    },
  ],
  [
    "x",
    (s) => textCode(s.text),
    (s, text) => {
      s.text = textIn(text);
    },
  ],
  [
    "y",
    (s) => s.color,
    (s, text) => {
      const color = TEXT_COLORS.find((name) => name === text);
      if (!color) throw new RangeError(`“${text.slice(0, 20)}” is not a color`);
      s.color = color;
    },
  ],
];
