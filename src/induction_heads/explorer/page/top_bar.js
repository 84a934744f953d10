// @ts-check
/** The choice of the model, another one beside it, and the link to the present state. */

import { element, setText } from "./elements.js";

/** @typedef {import("./explorer_view.js").ExplorerView} ExplorerView */
/** @typedef {{name: string, title: string}} Named */

/**
 * @param {Named[]} models
 * @param {{
 *   model: (name: string) => void, beside: (on: boolean) => void, link: () => string,
 *   announce: (text: string) => void,
 * }} actions
 * @param {string} id a name that no other explorer of the page has
 */
export function topBar(models, actions, id) {
  const choices = models.map(({ name, title }) => {
    const input = element("input", {
      type: "radio",
      name: `ex-${id}-model`,
      value: name,
      onchange: () => actions.model(name),
    });
    return {
      name,
      input,
      label: element("label", { class: "ex-choice" }, input, element("span", {}, title)),
    };
  });
  const several = models.length > 1;
  const beside = element("input", {
    type: "checkbox",
    onchange: () => actions.beside(beside.checked),
  });
  const besideName = element("span");
  const step = element("span", { class: "ex-badge" }),
    changes = element("span", { class: "ex-badge" });
  const link = copyLink(actions.link, actions.announce);
  return {
    element: element(
      "div",
      { class: "ex-top" },
      several
        ? element(
            "div",
            { class: "ex-choices", role: "radiogroup", "aria-label": "Model" },
            ...choices.map(({ label }) => label),
          )
        : element("strong", {}, models[0].title),
      several && element("label", { class: "ex-check" }, beside, besideName),
      step,
      changes,
      link,
    ),
    /** @param {ExplorerView} view */
    update({ state, step: trained, changes: count }) {
      for (const { name, input } of choices) input.checked = name === state.model;
      beside.checked = state.beside;
      setText(besideName, `compare with ${otherModel(models, state.model)?.title}`);
      step.hidden = trained === null;
      setText(step, `training step ${trained}`);
      changes.hidden = count === 0;
      setText(changes, count === 1 ? "1 change" : `${count} changes`);
    },
  };
}

/**
 * The model to compare with: the next in the list.
 * @param {Named[]} models
 * @param {string} name
 * @returns {Named | null}
 */
export function otherModel(models, name) {
  if (models.length < 2) return null;
  return models[(models.findIndex((model) => model.name === name) + 1) % models.length];
}

/**
 * A button that copies the link; where the browser does not allow that, the link is shown.
 * @param {() => string} link
 * @param {(text: string) => void} announce
 */
export function copyLink(link, announce) {
  const field = element("input", {
    class: "ex-link",
    readonly: true,
    "aria-label": "Link to this",
    hidden: true,
  });
  const button = element(
    "button",
    {
      type: "button",
      class: "ex-button",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(link());
          setText(button, "Link copied");
          announce("Link copied.");
          setTimeout(() => setText(button, "Copy link to this"), 2000);
        } catch {
          field.hidden = false;
          field.value = link();
          field.select();
          announce("The link is in the field beside the button.");
        }
      },
    },
    "Copy link to this",
  );
  return element("span", { class: "ex-link-line" }, field, button);
}
