// @ts-check
/** What the model says comes next, as bars and in words. */

import { element, setText } from "./elements.js";
import {
  nats,
  percent,
  probabilityOf,
  repeatLoss,
  repeatLossName,
  signed,
  topTokens,
} from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../model.js").Run} Run */

const BARS = 5;

/**
 * @param {{reveal: () => void, target: (token: number) => void}} actions
 */
export function predictionBars(actions) {
  const heading = element("p", { class: "ex-heading", tabindex: -1 });
  let revealed = false;
  const own = barList(actions.target),
    other = barList(actions.target);
  const said = element("p", { class: "ex-said" });
  const needs = element("p", { class: "ex-needs" });
  const losses = element("p", { class: "ex-said" });
  const shown = element("div", { class: "ex-bar-lists" }, own.element, other.element);
  const question = element("p", { class: "ex-question" });
  const ask = element(
    "div",
    { class: "ex-ask" },
    question,
    element(
      "button",
      {
        type: "button",
        class: "ex-button ex-primary",
        onclick: () => {
          revealed = true;
          actions.reveal();
        },
      },
      "Show the answer",
    ),
  );
  const answer = element("div", { class: "ex-answer" }, shown, said, needs, losses);
  return {
    element: element(
      "section",
      { class: "ex-prediction", "aria-label": "Prediction" },
      heading,
      ask,
      answer,
    ),
    /** @param {ExplorerView} view @param {boolean} hidden */
    update(view, hidden) {
      ask.hidden = !hidden;
      answer.hidden = hidden;
      setText(heading, `After ${view.words[view.tokens[view.query]]} at position ${view.query}`);
      if (hidden) return setText(question, questionAbout(view));
      // The pressed button is gone: the focus goes to what took its place.
      if (revealed) heading.focus();
      revealed = false;
      own.update(view, view.out, view.beside ? view.title : "");
      other.element.hidden = !view.beside;
      const plain = view.changes || view.step !== null ? ", trained, no change" : "";
      if (view.beside) other.update(view, view.beside.out, view.beside.title + plain);
      setText(said, saidInWords(view));
      setText(needs, needsInWords(view));
      setText(losses, lossInWords(view));
    },
  };
}

/**
 * Bars of the most probable tokens. A press on one takes its logit apart.
 * @param {(token: number) => void} choose
 */
export function barList(choose) {
  const caption = element("p", { class: "ex-bars-of" });
  const list = element("ol", { class: "ex-bars" });
  const bars = Array.from({ length: BARS }, () => predictionBar(choose));
  list.append(...bars.map((bar) => bar.element));
  return {
    element: element("div", { class: "ex-bar-list" }, caption, list),
    /** @param {ExplorerView} view @param {Run} out @param {string} title */
    update(view, out, title) {
      caption.hidden = !title;
      setText(caption, title);
      const tokens = topTokens(out, view.query, BARS, view.answer?.tokens.slice(0, BARS - 1));
      bars.forEach((bar, i) => {
        bar.element.hidden = !tokens[i];
        if (tokens[i]) bar.update(view, tokens[i]);
      });
    },
  };
}

/** @param {(token: number) => void} choose */
function predictionBar(choose) {
  const word = element("span", { class: "ex-bar-token" });
  const fill = element("span", { class: "ex-bar-fill" });
  const share = element("span", { class: "ex-bar-share" });
  const mark = element("span", { class: "ex-bar-mark" });
  let token = 0;
  const button = element(
    "button",
    {
      type: "button",
      class: "ex-bar",
      title: "Decompose its logit",
      onclick: () => choose(token),
    },
    word,
    element("span", { class: "ex-bar-track" }, fill, mark),
    share,
  );
  return {
    element: element("li", {}, button),
    /** @param {ExplorerView} view @param {{token: number, probability: number}} shown */
    update(view, shown) {
      token = shown.token;
      const right = Boolean(view.answer?.tokens.includes(token)),
        next = view.tokens[view.query + 1] === token;
      setText(word, view.words[token]);
      setText(share, percent(shown.probability));
      setText(mark, [right && "induction", next && "comes next"].filter(Boolean).join(", "));
      fill.style.width = `${100 * shown.probability}%`;
      button.classList.toggle("ex-right", right);
      button.classList.toggle("ex-target", view.state.target === token);
      button.setAttribute("aria-pressed", String(view.target === token));
    },
  };
}

