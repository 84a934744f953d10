"""Checks of chapter 10: other ways to match and to copy."""

import math
from collections import Counter

import torch
from torch import Tensor

from induction_heads.course.ch10_beyond_copying import (
    convolution_mistakes,
    distance_mistakes,
    inputs,
    longest_mistakes,
    mistakes,
    posterior_mistakes,
    relation_mistakes,
    stretch_mistakes,
)
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula

# Inputs of the scores


def _by_queries(pattern: Tensor, keys_of_rows: list[list[list[int]]]) -> Tensor:
    """The mean, over the queries with any key, of the attention to their keys; row by row."""
    found = []
    for weights, keys in zip(pattern, keys_of_rows, strict=True):
        sums = [weights[..., query, each].sum(dim=-1) for query, each in enumerate(keys) if each]
        found.append(torch.stack(sums).mean(dim=0))
    return torch.stack(found)


# fuzzy_induction_score


def _fuzzy_by_loops(pattern: Tensor, tokens: Tensor, similar: Tensor) -> Tensor:
    relation = {(a, b) for a, b in similar.nonzero().tolist() if a != b}
    keys = [
        [
            [at + 1 for at in range(query) if (row[query], row[at]) in relation]
            for query in range(len(row))
        ]
        for row in tokens.tolist()
    ]
    return _by_queries(pattern, keys)


FUZZY_INDUCTION_SCORE = Exercise(
    name="fuzzy_induction_score",
    difficulty=2,
    minutes=15,
    why="A head may match what tokens mean, and the plain score misses it.",
    cases=inputs.fuzzy_cases,
    oracle=_fuzzy_by_loops,
    mistakes=mistakes.FUZZY_MISTAKES,
)


# attention_by_distance


def _distance_by_loops(pattern: Tensor, tokens: Tensor, distance: Tensor) -> Tensor:
    """Every pair is put on the list of its distance, then each list is averaged."""
    lists: list[list[Tensor]] = [[] for _ in range(int(distance.max()) + 1)]
    for weights, row in zip(pattern, tokens.tolist(), strict=True):
        for query, own in enumerate(row):
            for at, other in enumerate(row[:query]):
                lists[int(distance[own, other])].append(weights[..., query, at + 1])
    missing = torch.full(pattern.shape[1:-2], torch.nan)
    means = [torch.stack(each).mean(dim=0) if each else missing for each in lists]
    return torch.stack(means, dim=-1)


ATTENTION_BY_DISTANCE = Exercise(
    name="attention_by_distance",
    difficulty=2,
    minutes=15,
    why="Whether a head matches by degrees shows only in a curve.",
    cases=inputs.distance_cases,
    oracle=_distance_by_loops,
    mistakes=distance_mistakes.DISTANCE_MISTAKES,
)


# ngram_prefix_score


def _ngram_places(row: list[int], n: int) -> list[list[int]]:
    """For each query the keys after earlier copies of the words of n letters that end there."""
    text = "".join(chr(97 + token) for token in row)
    keys: list[list[int]] = []
    for end in range(1, len(text) + 1):
        word, found = text[max(0, end - n) : end], []
        place = text.find(word)
        while len(word) == n and 0 <= place < end - n:
            found.append(place + n)
            place = text.find(word, place + 1)
        keys.append(found)
    return keys


def _prefix_by_search(pattern: Tensor, tokens: Tensor, n: int) -> Tensor:
    return _by_queries(pattern, [_ngram_places(row, n) for row in tokens.tolist()])


NGRAM_PREFIX_SCORE = Exercise(
    name="ngram_prefix_score",
    difficulty=2,
    minutes=12,
    why="Where tokens occur in several places, one token does not say which is meant.",
    cases=inputs.prefix_cases,
    oracle=_prefix_by_search,
    mistakes=mistakes.PREFIX_MISTAKES,
)


# ngram_induction_layer


