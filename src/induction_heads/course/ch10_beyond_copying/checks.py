"""Checks of chapter 10: other ways to match and to copy, and what heads do beside copying."""

import math
from collections import Counter
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks import suppression_inputs as inputs
from induction_heads.checks.answers import ch10_beyond_copying as known
from induction_heads.checks.answers import ch10_vectors_and_suppression as vectors
from induction_heads.checks.answers.ch07_ablation import forward
from induction_heads.checks.compare import closeness
from induction_heads.checks.exercise import Case, Exercise
from induction_heads.checks.formulas import formula

# Inputs of the scores


def _patterns(generator: torch.Generator, *shape: int) -> Tensor:
    scores = 2 * torch.randn(*shape, shape[-1], generator=generator)
    future = torch.ones(shape[-1], shape[-1], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1)


def _twice(generator: torch.Generator, n_ids: int, length: int, batch: int, more: int) -> Tensor:
    """A random block, the same again, and a few random tokens."""
    block = torch.randint(n_ids, (batch, length), generator=generator)
    rest = torch.randint(n_ids, (batch, more), generator=generator)
    return torch.cat([block, block, rest], dim=1)


def _by_queries(pattern: Tensor, keys_of_rows: list[list[list[int]]]) -> Tensor:
    """The mean, over the queries with any key, of the attention to their keys; row by row."""
    found = []
    for weights, keys in zip(pattern, keys_of_rows, strict=True):
        sums = [weights[..., query, each].sum(dim=-1) for query, each in enumerate(keys) if each]
        found.append(torch.stack(sums).mean(dim=0))
    return torch.stack(found)


# fuzzy_induction_score


def _fuzzy_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    forms = torch.arange(12) % 4
    same = forms[:, None] == forms[None, :]
    loose = torch.rand(6, 6, generator=generator) < 0.5
    cycle = torch.eye(5).roll(1, dims=1).bool()
    return [
        Case("four concepts of three words, three heads",
             (_patterns(generator, 2, 3, 14), _twice(generator, 12, 5, 2, 4), same)),
        Case("a relation that is not symmetric, no head axis",
             (_patterns(generator, 3, 15), _twice(generator, 6, 6, 3, 3), loose)),
        Case("each id is like the next one",
             (_patterns(generator, 2, 2, 14), torch.arange(14).repeat(2, 1) % 5, cycle)),
    ]  # fmt: skip


def _fuzzy_by_loops(pattern: Tensor, tokens: Tensor, similar: Tensor) -> Tensor:
    relation = {(a, b) for a, b in similar.nonzero().tolist() if a != b}
    keys = [[[at + 1 for at in range(query) if (row[query], row[at]) in relation]
             for query in range(len(row))] for row in tokens.tolist()]  # fmt: skip
    return _by_queries(pattern, keys)


# ngram_prefix_score and ngram_induction_layer


def _prefix_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Case("pairs over three ids, two heads",
             (_patterns(generator, 2, 2, 18), _twice(generator, 3, 7, 2, 4), 2)),
        Case("triples over two ids, no head axis",
             (_patterns(generator, 3, 20), _twice(generator, 2, 8, 3, 4), 3)),
        Case("single tokens", (_patterns(generator, 2, 1, 13), _twice(generator, 4, 5, 2, 3), 1)),
    ]  # fmt: skip


def _layer_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed + 1)
    return [
        Case("pairs over three ids", (_twice(generator, 3, 7, 3, 3), 2)),
        Case("triples over two ids", (_twice(generator, 2, 8, 3, 4), 3)),
        Case("single tokens", (_twice(generator, 4, 5, 2, 3), 1)),
        Case("rows without any repeat", (torch.randperm(9, generator=generator)[None], 1)),
    ]


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


def _layer_by_search(tokens: Tensor, n: int) -> Tensor:
    found = torch.zeros(*tokens.shape, tokens.shape[1])
    for number, row in enumerate(tokens.tolist()):
        for query, keys in enumerate(_ngram_places(row, n)):
            for key in keys:
                found[number, query, key] = 1 / len(keys)
    return found


# plateau_loss_formula


def _plateau_token_by_token(V: float, r: float, c: float) -> float:
    """A row written out: each token costs the logarithm of how many ids could stand there."""
    choices = Counter({int(V): int(V * r), int(r): int(V * r) * (int(c) - 1)})
    return sum(math.log(each) for each in choices.elements()) / choices.total()


# lag_posterior


def _lag_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, n_ids, lags in ((3, 9, 4, (1, 2)), (2, 12, 6, (1, 3)), (2, 8, 3, (3, 1, 2))):
        table = torch.randn(n_ids, n_ids, generator=generator).softmax(dim=-1)
        tokens = torch.randint(n_ids, (batch, n_pos), generator=generator)
        cases.append(Case(f"lags {lags}, {n_ids} ids", (tokens, table, lags)))
    return cases


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


