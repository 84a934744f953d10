"""Known mistakes of chapter 10 on other ways to match and copy, each with its hint."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

Row = list[int]
Counts = Callable[[Row, int, int, Any], bool]
"""Whether a key counts for a query: `(row, query, key, the third argument)`."""


def marks(tokens: Tensor, counts: Counts, extra: Any) -> Tensor:
    """The keys, up to the query, that count."""
    rows = tokens.tolist()
    found = [
        [
            [key <= query and counts(row, query, key, extra) for key in range(len(row))]
            for query in range(len(row))
        ]
        for row in rows
    ]
    return torch.tensor(found)


def score(counts: Counts, *, over_all: bool = False, latest: bool = False):
    """The attention to the keys that count, as a mean over the queries that have one."""

    def answer(pattern, tokens, extra):
        mask = marks(tokens, counts, extra)
        asked = mask.any(dim=-1)
        if latest:
            place = torch.arange(1, mask.shape[-1] + 1) * mask
            mask = mask & (place == place.amax(dim=-1, keepdim=True))
        number = asked.sum(dim=-1) if not over_all else torch.tensor(tokens.shape[1])
        if pattern.ndim == 4:
            return torch.einsum("bhqk,bqk->bh", pattern, mask.float()) / number.reshape(-1, 1)
        return torch.einsum("bqk,bqk->b", pattern, mask.float()) / number

    return answer


def at(counts: Counts, shift: int = 1) -> Counts:
    """The key `shift` places after one that counts and is earlier than the query."""

    def moved(row: Row, query: int, key: int, extra: Any) -> bool:
        source = key - shift
        return 0 <= source < query and counts(row, query, source, extra)

    return moved


# fuzzy_induction_score


def _like(row, query, key, similar):
    return row[query] != row[key] and bool(similar[row[query], row[key]])


FUZZY_MISTAKES = (
    Mistake(
        "only equal tokens match",
        score(at(lambda r, q, k, s: r[q] == r[k])),
        "That is the score of chapter 4. Does your code read `similar`?",
    ),
    Mistake(
        "equal tokens match too",
        score(at(lambda r, q, k, s: bool(s[r[q], r[k]]))),
        "A head that matches only equal tokens would score in your version. Which pairs does the "
        "docstring leave out?",
    ),
    Mistake(
        "attention to the similar token itself",
        score(at(_like, 0)),
        "A duplicate-token head would do well in your version. Which key does induction need?",
    ),
    Mistake(
        "the relation is read in the wrong direction",
        score(at(lambda r, q, k, s: r[q] != r[k] and bool(s[r[k], r[q]]))),
        "`similar[a, b]` need not be symmetric. Which of the two is the query's id?",
    ),
    Mistake(
        "the relation is read in both directions",
        score(at(lambda r, q, k, s: _like(r, q, k, s | s.T))),
        "`similar[a, b]` may be True where `similar[b, a]` is not. Which of them do you ask?",
    ),
    Mistake(
        "the mean runs over all queries",
        score(at(_like), over_all=True),
        "Some queries have no similar token before them. What could any head do there?",
    ),
    Mistake(
        "only the latest similar token counts",
        score(at(_like), latest=True),
        "A head may spread its attention over several such keys. Are they all in your sum?",
    ),
)


# ngram_prefix_score


def _same(row, query, key, n):
    """The n tokens up to the key are the n tokens up to the query."""
    return key >= n - 1 and row[key - n + 1 : key + 1] == row[query - n + 1 : query + 1]


def _set_of(row, query, key, n):
    return key >= n - 1 and (
        sorted(row[key - n + 1 : key + 1]) == sorted(row[query - n + 1 : query + 1])
    )


PREFIX_MISTAKES = (
    Mistake(
        "only the last token is matched",
        score(at(lambda r, q, k, n: r[q] == r[k])),
        "That is right for n = 1. What else must be equal for n = 2?",
    ),
    Mistake(
        "the order of the n tokens is ignored",
        score(at(_set_of)),
        "Is A B a copy of B A? What does a comparison position by position say?",
    ),
    Mistake(
        "attention to the end of the copy, not to the token after it",
        score(at(_same, 0)),
        "Which token does a head need to see to predict what comes next?",
    ),
    Mistake(
        "one token too many is matched",
        score(at(lambda r, q, k, n: _same(r, q, k, n + 1))),
        "For n = 1 your code already compares two tokens. Is the query's own token among your n?",
    ),
    Mistake(
        "the mean runs over all queries",
        score(at(_same), over_all=True),
        "Queries whose last n tokens are new have nothing to match. Do they belong in the mean?",
    ),
    Mistake(
        "only the latest copy counts",
        score(at(_same), latest=True),
        "The last n tokens may have occurred several times before. Which copies count?",
    ),
)


# plateau_loss_formula

PLATEAU_MISTAKES = (
    Mistake(
        "the later copies alone",
        lambda: "log(r)",
        "The row also has a first copy. What does the model know there?",
    ),
    Mistake(
        "the first copy is left out of the sum, not of the count",
        lambda: "(c - 1) * log(r) / c",
        "You divide by c copies. How many do you add up, and what does the first one cost?",
    ),
    Mistake(
        "nothing is left to guess in the later copies",
        lambda: "log(V) / c",
        "That is the loss after the second drop. Which r continuations are still open before it?",
    ),
    Mistake(
        "the two costs are swapped",
        lambda: "((c - 1) * log(V) + log(r)) / c",
        "Let c grow. Which cost should the mean approach?",
    ),
    Mistake(
        "the logarithm of the mean number of choices",
        lambda: "log((V + (c - 1) * r) / c)",
        "Losses are averaged. Is that the same as averaging the choices first?",
    ),
    Mistake(
        "each choice costs its number",
        lambda: "(V + (c - 1) * r) / c",
        "What does a guess among k equal alternatives cost in nats?",
    ),
)


# ngram_induction_layer


def layer(counts: Counts, finish: Callable[[Tensor], Tensor]):
    """A pattern from the keys that count."""
    return lambda tokens, n: finish(marks(tokens, counts, n).float())


def _evenly(mask: Tensor) -> Tensor:
    return mask / mask.sum(dim=-1, keepdim=True).clamp_min(1)


def _over_all_keys(mask: Tensor) -> Tensor:
    """Rows without a match look at everything that they can see."""
    visible = torch.ones_like(mask).tril()
    return _evenly(torch.where(mask.any(dim=-1, keepdim=True), mask, visible))


def _at_latest(mask: Tensor) -> Tensor:
    place = torch.arange(1, mask.shape[-1] + 1) * mask
    return mask * (place == place.amax(dim=-1, keepdim=True))


LAYER_MISTAKES = (
    Mistake(
        "one token too many is matched",
        layer(at(lambda r, q, k, n: _same(r, q, k, n + 1)), _evenly),
        "For n = 1 your code already compares two tokens. Is the query's own token among your n?",
    ),
    Mistake(
        "several matches are not shared",
        layer(at(_same), lambda mask: mask),
        "Sum a row with two matches. What should the weights of a pattern sum to?",
    ),
    Mistake(
        "rows without a match look everywhere",
        layer(at(_same), _over_all_keys),
        "What does the docstring ask for where the last n tokens are new?",
    ),
    Mistake(
        "rows without a match divide zero by zero",
        layer(at(_same), lambda mask: mask / mask.sum(dim=-1, keepdim=True)),
        "Look for NaN. What is the sum of a row without a match?",
    ),
    Mistake(
        "all attention to the latest match",
        layer(at(_same), _at_latest),
        "A distant match is as good as a near one. How is the attention divided?",
    ),
    Mistake(
        "attention to the end of the copy, not to the token after it",
        layer(at(_same, 0), _evenly),
        "The head should see what came next that time. Is that your key?",
    ),
    Mistake(
        "only the last token is matched",
        layer(at(lambda r, q, k, n: r[q] == r[k]), _evenly),
        "That is right for n = 1. What else must be equal for n = 2?",
    ),
)


# match_and_copy_score


def shifted(counts: Counts, **how):
    """`score` of a function with two numbers behind the tokens."""
    plain = score(counts, **how)
    return lambda pattern, tokens, back, ahead: plain(pattern, tokens, (back, ahead))


def _stands(row, query, key, places):
    """The token `ahead` before the key is an earlier copy of the one `back` before the query."""
    back, ahead = places
    copy, asked = key - ahead, query - back
    return asked >= 0 and 0 <= copy < asked and row[copy] == row[asked]


def _itself_too(row, query, key, places):
    back, ahead = places
    copy, asked = key - ahead, query - back
    return asked >= 0 and 0 <= copy <= asked and row[copy] == row[asked]


SHIFTED_MISTAKES = (
    Mistake(
        "the query's own token is matched, whatever `back` is",
        shifted(lambda r, q, k, p: _stands(r, q, k, (0, p[1]))),
        "Which token does the query match when `back` is 2? Count to the left.",
    ),
    Mistake(
        "the key right after the copy, whatever `ahead` is",
        shifted(lambda r, q, k, p: _stands(r, q, k, (p[0], 1))),
        "That is right only for `ahead` = 1. How far from the copy is the key?",
    ),
    Mistake(
        "back and ahead are swapped",
        shifted(lambda r, q, k, p: _stands(r, q, k, p[::-1])),
        "`back` leads from the query to the token to match, `ahead` from the copy to the key. "
        "Which is which in your code?",
    ),
    Mistake(
        "a token counts as its own copy",
        shifted(_itself_too),
        "A copy comes before the token it is a copy of. Does your mask include the token at i − "
        "back itself?",
    ),
    Mistake(
        "attention to the copy, not ahead of it",
        shifted(lambda r, q, k, p: _stands(r, q, k, (p[0], 0))),
        "You found the copy. Where does the head look from there?",
    ),
    Mistake(
        "the mean runs over all queries",
        shifted(_stands, over_all=True),
        "Some queries have no such key. What could any head do there?",
    ),
    Mistake(
        "only the latest copy counts",
        shifted(_stands, latest=True),
        "The token may have occurred several times before. Which copies count?",
    ),
)


# translated_induction_score


def _means(row, query, key, dictionary):
    return row[key] < len(dictionary) and int(dictionary[row[key]]) == row[query]


TRANSLATED_MISTAKES = (
    Mistake(
        "attention to the word itself",
        score(at(_means, 0)),
        "Which word must the head see to write the translation that comes next?",
    ),
    Mistake(
        "the dictionary is read backwards",
        score(at(lambda r, q, k, d: r[q] < len(d) and int(d[r[q]]) == r[k])),
        "In your version the query is a word and the earlier key its translation. Which direction "
        "does the docstring describe?",
    ),
    Mistake(
        "equal tokens match",
        score(at(lambda r, q, k, d: r[q] == r[k])),
        "That is the score of chapter 4. Where do you use the dictionary?",
    ),
    Mistake(
        "the mean runs over all queries",
        score(at(_means), over_all=True),
        "The queries of the first language have nothing to translate. Do they belong in the mean?",
    ),
    Mistake(
        "only the latest word counts",
        score(at(_means), latest=True),
        "A word may have occurred several times before. Which copies count?",
    ),
    Mistake(
        "attention to the token before the word",
        score(at(_means, -1)),
        "Draw the row x y g(x): in which direction should you move from x?",
    ),
)