def _layer_by_search(tokens: Tensor, n: int) -> Tensor:
    found = torch.zeros(*tokens.shape, tokens.shape[1])
    for number, row in enumerate(tokens.tolist()):
        for query, keys in enumerate(_ngram_places(row, n)):
            for key in keys:
                found[number, query, key] = 1 / len(keys)
    return found


NGRAM_INDUCTION_LAYER = Exercise(
    name="ngram_induction_layer",
    difficulty=2,
    minutes=12,
    why="What a head would have to learn can be put into a model by hand.",
    cases=inputs.layer_cases,
    oracle=_layer_by_search,
    mistakes=mistakes.LAYER_MISTAKES,
)


# longest_match_prediction


def _longest_by_words(tokens: Tensor, d_vocab: int) -> Tensor:
    """Try ever shorter words that end at the position until one is found earlier."""
    found = torch.zeros(*tokens.shape, d_vocab)
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row)):
            for length in range(query, 0, -1):
                if keys := _ngram_places(row[: query + 1], length)[query]:
                    for key in keys:
                        found[number, query, row[key]] += 1 / len(keys)
                    break
    return found


LONGEST_MATCH_PREDICTION = Exercise(
    name="longest_match_prediction",
    difficulty=3,
    minutes=25,
    why="What a model adds to looking back shows only beside a model that can do nothing else.",
    cases=inputs.longest_cases,
    oracle=_longest_by_words,
    mistakes=longest_mistakes.LONGEST_MISTAKES,
)


# plateau_loss_formula


def _plateau_token_by_token(V: float, r: float, c: float) -> float:
    """A row written out: each token costs the logarithm of how many ids are possible there."""
    choices = Counter({int(V): int(V * r), int(r): int(V * r) * (int(c) - 1)})
    return sum(math.log(each) for each in choices.elements()) / choices.total()


PLATEAU_LOSS_FORMULA = Exercise(
    name="plateau_loss_formula",
    difficulty=2,
    minutes=8,
    why="A plateau is explained when its height is predicted.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _plateau_token_by_token,
    compare=formula(V=(4, 30), r=(2, 4), c=(2, 9)),
    mistakes=mistakes.PLATEAU_MISTAKES,
)


# ngram_code


def _code_by_loops(tokens: Tensor, d_vocab: int, n: int, ratio: float = 1 / 3) -> Tensor:
    """Walk back from each position and pay in, then divide by what was paid."""
    found = torch.zeros(*tokens.shape, d_vocab + 1)
    for number, row in enumerate(tokens.tolist()):
        for place in range(len(row)):
            weight, paid = 1.0, 0.0
            for at in range(place, place - n, -1):
                found[number, place, row[at] if at >= 0 else d_vocab] += weight
                paid, weight = paid + weight, weight * ratio
            found[number, place] /= paid
    return found


NGRAM_CODE = Exercise(
    name="ngram_code",
    difficulty=2,
    minutes=15,
    why="One head can hand on several tokens at once, in order.",
    cases=inputs.code_cases,
    oracle=_code_by_loops,
    mistakes=mistakes.CODE_MISTAKES,
)


# lag_posterior


def _bayes_step_by_step(tokens: Tensor, table: Tensor, lags: tuple[int, ...] = (1, 2)) -> Tensor:
    """After each token the beliefs are multiplied by its chance and made to sum to 1 again."""
    found = []
    for row in tokens.tolist():
        belief, seen = [1 / len(lags)] * len(lags), []
        for position, token in enumerate(row):
            if position >= max(lags):
                chances = [table[row[position - lag], token].item() for lag in lags]
                belief = [b * chance for b, chance in zip(belief, chances, strict=True)]
                belief = [b / math.fsum(belief) for b in belief]
            seen.append(list(belief))
        found.append(seen)
    return torch.tensor(found)


LAG_POSTERIOR = Exercise(
    name="lag_posterior",
    difficulty=3,
    minutes=20,
    why="A model that chooses between rules can do no better than this.",
    cases=inputs.lag_cases,
    oracle=_bayes_step_by_step,
    mistakes=posterior_mistakes.LAG_MISTAKES,
)


