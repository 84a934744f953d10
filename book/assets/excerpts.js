// Excerpts below the results of a search. Their text comes as a script (`search_texts.py`), because
// browsers refuse to fetch other pages of a site that is opened from disk.

const BEFORE = 60;
const LENGTH = 220;

/** The words that somebody looks for, as a pattern; null if there is none. */
const patternOf = (query) => {
  const words = query.split(/[^\p{L}\p{N}_]+/u).filter((word) => word.length > 1);
  return words.length ? new RegExp(`\\b(?:${words.join("|")})`, "giu") : null;
};

/** The part of the text with the most of the words close together, cut between words. */
const excerptOf = (text, pattern) => {
  const places = [...text.matchAll(pattern)].map((match) => match.index);
  if (!places.length) return "";
  const counts = places.map((from) => {
    const near = places.filter((place) => place >= from && place < from + LENGTH - BEFORE);
    return new Set(near.map((place) => text.slice(place, place + 4).toLowerCase())).size;
  });
  const first = places[counts.indexOf(Math.max(...counts))];
  const start = first <= BEFORE ? 0 : text.indexOf(" ", first - BEFORE) + 1;
  const end = text.length <= start + LENGTH ? text.length : text.lastIndexOf(" ", start + LENGTH);
  return `${start ? "… " : ""}${text.slice(start, end)}${end < text.length ? " …" : ""}`;
};

/** A paragraph with the words marked. */
const marked = (text, pattern) => {
  const paragraph = document.createElement("p");
  paragraph.className = "search-excerpt";
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    const mark = document.createElement("mark");
    mark.textContent = match[0];
    paragraph.append(text.slice(done, match.index), mark);
    done = match.index + match[0].length;
  }
  paragraph.append(text.slice(done));
  return paragraph;
};

const results = document.getElementById("search-results");
const pattern = patternOf(new URLSearchParams(location.search).get("q") ?? "");
const shown = new Set();

/** Add an excerpt to the first result of each page. */
const addExcerpts = () => {
  for (const link of results.querySelectorAll("li > a:not([data-excerpt])")) {
    link.dataset.excerpt = "";
    const page = link.getAttribute("href").replace(/\.html.*$/, "");
    const excerpt = shown.has(page) ? "" : excerptOf(window.searchTexts[page] ?? "", pattern);
    shown.add(page);
    if (excerpt) link.parentElement.append(marked(excerpt, pattern));
  }
};

if (results && pattern) {
  new MutationObserver(addExcerpts).observe(results, { childList: true, subtree: true });
  addExcerpts();
}
