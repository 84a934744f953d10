"""Checks of chapter 10: other ways to match and to copy, and what heads do besides copying."""

import math
from collections import Counter

import torch
from torch import Tensor

from induction_heads.course.ch10_beyond_copying import (
    inputs,
    mistakes,
    posterior_mistakes,
    suppression_mistakes,
    vector_mistakes,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula
from induction_heads.course.plain_forward import forward
from induction_heads.models.interface import HookedModel

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


# copy_suppression_score


def _suppression_by_counting(before: Tensor, effect: Tensor, tokens: Tensor) -> float:
    """Each id is searched for among the positions up to this one."""
    total, count = 0.0, 0
    for row in range(tokens.shape[0]):
        for position in range(tokens.shape[1]):
            ids = range(before.shape[-1])
            best = max(ids, key=lambda t: before[row, position, t].item())
            here = [t for t in ids if any(tokens[row, p] == t for p in range(position + 1))]
            rest = [effect[row, position, t].item() for t in here if t != best]
            if best in here and rest:
                total += effect[row, position, best].item() - sum(rest) / len(rest)
                count += 1
    return total / count


COPY_SUPPRESSION_SCORE = Exercise(
    name="copy_suppression_score",
    difficulty=2,
    minutes=15,
    why="A head can be important because it lowers a prediction.",
    cases=inputs.suppression_cases,
    oracle=_suppression_by_counting,
    mistakes=suppression_mistakes.SUPPRESSION_MISTAKES,
)


# compensation


def _compensation_by_loops(direct: Tensor, clean: Tensor, ablated: Tensor, tokens: Tensor):
    """What the logit would have been if only the head were gone, and what it is."""
    batch, n_pos = tokens.shape
    found = torch.zeros(batch, n_pos - 1)
    for row in range(batch):
        for position in range(n_pos - 1):
            at = (row, position, int(tokens[row, position + 1]))
            expected = clean[at] - direct[at]
            found[row, position] = ablated[at] - expected
    return found


COMPENSATION = Exercise(
    name="compensation",
    difficulty=2,
    minutes=8,
    why="An ablation that costs little may mean that other heads compensated.",
    cases=inputs.compensation_cases,
    oracle=_compensation_by_loops,
    mistakes=suppression_mistakes.COMPENSATION_MISTAKES,
)


# repair_by_norm_formula


def _share_that_returns(a: float, r: float) -> float:
    """The vectors themselves, in a plane: the first axis is the right token's."""
    head, rest = torch.tensor([a, 0.0]).double(), torch.tensor([0.0, r]).double()
    both, one = head + head + rest, head + rest
    direct = (head / both.norm())[0]
    fall = (both / both.norm() - one / one.norm())[0]
    return ((direct - fall) / direct).item()


REPAIR_BY_NORM_FORMULA = Exercise(
    name="repair_by_norm_formula",
    difficulty=2,
    minutes=10,
    why="Self-repair does not need another head to react.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _share_that_returns,
    compare=formula(a=(0.2, 4.0), r=(0.2, 4.0)),
    mistakes=suppression_mistakes.REPAIR_MISTAKES,
)


# indirect_effects


def _effects_from_weights(model: HookedModel, prompts: Tensor, corrupted: Tensor, answers: Tensor):
    """What a head writes is replaced in the sum of the residual stream, head by head."""
    wrote = forward(model, prompts)[2]
    base, _, own = forward(model, corrupted)
    found = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer, head in wrote:
        put_in = own[layer, head].clone()
        put_in[:, -1] = wrote[layer, head][:, -1].mean(dim=0)
        changed = forward(model, corrupted, written={(layer, head): put_in})[0]
        rises = [
            _chance(changed, row, token) - _chance(base, row, token)
            for row, token in enumerate(answers.tolist())
        ]
        found[layer, head] = sum(rises) / len(rises)
    return found


def _chance(logits: Tensor, row: int, token: int) -> float:
    return logits[row, -1].softmax(dim=-1)[token].item()


INDIRECT_EFFECTS = Exercise(
    name="indirect_effects",
    difficulty=3,
    minutes=25,
    why="Heads that carry a task are found by what they cause.",
    cases=inputs.effect_cases,
    oracle=_effects_from_weights,
    compare=closeness(2e-5, 1e-3),
    seconds=60,
    mistakes=vector_mistakes.EFFECT_MISTAKES,
)


# function_vector


def _sum_one_by_one(mean_outputs: Tensor, effects: Tensor, n_heads: int) -> Tensor:
    """The best head that is left is added, `n_heads` times."""
    left = {
        (layer, head): effects[layer, head].item()
        for layer in range(effects.shape[0])
        for head in range(effects.shape[1])
    }
    total = torch.zeros(mean_outputs.shape[-1])
    for _ in range(n_heads):
        best = max(left, key=lambda place: left[place])
        total += mean_outputs[best]
        del left[best]
    return total


FUNCTION_VECTOR = Exercise(
    name="function_vector",
    difficulty=1,
    minutes=6,
    why="A few heads together may hold what a prompt asks for.",
    cases=inputs.function_cases,
    oracle=_sum_one_by_one,
    mistakes=vector_mistakes.FUNCTION_MISTAKES,
)


# task_vector


def _difference_by_loops(with_examples: Tensor, bare: Tensor) -> Tensor:
    found = torch.zeros(bare.shape[-1])
    for axis in range(bare.shape[-1]):
        many = [row[len(row) - 1, axis].item() for row in with_examples]
        few = [row[len(row) - 1, axis].item() for row in bare]
        found[axis] = sum(many) / len(many) - sum(few) / len(few)
    return found


TASK_VECTOR = Exercise(
    name="task_vector",
    difficulty=1,
    minutes=5,
    why="What a prompt leaves behind can be moved to another prompt.",
    cases=inputs.task_cases,
    oracle=_difference_by_loops,
    mistakes=vector_mistakes.TASK_MISTAKES,
)


EXERCISES = (
    FUZZY_INDUCTION_SCORE,
    NGRAM_PREFIX_SCORE,
    PLATEAU_LOSS_FORMULA,
    NGRAM_INDUCTION_LAYER,
    LAG_POSTERIOR,
    MATCH_AND_COPY_SCORE,
    TRANSLATED_INDUCTION_SCORE,
    COPY_SUPPRESSION_SCORE,
    COMPENSATION,
    REPAIR_BY_NORM_FORMULA,
    INDIRECT_EFFECTS,
    FUNCTION_VECTOR,
    TASK_VECTOR,
)
