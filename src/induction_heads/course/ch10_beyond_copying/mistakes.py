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


def score(
    counts: Counts,
    *,
    over_all: bool = False,
    latest: bool = False,
    mean_of_keys: bool = False,
    divide: bool = True,
    over_pairs: bool = False,
    of_keys: bool = False,
):
    """The attention to the keys that count, as a mean over the queries that have one."""

    def answer(pattern, tokens, extra):
        mask = marks(tokens, counts, extra)
        asked = mask.any(dim=-1)
        if latest:
            place = torch.arange(1, mask.shape[-1] + 1) * mask
            mask = mask & (place == place.amax(dim=-1, keepdim=True))
        number = asked.sum(dim=-1) if not over_all else torch.tensor(tokens.shape[1])
        if not divide:
            number = torch.ones_like(number)
        if over_pairs:
            number = mask.sum(dim=(-2, -1))
        if mean_of_keys:
            mask = _evenly(mask.float())
        if of_keys:
            pattern = pattern.mT
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


def wrong_means(score_by: Callable[..., Callable], with_pairs: bool = True) -> tuple[Mistake, ...]:
    """What goes wrong in every score of this kind; `score_by` takes the options of `score`."""
    pairs = Mistake(
        "the mean over the pairs of a query and a key, not over the queries",
        score_by(over_pairs=True),
        "A head that spreads all of its attention over two such keys scores 1/2 in your version. "
        "What should the sum be divided by?",
    )
    return (
        Mistake(
            "the sum over the queries, not their mean",
            score_by(divide=False),
            "Your score grows with the length of the rows. How many queries are in the sum?",
        ),
        *([pairs] if with_pairs else []),
        Mistake(
            "queries and keys are swapped",
            score_by(of_keys=True),
            "What you read lies above the diagonal. Which axis of the pattern is the query?",
        ),
    )


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
    Mistake(
        "a mean over the keys, not their sum",
        score(at(_like), mean_of_keys=True),
        "A head that spreads all of its attention over two such keys should score 1. Does it?",
    ),
    Mistake(
        "the token right before the query is left out",
        score(lambda r, q, k, s: k < q and at(_like)(r, q, k, s)),
        "If the token before the query is similar, which key comes right after it?",
    ),
    *wrong_means(lambda **how: score(at(_like), **how)),
)


# ngram_prefix_score


def _same(row, query, key, n):
    """The n tokens up to the key are the n tokens up to the query."""
    return key >= n - 1 and row[key - n + 1 : key + 1] == row[query - n + 1 : query + 1]


def _set_of(row, query, key, n):
    return key >= n - 1 and (
        sorted(row[key - n + 1 : key + 1]) == sorted(row[query - n + 1 : query + 1])
    )


def _both_ends(row, query, key, n):
    first, own = key - n + 1, query - n + 1
    return first >= 0 and row[key] == row[query] and row[first] == row[own]


