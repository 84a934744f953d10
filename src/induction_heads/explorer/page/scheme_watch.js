// @ts-check
/** Canvases must be repainted when the page switches between light and dark. */

/**
 * Call `repaint` when the page switches between light and dark. Returns a function that stops this.
 * @param {() => void} repaint
 */
export function watchedScheme(repaint) {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const observer = new MutationObserver(() => repaint());
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  media.addEventListener("change", repaint);
  return () => {
    observer.disconnect();
    media.removeEventListener("change", repaint);
  };
}