# match_and_copy_score


def _shifted_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed + 2)
    return [
        Case("the token before, looked at one ahead, two heads",
             (_patterns(generator, 2, 2, 16), _twice(generator, 5, 6, 2, 4), 1, 1)),
        Case("the token itself, looked at two ahead, no head axis",
             (_patterns(generator, 3, 15), _twice(generator, 4, 6, 3, 3), 0, 2)),
        Case("the token two before, looked at one ahead",
             (_patterns(generator, 2, 1, 18), _twice(generator, 6, 7, 2, 4), 2, 1)),
    ]  # fmt: skip


def _shifted_by_copies(pattern: Tensor, tokens: Tensor, back: int, ahead: int) -> Tensor:
    """Each query lists where its token stood before, and steps ahead from there."""
    keys = []
    for row in tokens.tolist():
        keys.append([])
        for query in range(len(row)):
            asked = row[query - back] if query >= back else None
            copies = [place for place, token in enumerate(row[: max(query - back, 0)])
                      if token == asked]  # fmt: skip
            keys[-1].append([place + ahead for place in copies if place + ahead <= query])
    return _by_queries(pattern, keys)


# translated_induction_score


def _translation_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for words, heads, batch, length in ((4, (2,), 2, 6), (5, (), 3, 7), (3, (1,), 2, 5)):
        dictionary = words + torch.randperm(words, generator=generator)
        block = torch.randint(words, (batch, length), generator=generator)
        mixed = torch.randint(2 * words, (batch, 5), generator=generator)
        # Words, their translations, a mixture, and words again: both directions occur.
        tokens = torch.cat([block, dictionary[block], mixed, block[:, :2]], dim=1)
        shape = (batch, *heads, tokens.shape[1])
        cases.append(
            Case(f"{words} words", (_patterns(generator, *shape), tokens, dictionary)),
        )
    return cases


def _translated_by_loops(pattern: Tensor, tokens: Tensor, dictionary: Tensor) -> Tensor:
    word_of = {translation: word for word, translation in enumerate(dictionary.tolist())}
    keys = []
    for row in tokens.tolist():
        keys.append([])
        for query, token in enumerate(row):
            meant = word_of.get(token)
            keys[-1].append([at + 1 for at, other in enumerate(row[:query]) if other == meant])
    return _by_queries(pattern, keys)


# Suppression, self-repair and vectors


def _suppression_by_counting(before: Tensor, effect: Tensor, tokens: Tensor) -> float:
    """Every id is asked whether it stands at one of the positions up to this one."""
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


def _share_that_returns(a: float, r: float) -> float:
    """The vectors themselves, in a plane: the first axis is the right token's."""
    head, rest = torch.tensor([a, 0.0]).double(), torch.tensor([0.0, r]).double()
    both, one = head + head + rest, head + rest
    direct = (head / both.norm())[0]
    fall = (both / both.norm() - one / one.norm())[0]
    return ((direct - fall) / direct).item()


def _effects_from_weights(model: Any, prompts: Tensor, corrupted: Tensor, answers: Tensor):
    """What a head writes is replaced in the sum of the residual stream, head by head."""
    wrote = forward(model, prompts)[2]
    base, _, own = forward(model, corrupted)
    found = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer, head in wrote:
        put_in = own[layer, head].clone()
        put_in[:, -1] = wrote[layer, head][:, -1].mean(dim=0)
        changed = forward(model, corrupted, written={(layer, head): put_in})[0]
        rises = [_chance(changed, row, token) - _chance(base, row, token)
                 for row, token in enumerate(answers.tolist())]  # fmt: skip
        found[layer, head] = sum(rises) / len(rises)
    return found


def _chance(logits: Tensor, row: int, token: int) -> float:
    return logits[row, -1].softmax(dim=-1)[token].item()


def _sum_one_by_one(mean_outputs: Tensor, effects: Tensor, n_heads: int) -> Tensor:
    """The best head that is left is added, `n_heads` times."""
    left = {(layer, head): effects[layer, head].item()
            for layer in range(effects.shape[0]) for head in range(effects.shape[1])}  # fmt: skip
    total = torch.zeros(mean_outputs.shape[-1])
    for _ in range(n_heads):
        best = max(left, key=lambda place: left[place])
        total += mean_outputs[best]
        del left[best]
    return total


def _difference_by_loops(with_examples: Tensor, bare: Tensor) -> Tensor:
    found = torch.zeros(bare.shape[-1])
    for axis in range(bare.shape[-1]):
        many = [row[len(row) - 1, axis].item() for row in with_examples]
        few = [row[len(row) - 1, axis].item() for row in bare]
        found[axis] = sum(many) / len(many) - sum(few) / len(few)
    return found


