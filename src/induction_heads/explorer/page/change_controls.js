// @ts-check
/** Controls that change the forward pass, and the loss without and with the change. */

import { element, setText } from "./elements.js";
import { headsAfter } from "./explorer_view.js";
import { periodOf } from "./token_edits.js";
import { sameHead } from "./pattern_grid.js";
import {
  headName,
  leadingBos,
  meanLoss,
  nats,
  probabilityOf,
  repeatLoss,
  repeatLossName,
  signed,
} from "./strip_measures.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {import("./explorer_state.js").ExplorerState} ExplorerState */
/** @typedef {import("../sizes.js").Head} Head */
/** @typedef {(part: Partial<ExplorerState>) => void} Change */

const SIDE_NAMES = /** @type {const} */ ([
  ["Q", "query"],
  ["K", "key"],
  ["V", "value"],
]);

/**
 * @param {Change} change
 * @param {string} id a name that no other explorer of the page has
 */
export function changeControls(change, id) {
  const heads = headControls(change, id),
    period = periodChoice(change),
    paths = pathControls(change),
    effect = effectTable();
  const undo = element(
    "button",
    {
      type: "button",
      class: "ex-button",
      onclick: () => change({ off: [], freeze: false, cut: null, knockout: [] }),
    },
    "Undo all",
  );
  return {
    element: element(
      "div",
      { class: "ex-change" },
      element("div", { class: "ex-effect" }, effect.element, undo),
      element("div", {}, heads.element, period.element),
      paths.element,
    ),
    /** @param {ExplorerView} view */
    update(view) {
      heads.update(view);
      period.update(view);
      paths.update(view);
      effect.update(view);
      undo.disabled = view.changes === 0;
    },
  };
}

/**
 * A row of controls for each head: on, off by zero or by its mean; without the stripe.
 * @param {Change} change
 * @param {string} id
 */
function headControls(change, id) {
  const list = element("div", { class: "ex-head-controls" });
  /** @type {ReturnType<typeof headControl>[]} */
  let rows = [];
  let shape = "";
  return {
    element: list,
    /** @param {ExplorerView} view */
    update(view) {
      const { nLayers, nHeads } = view.model.sizes;
      if (shape !== `${nLayers} ${nHeads}`) {
        rows = headsAfter(-1, nLayers, nHeads).map((head) => headControl(head, change, id));
        list.replaceChildren(...rows.map((row) => row.element));
      }
      shape = `${nLayers} ${nHeads}`;
      rows.forEach((row) => row.update(view));
    },
  };
}

/**
 * The length of one copy, detected in the tokens or chosen, and what the changes of a head are.
 * @param {Change} change
 */
function periodChoice(change) {
  const note = element("p", { class: "ex-note" });
  const select = element("select", {
    class: "ex-select",
    onchange: () => change({ period: select.value === "" ? null : Number(select.value) }),
  });
  let shape = "";
  return {
    element: element(
      "div",
      {},
      note,
      element(
        "label",
        { class: "ex-field ex-period" },
        "Length of one copy, for the loss ",
        select,
      ),
    ),
    /** @param {ExplorerView} view */
    update({ state, tokens, repeats, model, meanOf }) {
      const detected = periodOf(tokens.slice(leadingBos(tokens, model.bosToken))),
        longest = Math.floor(tokens.length / 2);
      if (shape !== `${detected} ${longest}`) {
        const lengths = Array.from({ length: Math.max(0, longest - 1) }, (_, i) => i + 2);
        select.replaceChildren(
          element(
            "option",
            { value: "" },
            detected === null ? "none detected" : `${detected}, as detected`,
          ),
          ...lengths.map((length) => element("option", { value: length }, `${length}`)),
        );
      }
      shape = `${detected} ${longest}`;
      select.value = state.period === null ? "" : `${state.period}`;
      if (select.selectedIndex < 0) select.value = "";
      setText(
        note,
        `“Zero” and “mean” replace what the head passes on (z): by 0, or by its ` +
          `mean over ${meanOf}. ` +
          (repeats
            ? "“No stripe” removes the weight on all keys after an earlier copy of the query's token " +
              "and rescales the rest of each row to sum to 1."
            : "“No stripe” needs tokens that repeat."),
      );
    },
  };
}

/**
 * @param {Head} head
 * @param {Change} change
 * @param {string} id
 */
function headControl(head, change, id) {
  /** @type {ExplorerState | null} */
  let state = null;
  const name = headName(head);
  /** @param {"on" | "zero" | "mean"} how */
  const set = (how) => {
    const others = (state?.off ?? []).filter((one) => !sameHead(one.head, head));
    change({ off: how === "on" ? others : [...others, { head, how }] });
  };
  const choices = /** @type {const} */ (["on", "zero", "mean"]).map((how) => {
    const input = element("input", {
      type: "radio",
      name: `ex-${id}-${name}`,
      value: how,
      onchange: () => set(how),
    });
    return {
      how,
      input,
      label: element("label", { class: "ex-choice" }, input, element("span", {}, how)),
    };
  });
  const stripe = element("input", {
    type: "checkbox",
    onchange: () => {
      const others = (state?.knockout ?? []).filter((one) => !sameHead(one, head));
      change({ knockout: stripe.checked ? [...others, head] : others });
    },
  });
  return {
    element: element(
      "div",
      { class: "ex-head-control", role: "group", "aria-label": name },
      element("strong", {}, name),
      element("span", { class: "ex-choices" }, ...choices.map(({ label }) => label)),
      element("label", { class: "ex-check" }, stripe, "no stripe"),
    ),
    /** @param {ExplorerView} view */
    update(view) {
      ({ state } = view);
      const off = state.off.find((one) => sameHead(one.head, head));
      for (const { how, input } of choices) input.checked = how === (off?.how ?? "on");
      stripe.checked = state.knockout.some((one) => sameHead(one, head));
      stripe.disabled = !view.repeats && !stripe.checked;
    },
  };
}

