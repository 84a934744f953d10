// Keeps the reader's predictions in this browser, and holds each answer back until there is one.
// Nothing is sent anywhere. Without this script an answer is an ordinary closed <details>.

(() => {
  const page = location.pathname.split("/").pop() || "index.html";
  const WAITING = "Choose above, then see what happens";
  const WAITING_FOR_TEXT = "Write a few words above, then see what happens";
  const READY = "Show what happens";

  /** What was kept under this name; an empty object if nothing was, or nothing can be. */
  function kept(name) {
    try {
      return JSON.parse(localStorage.getItem(`prediction:${page}:${name}`)) || {};
    } catch {
      return {};
    }
  }

  function keep(name, state) {
    try {
      localStorage.setItem(`prediction:${page}:${name}`, JSON.stringify(state));
    } catch {
      // Storage is full or not allowed: the choice holds until the page is left.
    }
  }

  function prepare(form) {
    const name = form.dataset.prediction;
    const answer = document.querySelector(`details[data-prediction="${name}"]`);
    const field = form.querySelector("textarea");
    const radios = [...form.querySelectorAll("input")];
    const state = kept(name);

    const text = (radio) => radio.nextElementSibling.textContent.trim();
    const isMade = () => (field ? field.value.trim() !== "" : radios.some((r) => r.checked));

    function show() {
      const made = isMade();
      if (!answer) return;
      const summary = answer.querySelector("summary");
      summary.textContent = made ? READY : field ? WAITING_FOR_TEXT : WAITING;
      summary.setAttribute("aria-disabled", String(!made));
      if (!made) answer.open = false;
    }

    if (field) field.value = state.choice || "";
    // Kept by its words, so that a choice that was since rewritten is not taken for another one.
    for (const radio of radios) radio.checked = text(radio) === state.choice;
    form.addEventListener("input", () => {
      const chosen = radios.find((radio) => radio.checked);
      state.choice = field ? field.value : chosen && text(chosen);
      keep(name, state);
      show();
    });
    show();
    if (!answer) return;
    answer.querySelector("summary").addEventListener("click", (event) => {
      if (isMade()) return;
      event.preventDefault();
      (field || radios[0]).focus();
    });
    if (state.shown && isMade()) answer.open = true;
    answer.addEventListener("toggle", () => {
      if (answer.open) dispatchEvent(new Event("resize")); // Figures measure their place again.
      if (!isMade()) return;
      state.shown = answer.open;
      keep(name, state);
    });
  }

  for (const form of document.querySelectorAll("fieldset.prediction")) prepare(form);

  // Paper cannot be asked.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details.prediction-answer:not([open])")];
    for (const answer of closed) answer.open = true;
  });
  addEventListener("afterprint", () => {
    for (const answer of closed) answer.open = false;
  });
})();