# match_and_copy_score


def _shifted_by_copies(pattern: Tensor, tokens: Tensor, back: int, ahead: int) -> Tensor:
    """Each query lists where its token appeared before, and steps ahead from there."""
    keys = []
    for row in tokens.tolist():
        keys.append([])
        for query in range(len(row)):
            asked = row[query - back] if query >= back else None
            copies = [
                place for place, token in enumerate(row[: max(query - back, 0)]) if token == asked
            ]
            keys[-1].append([place + ahead for place in copies if place + ahead <= query])
    return _by_queries(pattern, keys)


MATCH_AND_COPY_SCORE = Exercise(
    name="match_and_copy_score",
    difficulty=2,
    minutes=12,
    why="Matching and looking are two steps, and a head may shift either.",
    cases=inputs.shifted_cases,
    oracle=_shifted_by_copies,
    mistakes=mistakes.SHIFTED_MISTAKES,
)


# translated_induction_score


def _translated_by_loops(pattern: Tensor, tokens: Tensor, dictionary: Tensor) -> Tensor:
    word_of = {translation: word for word, translation in enumerate(dictionary.tolist())}
    keys = []
    for row in tokens.tolist():
        keys.append([])
        for query, token in enumerate(row):
            meant = word_of.get(token)
            keys[-1].append([at + 1 for at, other in enumerate(row[:query]) if other == meant])
    return _by_queries(pattern, keys)


TRANSLATED_INDUCTION_SCORE = Exercise(
    name="translated_induction_score",
    difficulty=2,
    minutes=12,
    why='"Translate like this" can be induction, through a learned mapping.',
    cases=inputs.translation_cases,
    oracle=_translated_by_loops,
    mistakes=mistakes.TRANSLATED_MISTAKES,
)


# relation_index


def _index_by_loops(
    pattern: Tensor, raised: Tensor, tokens: Tensor, subjects: Tensor, tail_of: Tensor
) -> Tensor:
    """Every fact of every row, one head and one id at a time."""
    means = []
    for head, written in enumerate(raised.tolist()):
        terms = []
        for row, places in enumerate(subjects.tolist()):
            for query, place in enumerate(places):
                if place < 0:
                    continue
                subject = int(tokens[row, place])
                middle = math.fsum(written[subject]) / len(written[subject])
                above = [max(0.0, value - middle) for value in written[subject]]
                total = math.fsum(above)
                share = above[int(tail_of[subject])] / total if total else 0.0
                terms.append(float(pattern[row, head, query, place]) * share)
        means.append(math.fsum(terms) / len(terms))
    return torch.tensor(means)


RELATION_INDEX = Exercise(
    name="relation_index",
    difficulty=3,
    minutes=20,
    why="A score of attention alone cannot tell a head that copies a token from one that writes "
    "what is related to it.",
    cases=inputs.relation_cases,
    oracle=_index_by_loops,
    mistakes=relation_mistakes.RELATION_MISTAKES,
)


# k_hop_target


def _hops_by_text(tokens: Tensor, k: int) -> Tensor:
    """Each row as text: cut it off at the place, and search its last letter from the right."""
    found = []
    for row in tokens.tolist():
        text, reached = "".join(chr(97 + token) for token in row), []
        for place in range(len(text)):
            for _ in range(k):
                place = text[:place].rfind(text[place]) + 1 if place >= 0 else -1
                place = place or -1
            reached.append(row[place] if place >= 0 else -1)
        found.append(reached)
    return torch.tensor(found)


K_HOP_TARGET = Exercise(
    name="k_hop_target",
    difficulty=2,
    minutes=15,
    why="One induction head does one look-up, and a chain of them asks for more.",
    cases=inputs.hop_cases,
    oracle=_hops_by_text,
    mistakes=relation_mistakes.HOP_MISTAKES,
)


# most_hops_formula


