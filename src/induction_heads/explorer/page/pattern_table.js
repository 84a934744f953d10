// @ts-check
/** The selected head's pattern as a table, for readers who do not see the picture. */

import { element, setText } from "./elements.js";
import { headName, patternOf } from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */

/** A table with the key of most weight for each query. It is filled only while it is open. */
export function patternTable() {
  const body = element("tbody"),
    summary = element("summary");
  /** @type {ExplorerView | null} */
  let latest = null;
  const details = element(
    "details",
    { class: "ex-details", ontoggle: () => latest && fill(latest) },
    summary,
    element(
      "table",
      { class: "ex-table" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...["query", "key with the largest weight", "weight", "loss on this token"].map((name) =>
            element("th", { scope: "col" }, name),
          ),
        ),
      ),
      body,
    ),
  );
  /** @param {ExplorerView} view */
  const fill = (view) => {
    if (!details.open) return;
    const { tokens, words, out, state } = view,
      nPos = tokens.length;
    const pattern = patternOf(out, state.head);
    body.replaceChildren(
      ...tokens.map((token, query) => {
        const row = pattern.subarray(query * nPos, (query + 1) * nPos);
        const key = row.indexOf(Math.max(...row));
        return element(
          "tr",
          {},
          element("th", { scope: "row" }, `${words[token]} ${query}`),
          element("td", {}, `${words[tokens[key]]} ${key}`),
          element("td", {}, row[key].toFixed(2)),
          element("td", {}, query ? out.losses[query - 1].toFixed(2) : "–"),
        );
      }),
    );
  };
  return {
    element: details,
    /** @param {ExplorerView} view */
    update(view) {
      latest = view;
      setText(summary, `The pattern of ${headName(view.state.head)} as a table`);
      fill(view);
    },
  };
}