/**
 * Freeze the later patterns; cut what the previous-token head writes from later inputs.
 * @param {Change} change
 */
function pathControls(change) {
  /** @type {ExplorerView | null} */
  let shown = null;
  const freeze = element("input", {
    type: "checkbox",
    onchange: () => change({ freeze: freeze.checked }),
  });
  const sender = element("select", {
    class: "ex-select",
    "aria-label": "Head whose output is cut",
    onchange: () => set(),
  });
  const receiver = element("select", {
    class: "ex-select",
    "aria-label": "Heads that do not receive it",
    onchange: () => set(),
  });
  const sides = SIDE_NAMES.map(([side, name]) => {
    const input = element("input", { type: "checkbox", onchange: () => set() });
    return { side, input, label: element("label", { class: "ex-check" }, input, name) };
  });
  /** @param {HTMLSelectElement} select @returns {Head | null} */
  const chosen = (select) => {
    const [layer, head] = select.value.split("-").map(Number);
    return select.value === "all" || select.value === "" ? null : [layer, head];
  };
  const set = () => {
    const from = chosen(sender) ?? shown?.cutSender,
      to = chosen(receiver);
    const cutSides = sides.filter(({ input }) => input.checked).map(({ side }) => side);
    const forward = from && to && to[0] <= from[0] ? null : to;
    change({
      cut: from && cutSides.length ? { sender: from, receiver: forward, sides: cutSides } : null,
    });
  };
  const whole = element(
    "fieldset",
    { class: "ex-paths" },
    element("legend", {}, "Between the layers"),
    element("label", { class: "ex-check" }, freeze, "Freeze the patterns after layer 0"),
    element(
      "p",
      { class: "ex-note" },
      "Later heads attend where they attended in the unchanged run; only the values they read can change.",
    ),
    element(
      "div",
      { class: "ex-cut" },
      "Cut what ",
      sender,
      " writes from the ",
      ...sides.map(({ label }) => label),
      " of ",
      receiver,
    ),
  );
  let shape = "";
  return {
    element: whole,
    /** @param {ExplorerView} view */
    update(view) {
      shown = view;
      const { nLayers, nHeads } = view.model.sizes,
        { cut } = view.state;
      whole.hidden = nLayers < 2;
      if (nLayers < 2) return;
      const from = view.cutSender ?? [0, 0],
        options = `${nLayers} ${nHeads} ${from[0]}`;
      if (options !== shape) {
        const senders = headsAfter(-1, nLayers - 1, nHeads);
        sender.replaceChildren(...senders.map(headOption));
        const all = element(
          "option",
          { value: "all" },
          nLayers === 2 ? "all heads of layer 1" : "all later heads",
        );
        receiver.replaceChildren(all, ...headsAfter(from[0], nLayers, nHeads).map(headOption));
      }
      shape = options;
      freeze.checked = view.state.freeze;
      sender.value = from.join("-");
      receiver.value = cut?.receiver?.join("-") ?? (cut ? "all" : receiver.value || "all");
      for (const { side, input } of sides) input.checked = Boolean(cut?.sides.includes(side));
    },
  };
}

/** @param {Head} head */
function headOption(head) {
  return element("option", { value: head.join("-") }, headName(head));
}

/** The loss and the answer without and with the change, as a table. */
function effectTable() {
  const rows = ["Second-copy loss (nats)", "Mean loss (nats)", "Probability"].map((name) => {
    const label = element("th", { scope: "row" }, name);
    const numbers = Array.from({ length: 3 }, () => element("td"));
    return { element: element("tr", {}, label, ...numbers), label, numbers };
  });
  const heads = ["", "clean", "changed", "difference"].map((name) =>
    element(name ? "th" : "td", name ? { scope: "col" } : {}, name),
  );
  return {
    element: element(
      "table",
      { class: "ex-table" },
      element("caption", {}, "Without and with the change"),
      element("thead", {}, element("tr", {}, ...heads)),
      element("tbody", {}, ...rows.map((row) => row.element)),
    ),
    /** @param {ExplorerView} view */
    update(view) {
      const { clean, out, copies, query, words } = view;
      const answers = view.answer?.tokens ?? [],
        token = answers.length === 1 ? answers[0] : view.target;
      setText(rows[0].label, `${repeatLossName(copies)} (nats)`);
      setText(rows[2].label, `Probability of ${words[token]} after position ${query} (%)`);
      rows[0].element.hidden = copies === null;
      lossRow(rows[0].numbers, repeatLoss(clean, copies), repeatLoss(out, copies));
      lossRow(rows[1].numbers, meanLoss(clean), meanLoss(out));
      const before = probabilityOf(clean, query, token),
        after = probabilityOf(out, query, token);
      setText(rows[2].numbers[0], (100 * before).toFixed(1));
      setText(rows[2].numbers[1], (100 * after).toFixed(1));
      setText(rows[2].numbers[2], signed(100 * (after - before), 1));
    },
  };
}

/**
 * @param {HTMLElement[]} cells
 * @param {number | null} before
 * @param {number | null} after
 */
function lossRow(cells, before, after) {
  setText(cells[0], nats(before));
  setText(cells[1], nats(after));
  setText(cells[2], before === null || after === null ? "–" : signed(after - before));
}
