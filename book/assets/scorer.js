// Scores of the search: Sphinx's own, and more for a title that consists of the words looked for.

const wordsOf = (text) =>
  text
    .replace(/<[^>]+>/g, " ") // The number of a chapter is marked up.
    .toLowerCase()
    .split(/[^a-z_-]+/)
    .filter((word) => word)
    .map((word) => word.replace(/s$/, ""));

const ALL_OF_THE_TITLE = 1000;
const IN_THE_TITLE = 40;

// The search reads this name.
var Scorer = {
  score: ([, title, , , score]) => {
    const wanted = new Set(wordsOf(new URLSearchParams(location.search).get("q") || ""));
    const words = new Set(wordsOf(title));
    if (!wanted.size || [...wanted].some((word) => !words.has(word))) return score;
    return score + (words.size === wanted.size ? ALL_OF_THE_TITLE : IN_THE_TITLE);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
