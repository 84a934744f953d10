// @ts-check
/** The heads of a model of text, ranked by what they give to one next token. */

import { contributionsAboveMean } from "../text_model.js";
import { element, setText } from "./elements.js";
import { headName, percent, signed } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../sizes.js").Head} Head */

/**
 * @param {{head: (head: Head) => void}} actions
 */
export function textHeads(actions) {
  const caption = element("caption"),
    body = element("tbody"),
    foot = element("tfoot");
  const table = element(
    "table",
    { class: "ex-table ex-ranked" },
    caption,
    element(
      "thead",
      {},
      element(
        "tr",
        {},
        ...["head", "adds", "mostly from", "without it"].map((name) =>
          element("th", { scope: "col" }, name),
        ),
      ),
    ),
    body,
    foot,
  );
  /** @type {ReturnType<typeof rankedRow>[]} */
  const rows = [];
  const rest = [
    ["token itself", "the embedding of the last token"],
    ["position, bias", "the position and the bias of the last norm"],
    ["sum", "the logit above the mean logit of all tokens"],
  ].map(([name, title]) => {
    const number = element("td");
    foot.append(
      element(
        "tr",
        { title },
        element("th", { scope: "row" }, name),
        number,
        element("td"),
        element("td"),
      ),
    );
    return number;
  });
  return {
    element: table,
    /**
     * @param {ExplorerView} view
     * @param {import("../text_model.js").TextModel} textModel
     * @param {(head: Head) => number | null} without probability of the target if the head is silenced
     */
    update(view, textModel, without) {
      const { out, query, target, change, words } = view;
      const parts = contributionsAboveMean(textModel, out, query, target, change);
      const ranked = parts.heads.toSorted((a, b) => b.total - a.total);
      while (rows.length < ranked.length) {
        rows.push(rankedRow(actions.head));
        body.append(rows[rows.length - 1].element);
      }
      rows.splice(ranked.length).forEach((row) => row.element.remove());
      const most = Math.max(0.5, ...ranked.map(({ total }) => Math.abs(total)));
      ranked.forEach((part, at) => rows[at].update(view, part, most, without(part.head)));
      setText(caption, `What each head adds to the logit of “${words[target]}”`);
      const numbers = [parts.embedding, parts.position + parts.bias, parts.logit];
      numbers.forEach((number, i) => setText(rest[i], signed(number)));
    },
  };
}

/** @param {(head: Head) => void} choose */
function rankedRow(choose) {
  /** @type {Head} */
  let head = [0, 0];
  const button = element("button", {
    type: "button",
    class: "ex-head-name",
    onclick: () => choose(head),
  });
  const fill = element("span", { class: "ex-adds-fill", "aria-hidden": "true" }),
    number = element("span"),
    from = element("td", { class: "ex-from" }),
    without = element("td");
  const row = element(
    "tr",
    {},
    element("th", { scope: "row" }, button),
    element("td", { class: "ex-adds-cell" }, fill, number),
    from,
    without,
  );
  return {
    element: row,
    /**
     * @param {ExplorerView} view
     * @param {import("../contributions.js").FromHead} part
     * @param {number} most
     * @param {number | null} chance
     */
    update({ state, words, tokens }, part, most, chance) {
      ({ head } = part);
      const selected = state.head.join() === head.join();
      setText(button, headName(head));
      button.setAttribute("aria-pressed", String(selected));
      row.classList.toggle("ex-selected", selected);
      row.classList.toggle("ex-minus-row", part.total < 0);
      fill.style.width = `${(100 * Math.abs(part.total)) / most}%`;
      setText(number, signed(part.total));
      let key = 0;
      part.bySource.forEach((adds, at) => {
        if (Math.abs(adds) > Math.abs(part.bySource[key])) key = at;
      });
      setText(from, part.bySource[key] ? `${words[tokens[key]]} ${key}` : "–");
      setText(without, chance === null ? "…" : percent(chance));
    },
  };
}