EXERCISES = (
    Exercise(
        name="fuzzy_induction_score", difficulty=2, minutes=15,
        why="A head may match what tokens mean, and the plain score misses it.",
        cases=_fuzzy_cases, oracle=_fuzzy_by_loops,
        mistakes=known.FUZZY_MISTAKES, also_right=known.FUZZY_ALSO_RIGHT,
    ),
    Exercise(
        name="ngram_prefix_score", difficulty=2, minutes=12,
        why="Where tokens come back in several places, one does not say which is meant.",
        cases=_prefix_cases, oracle=_prefix_by_search,
        mistakes=known.PREFIX_MISTAKES, also_right=known.PREFIX_ALSO_RIGHT,
    ),
    Exercise(
        name="plateau_loss_formula", difficulty=2, minutes=8,
        why="A plateau is explained when its height is predicted.",
        cases=lambda seed: [Case("your formula")], oracle=lambda: _plateau_token_by_token,
        compare=formula(V=(4, 30), r=(2, 4), c=(2, 9)),
        mistakes=known.PLATEAU_MISTAKES, also_right=known.PLATEAU_ALSO_RIGHT,
    ),
    Exercise(
        name="ngram_induction_layer", difficulty=2, minutes=12,
        why="What a head would have to learn can be put into a model by hand.",
        cases=_layer_cases, oracle=_layer_by_search,
        mistakes=known.LAYER_MISTAKES, also_right=known.LAYER_ALSO_RIGHT,
    ),
    Exercise(
        name="lag_posterior", difficulty=3, minutes=20,
        why="A model that chooses between rules can do no better than this.",
        cases=_lag_cases, oracle=_bayes_step_by_step,
        mistakes=known.LAG_MISTAKES, also_right=known.LAG_ALSO_RIGHT,
    ),
    Exercise(
        name="match_and_copy_score", difficulty=2, minutes=12,
        why="Matching and looking are two steps, and a head may shift either.",
        cases=_shifted_cases, oracle=_shifted_by_copies,
        mistakes=known.SHIFTED_MISTAKES, also_right=known.SHIFTED_ALSO_RIGHT,
    ),
    Exercise(
        name="translated_induction_score", difficulty=2, minutes=12,
        why='"Translate like this" can be induction, through a learned mapping.',
        cases=_translation_cases, oracle=_translated_by_loops,
        mistakes=known.TRANSLATED_MISTAKES, also_right=known.TRANSLATED_ALSO_RIGHT,
    ),
    Exercise(
        name="copy_suppression_score", difficulty=2, minutes=15,
        why="A head can be important because it says no.",
        cases=inputs.suppression_cases, oracle=_suppression_by_counting,
        mistakes=vectors.SUPPRESSION_MISTAKES, also_right=vectors.SUPPRESSION_ALSO_RIGHT,
    ),
    Exercise(
        name="compensation", difficulty=2, minutes=8,
        why="An ablation that costs little may mean that others stepped in.",
        cases=inputs.compensation_cases, oracle=_compensation_by_loops,
        mistakes=vectors.COMPENSATION_MISTAKES, also_right=vectors.COMPENSATION_ALSO_RIGHT,
    ),
    Exercise(
        name="repair_by_norm_formula", difficulty=2, minutes=10,
        why="No head needs to react for self-repair.",
        cases=lambda seed: [Case("your formula")], oracle=lambda: _share_that_returns,
        compare=formula(a=(0.2, 4.0), r=(0.2, 4.0)),
        mistakes=vectors.REPAIR_MISTAKES, also_right=vectors.REPAIR_ALSO_RIGHT,
    ),
    Exercise(
        name="indirect_effects", difficulty=3, minutes=25,
        why="Heads that carry a task are found by what they cause.",
        cases=inputs.effect_cases, oracle=_effects_from_weights, compare=closeness(2e-5, 1e-3),
        seconds=60,
        mistakes=vectors.EFFECT_MISTAKES, also_right=vectors.EFFECT_ALSO_RIGHT,
    ),
    Exercise(
        name="function_vector", difficulty=1, minutes=6,
        why="A few heads together may hold what a prompt asks for.",
        cases=inputs.function_cases, oracle=_sum_one_by_one,
        mistakes=vectors.FUNCTION_MISTAKES, also_right=vectors.FUNCTION_ALSO_RIGHT,
    ),
    Exercise(
        name="task_vector", difficulty=1, minutes=5,
        why="What a prompt leaves behind can be moved to another prompt.",
        cases=inputs.task_cases, oracle=_difference_by_loops,
        mistakes=vectors.TASK_MISTAKES, also_right=vectors.TASK_ALSO_RIGHT,
    ),
)  # fmt: skip
