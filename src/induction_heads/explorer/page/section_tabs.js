// @ts-check
/** Tabs, one panel shown at a time. */

import { element, setText } from "./elements.js";
import { rovingFocus } from "./roving_focus.js";

/**
 * @typedef {{name: string, title: string, content: HTMLElement, about: string}} SectionPanel
 */

/**
 * @param {SectionPanel[]} sections
 * @param {(name: string) => void} choose
 * @param {string} id a name that no other explorer of the page has
 */
export function sectionTabs(sections, choose, id) {
  const tabs = sections.map(({ name, title }) =>
    element(
      "button",
      {
        type: "button",
        role: "tab",
        class: "ex-tab",
        id: `ex-${id}-tab-${name}`,
        "aria-controls": `ex-${id}-panel-${name}`,
        onclick: () => choose(name),
      },
      title,
    ),
  );
  const panels = sections.map(({ name, content, about }) =>
    element(
      "div",
      {
        role: "tabpanel",
        class: "ex-panel",
        id: `ex-${id}-panel-${name}`,
        "aria-labelledby": `ex-${id}-tab-${name}`,
      },
      element("p", { class: "ex-about" }, about),
      content,
    ),
  );
  const list = element(
    "div",
    { role: "tablist", class: "ex-tabs", "aria-label": "Experiments" },
    ...tabs,
  );
  const stopAt = rovingFocus(
    list,
    () => tabs,
    (at) => choose(sections[at].name),
  );
  return {
    element: element("div", { class: "ex-sections" }, list, ...panels),
    /** @param {string} shown @param {Record<string, string>} [titles] */
    update(shown, titles = {}) {
      sections.forEach(({ name, title }, i) => {
        tabs[i].setAttribute("aria-selected", String(name === shown));
        setText(tabs[i], titles[name] ?? title);
        panels[i].hidden = name !== shown;
      });
      stopAt(
        Math.max(
          0,
          sections.findIndex(({ name }) => name === shown),
        ),
      );
    },
  };
}