def _apart(row, query, key, n):
    return key <= query - n and _same(row, query, key, n)


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
        "one token too few is matched",
        score(at(lambda r, q, k, n: _same(r, q, k, n - 1))),
        "For n = 1 every earlier key counts in your code. Is the query's own token among your n?",
    ),
    Mistake(
        "one token too few is matched, but never fewer than one",
        score(at(lambda r, q, k, n: _same(r, q, k, max(1, n - 1)))),
        "For n = 2 and n = 1 your code compares the same number of tokens. How many are the "
        "query's and the n − 1 before it?",
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
    Mistake(
        "only the first and the last of the n tokens are compared",
        score(at(_both_ends)),
        "For n = 3, does a copy with another token in the middle count in your code?",
    ),
    Mistake(
        "a copy may not overlap the last n tokens",
        score(at(_apart)),
        "In the row 0 0 0, the last two tokens are a copy of the first two. Does your code count "
        "it?",
    ),
    *wrong_means(lambda **how: score(at(_same), **how)),
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
    Mistake(
        "the sum over the copies, not their mean",
        lambda: "log(V) + (c - 1) * log(r)",
        "Your loss grows with the number of copies. How many is the mean taken over?",
    ),
    Mistake(
        "the sign is reversed",
        lambda: "-log(V) / c - log(r) * (1 - 1/c)",
        "Can a loss be below 0? A token has probability 1/V, not V.",
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


def _or_shorter(row: Row, query: int, key: int, n: int) -> bool:
    """Whether the key comes after the longest match of at most n tokens."""
    lengths = [m for m in range(1, n + 1) if any(at(_same)(row, query, k, m) for k in range(query))]
    return bool(lengths) and at(_same)(row, query, key, max(lengths))


def _to_the_start(mask: Tensor) -> Tensor:
    """Rows without a match look at the first position."""
    first = torch.zeros_like(mask)
    first[..., 0] = 1
    return _evenly(torch.where(mask.any(dim=-1, keepdim=True), mask, first))


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
    Mistake(
        "rows without a match look at the first position",
        layer(at(_same), _to_the_start),
        "Trained heads often rest on the first position. What does the docstring ask for where the "
        "last n tokens are new?",
    ),
    Mistake(
        "a shorter match counts where there is no longer one",
        layer(_or_shorter, _evenly),
        "For n = 2, where does a query look whose last token is old and whose last two are new?",
    ),
    Mistake(
        "only the first and the last of the n tokens are compared",
        layer(at(_both_ends), _evenly),
        "For n = 3, does a copy with another token in the middle count in your code?",
    ),
    Mistake(
        "a copy may not overlap the last n tokens",
        layer(at(_apart), _evenly),
        "In the row 0 0 0, the last two tokens are a copy of the first two. Does your code count "
        "it?",
    ),
)


# ngram_code


def code(
    *,
    first: int = 0,
    more: int = 0,
    turned: bool = False,
    even: bool = False,
    raw: bool = False,
    bos: bool = True,
    once: bool = False,
    fixed: bool = False,
):
    """A version of `ngram_code` with one thing changed."""

    def answer(tokens, d_vocab, n, ratio=1 / 3):
        n, ratio = n + more, 1 / 3 if fixed else ratio
        sums = sum(ratio**back for back in range(n))
        found = torch.zeros(*tokens.shape, d_vocab + 1)
        for place in range(tokens.shape[1]):
            for back in range(n):
                weight = 1.0 if even else ratio ** (n - 1 - back if turned else back)
                at = place - first - back
                if at >= 0 or bos:
                    ids = tokens[:, at] if at >= 0 else torch.full((len(tokens),), d_vocab)
                    if once:
                        found[torch.arange(len(tokens)), place, ids] = weight / sums
                    else:
                        found[torch.arange(len(tokens)), place, ids] += weight
        return found if raw or once else found / found.sum(dim=-1, keepdim=True)

    return answer


CODE_MISTAKES = (
    Mistake(
        "the oldest token has the largest weight",
        code(turned=True),
        "Print your code for the row 0 1 with n = 2. Which of the two came last?",
    ),
    Mistake(
        "all tokens have the same weight",
        code(even=True),
        "Do A B and B A get different codes in your version?",
    ),
    Mistake(
        "the weights do not sum to 1",
        code(raw=True),
        "Weights of attention come from a softmax. What do they sum to?",
    ),
    Mistake(
        "the token itself is left out",
        code(first=1),
        "Which token has the largest weight at position i, that at i or that at i − 1?",
    ),
    Mistake(
        "one token too many",
        code(more=1),
        "For n = 1 your code holds two tokens. How far back does the last one lie?",
    ),
    Mistake(
        "no BOS before the row",
        code(bos=False),
        "At position 0 there is one token of the row. What fills the other n − 1 places?",
    ),
    Mistake(
        "a token that occurs twice has the weight of one",
        code(once=True),
        "In the row 2 2, what should entry 2 of the last code be? Look at what an assignment to "
        "the same index does a second time.",
    ),
    Mistake(
        "the ratio is 1/3, whatever `ratio` is",
        code(fixed=True),
        "Where do you use `ratio`?",
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
    Mistake(
        "the query's own position is left out",
        shifted(lambda r, q, k, p: k < q and _stands(r, q, k, p)),
        "A head can attend to its own position. Does the docstring leave that key out?",
    ),
    *wrong_means(lambda **how: shifted(_stands, **how)),
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
    Mistake(
        "both directions of the dictionary count",
        score(at(lambda r, q, k, d: _means(r, q, k, d) or _means(r, k, q, d))),
        "Must the query be the word or its translation? Does your code ask?",
    ),
    Mistake(
        "ids without a translation take that of the last word",
        score(at(lambda r, q, k, d: int(d[min(r[k], len(d) - 1)]) == r[q])),
        "`clamp` keeps the index inside the dictionary. Which translation does an id beyond its "
        "end get then?",
    ),
    *wrong_means(lambda **how: score(at(_means), **how)),
)