/** @param {ExplorerView} view */
function questionAbout({ tokens, words, query }) {
  const word = words[tokens[query]];
  const before = tokens.slice(0, query).filter((token) => token === tokens[query]).length;
  const once = !before && tokens.indexOf(tokens[query], query + 1) < 0;
  const which = once ? "the" : (ORDINALS[before] ?? `occurrence ${before + 1} of`);
  return `What comes after ${which} ${word}? Decide, then look.`;
}

const ORDINALS = ["the first", "the second", "the third", "the fourth"];

/** @param {ExplorerView} view */
export function saidInWords({ out, query, words, answer, tokens }) {
  const [best] = topTokens(out, query, 1);
  const model = `The model predicts ${words[best.token]} (${percent(best.probability)}).`;
  const next = query + 1 < tokens.length ? tokens[query + 1] : null;
  const parts = [model];
  const others = (answer?.tokens ?? []).filter((token) => token !== best.token);
  if (others.length && others.length <= 3) {
    const shares = others.map(
      (token) => `${words[token]} ${percent(probabilityOf(out, query, token))}`,
    );
    parts.push(`It gives ${listed(shares)}.`);
  }
  if (next !== null && next !== best.token && !answer?.tokens.includes(next)) {
    parts.push(
      `The next token is ${words[next]}: it gets ${percent(probabilityOf(out, query, next))}.`,
    );
  }
  return parts.join(" ");
}

/** @param {ExplorerView} view */
export function needsInWords({ tokens, words, query, answer }) {
  const word = words[tokens[query]];
  if (!answer) return `${word} is new here: there is nothing to copy.`;
  const { sources } = answer,
    followers = answer.tokens.map((token) => words[token]),
    places = (/** @type {number[]} */ all) =>
      `${all.length > 1 ? "positions" : "position"} ${listed(all.map(String))}`;
  const came = sources.map((key) => key - 1);
  if (sources.length === 1) {
    return (
      `${word} was at ${places(came)} before, followed by ${followers[0]}. ` +
      `An induction head attends to ${places(sources)} and predicts ${followers[0]}.`
    );
  }
  if (followers.length === 1) {
    return (
      `${word} was at ${places(came)} before, each time followed by ${followers[0]}. An induction ` +
      `head attends to one or more of ${places(sources)} and predicts ${followers[0]}.`
    );
  }
  return (
    `${word} was at ${places(came)} before, followed by ` +
    `${listed(sources.map((key) => words[tokens[key]]))}. An induction head attends to one or more ` +
    `of ${places(sources)}; its prediction depends on which.`
  );
}

/** The most items that a sentence names. */
const NAMED = 6;

/** @param {string[]} items */
function listed(items) {
  const rest = items.length - NAMED,
    all = rest > 1 ? [...items.slice(0, NAMED), `${rest} more`] : items;
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} and ${all.at(-1)}`;
}

/** @param {ExplorerView} view */
export function lossInWords({ tokens, out, clean, changes, copies, repeats, beside, title }) {
  const own = repeatLoss(out, copies);
  if (own === null) {
    if (tokens.length < 2) return "One token alone has no loss: no token was predicted.";
    return repeats
      ? "The row has no second copy of a block of at least two tokens, so there is no second-copy loss."
      : "No token repeats, so there is no second-copy loss.";
  }
  const before = repeatLoss(clean, copies) ?? own;
  const rise = changes ? ` (${nats(before)} without the change: ${signed(own - before)})` : "";
  const others = beside ? `; ${beside.title}: ${nats(repeatLoss(beside.out, copies))}` : "";
  const name = beside ? `${title}: ` : "";
  return `${repeatLossName(copies)}: ${name}${nats(own)} nats${rise}${others}.`;
}