def _most_by_layers(L: float) -> float:
    """All numbers of look-ups that a position can know behind each layer, one layer at a time."""
    known = {0}
    for _ in range(int(L) - 1):
        known = {there + beyond for there in known for beyond in (there, there + 1)}
    return max(known)


MOST_HOPS_FORMULA = Exercise(
    name="most_hops_formula",
    difficulty=2,
    minutes=10,
    why="It says what one layer more buys.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _most_by_layers,
    compare=formula(L=(2, 9)),
    mistakes=relation_mistakes.MOST_HOPS_MISTAKES,
)


# share_equal_so_far


def _stretch_cases(seed: int) -> list[Case]:
    generator, cases = torch.Generator().manual_seed(seed), []
    for n_places, n_ahead in ((40, 5), (7, 3), (25, 8), (1, 4), (30, 1)):
        theirs = torch.randint(20, (n_places, n_ahead), generator=generator)
        other = torch.rand(n_places, n_ahead, generator=generator) < 0.25
        ours = torch.where(other, theirs + 20, theirs)
        cases.append(Case(f"{n_places} places, {n_ahead} tokens ahead", (ours, theirs)))
    return cases


def _share_place_by_place(ours: Tensor, theirs: Tensor) -> Tensor:
    n_places, n_ahead = ours.shape
    counts = [0] * n_ahead
    for mine, right in zip(ours.tolist(), theirs.tolist(), strict=True):
        for ahead in range(n_ahead):
            if mine[ahead] != right[ahead]:
                break
            counts[ahead] += 1
    return torch.tensor([count / n_places for count in counts])


SHARE_EQUAL_SO_FAR = Exercise(
    name="share_equal_so_far",
    difficulty=2,
    minutes=8,
    why="A continuation that has left the copy once no longer follows it.",
    cases=_stretch_cases,
    oracle=_share_place_by_place,
    mistakes=stretch_mistakes.STRETCH_MISTAKES,
)


# short_convolution


def _convolution_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    sizes = ((2, 6, 3, 3), (1, 5, 4, 1), (3, 4, 2, 2), (2, 2, 3, 4), (2, 3, 2, 6))
    for n_rows, n_pos, d_model, width in sizes:
        x = torch.randn(n_rows, n_pos, d_model, generator=generator)
        kernel = torch.randn(width, d_model, generator=generator)
        cases.append(Case(f"{n_pos} positions, a kernel of {width}", (x, kernel)))
    return cases


def _convolution_by_loops(x: Tensor, kernel: Tensor) -> Tensor:
    rows = []
    for row in x.tolist():
        found = []
        for pos in range(len(row)):
            sums = [0.0] * len(row[0])
            for back in range(min(len(kernel), pos + 1)):
                for axis, weight in enumerate(kernel[back].tolist()):
                    sums[axis] += weight * row[pos - back][axis]
            found.append(sums)
        rows.append(found)
    return torch.tensor(rows)


SHORT_CONVOLUTION = Exercise(
    name="short_convolution",
    difficulty=2,
    minutes=8,
    why="Layers that are meant to replace attention let a token know its neighbors in this way.",
    cases=_convolution_cases,
    oracle=_convolution_by_loops,
    mistakes=convolution_mistakes.CONVOLUTION_MISTAKES,
)


EXERCISES = (
    FUZZY_INDUCTION_SCORE,
    ATTENTION_BY_DISTANCE,
    NGRAM_PREFIX_SCORE,
    LONGEST_MATCH_PREDICTION,
    PLATEAU_LOSS_FORMULA,
    NGRAM_INDUCTION_LAYER,
    NGRAM_CODE,
    MATCH_AND_COPY_SCORE,
    TRANSLATED_INDUCTION_SCORE,
    RELATION_INDEX,
    K_HOP_TARGET,
    MOST_HOPS_FORMULA,
    SHARE_EQUAL_SO_FAR,
    SHORT_CONVOLUTION,
    LAG_POSTERIOR,
)
