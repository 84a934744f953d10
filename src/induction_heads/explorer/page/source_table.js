// @ts-check
/** Where the selected query looks in every head, and what each source adds to one logit. */

import { contributions } from "../contributions.js";
import { element, setText } from "./elements.js";
import { sameHead } from "./pattern_grid.js";
import { headName, patternOf, signed } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("../contributions.js").Contributions} Contributions */

/**
 * @param {{target: (token: number | null) => void}} actions
 */
export function sourceTable(actions) {
  const caption = element("p", { class: "ex-said" });
  const head = element("thead", {}),
    body = element("tbody", {}),
    foot = element("tfoot", {});
  const table = element("table", { class: "ex-table ex-sources" }, head, body, foot);
  const choice = targetChoice(actions.target);
  const scroller = element(
    "div",
    {
      class: "ex-scroll",
      tabindex: 0,
      role: "region",
      "aria-label": "What each source adds to the logit",
    },
    table,
  );
  /** @type {HTMLElement[][]} */
  let cells = [];
  let shape = "";
  /** @param {ExplorerView} view @param {Contributions} parts */
  const build = (view, parts) => {
    cells = [];
    const columns = view.query + 1;
    const total = element("th", { scope: "col", class: "ex-total" }, "sum");
    const top = element("tr", {}, element("th", { scope: "col" }, "head"), total);
    for (let key = 0; key < columns; key++)
      top.append(
        element(
          "th",
          { scope: "col" },
          element("span"),
          element("span", { class: "ex-pos" }, `${key}`),
        ),
      );
    head.replaceChildren(top);
    body.replaceChildren();
    for (const part of parts.heads) {
      const name = element("th", { scope: "row" }, headName(part.head));
      const row = element("tr", {}, name, element("td", { class: "ex-total" }));
      for (let key = 0; key < columns; key++) row.append(sourceCell());
      body.append(row);
    }
    foot.replaceChildren(
      ...["token itself", "position", "logit"].map((name) =>
        element(
          "tr",
          {},
          element("th", { scope: "row" }, name),
          element("td", { class: "ex-total" }),
        ),
      ),
    );
    cells = [top, ...Array.from(body.children), ...Array.from(foot.children)].map(
      (row) => /** @type {HTMLElement[]} */ (Array.from(row.children)),
    );
  };
  return {
    element: element("div", {}, choice.element, caption, scroller),
    /** @param {ExplorerView} view */
    update(view) {
      const parts = contributions(view.model, view.out, view.query, view.target, view.change);
      const wanted = `${view.query} ${parts.heads.length} ${view.model.sizes.nHeads}`;
      if (wanted !== shape) build(view, parts);
      shape = wanted;
      choice.update(view);
      const { words, tokens, query } = view;
      setText(
        caption,
        `Query ${query} (${words[tokens[query]]}). Bars: attention weights. ` +
          `Numbers: what each source adds to the logit of ${words[view.target]}.`,
      );
      const [top, ...rows] = cells;
      for (let key = 0; key <= query; key++) {
        setText(top[key + 2].children[0], words[tokens[key]]);
        top[key + 2].classList.toggle("ex-source", Boolean(view.answer?.sources.includes(key)));
      }
      const most = Math.max(
        0.5,
        ...parts.heads.flatMap(({ bySource }) => Array.from(bySource, Math.abs)),
      );
      parts.heads.forEach((part, which) => {
        const row = rows[which],
          at = query * tokens.length;
        const weights = patternOf(view.out, part.head);
        row[0].parentElement?.classList.toggle("ex-selected", sameHead(part.head, view.state.head));
        for (let key = 0; key <= query; key++) {
          updateSourceCell(row[key + 2], weights[at + key], part.bySource[key], most);
        }
        setText(row[1], signed(part.total));
      });
      const [own, position, sum] = rows.slice(parts.heads.length);
      setText(own[1], signed(parts.embedding));
      setText(position[1], signed(parts.position + parts.bias));
      setText(sum[1], signed(parts.logit));
    },
  };
}

/** A bar for the weight and a number for what the source adds. */
function sourceCell() {
  return element(
    "td",
    {},
    element(
      "span",
      { class: "ex-weight", "aria-hidden": "true" },
      element("span", { class: "ex-weight-fill" }),
    ),
    element("span", { class: "ex-hidden" }),
    element("span", { class: "ex-adds" }),
  );
}

/**
 * @param {HTMLElement} cell
 * @param {number} weight
 * @param {number} adds
 * @param {number} most the largest size of any part
 */
function updateSourceCell(cell, weight, adds, most) {
  const text = signed(adds, 1);
  const fill = /** @type {HTMLElement} */ (cell.firstElementChild?.firstElementChild);
  fill.style.height = `${100 * weight}%`;
  const number = /** @type {HTMLElement} */ (cell.lastElementChild);
  setText(number, text);
  const size = Math.abs(adds) < 0.05 * most ? "ex-small" : adds < 0 ? "ex-minus" : "ex-plus";
  number.className = `ex-adds ${size}`;
  setText(cell.children[1], `weight ${weight.toFixed(2)}, adds `);
}

/** @param {(token: number | null) => void} choose */
function targetChoice(choose) {
  const select = element("select", {
    class: "ex-select",
    onchange: () => choose(select.value === "" ? null : Number(select.value)),
  });
  const followed = element("option", { value: "" });
  /** @type {string[]} */
  let listed = [];
  return {
    element: element("label", { class: "ex-field" }, "Take apart the logit of ", select),
    /** @param {ExplorerView} view */
    update(view) {
      const { words, predicted } = view;
      if (listed !== words) {
        const options = words.map((word, token) => element("option", { value: token }, word));
        select.replaceChildren(followed, ...options);
      }
      listed = words;
      setText(followed, `the model's prediction (${words[predicted]})`);
      select.value = view.state.target === null ? "" : String(view.state.target);
    },
  };
}
