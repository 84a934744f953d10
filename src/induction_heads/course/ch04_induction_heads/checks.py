"""Checks of chapter 4: repeated tokens, the stripe and its score, detection, and the loss."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.activations import attention_patterns
from induction_heads.checks.answers import ch04_induction_heads as known
from induction_heads.checks.answers.ch04_induction_heads import (
    PERIODS,
    ranked,
    tokens_by_python_random,
)
from induction_heads.checks.compare import close_heads, closeness, summary
from induction_heads.checks.draw import whole_numbers
from induction_heads.checks.exercise import Case, Exercise, ModelInput

SCORE_TOLERANCE = 0.05
"""Right versions differ in their random tokens: by up to 0.03 on toy-2l, over batches of 8."""


# make_repeated_tokens: many answers are right, so facts about the tokens are compared.


_TOY = ModelInput(name="toy-2l")


def _token_cases(seed: int) -> list[Case]:
    period, other = whole_numbers(seed, 2, 8, 18)
    (batch,) = whole_numbers(seed, 1, 4, 9)
    tight = {"bos_token": 5, "d_vocab": period + 1, "n_ctx": 40}
    tight, small = ModelInput(kind="induction", options=tight), {"period": period, "batch": batch}
    no_bos = ModelInput(kind="induction", options={"d_vocab": 2 * other, "n_ctx": 40})
    label = f"{period + 1} tokens of which one is BOS, period {period}"
    return [
        Case("toy-2l, no other argument", (_TOY,)),
        Case("toy-2l again, no other argument", (_TOY,)),
        Case("toy-2l, another seed", (_TOY,), {"seed": seed + 1}),
        Case(label, (tight,), small | {"seed": seed + 3}),
        Case("the same call again", (tight,), small | {"seed": seed + 3}),
        Case("the same call with another seed", (tight,), small | {"seed": seed + 4}),
        Case(f"no BOS token, period {other}", (no_bos, other, 8, seed + 2)),
    ]


def _true_of_repeated_tokens(model: Any, period: int = 16, batch: int = 8, seed: int = 0) -> dict:
    n_pos = 2 * period + (model.cfg.bos_token is not None)
    return {
        "whole numbers": True,
        "shape": [batch, n_pos],
        "every id is in the vocabulary": True,
        "BOS comes first where the model has one": True,
        "the second copy equals the first": True,
        "no token stands twice in a block": True,
        "BOS stands inside a block": False,
        "every row has its own block": True,
        "ids beyond the first `period` occur": True,
        "the same seed gives the same tokens": True,
        "another seed gives other tokens": True,
    }


def _bound(case: Case) -> tuple[ModelInput, int, int, int]:
    given = dict(zip(("model", "period", "batch", "seed"), case.args, strict=False)) | case.kwargs
    return given["model"], given.get("period", 16), given.get("batch", 8), given.get("seed", 0)


def _facts(cases: list[Case], answers: list[Any]) -> list[dict]:
    return [_facts_of(index, cases, answers) for index in range(len(answers))]


def _facts_of(index: int, cases: list[Case], answers: list[Any]) -> dict:
    tokens = answers[index]
    if not isinstance(tokens, Tensor) or tokens.ndim != 2:
        raise TypeError("a tensor of token ids, [batch pos], was expected")
    model, period, _, seed = _bound(cases[index])
    bos, d_vocab = model.options.get("bos_token"), model.options.get("d_vocab", 64)
    blocks = tokens if bos is None else tokens[:, 1:]
    rows = [tuple(row) for row in blocks[:, :period].tolist()]
    same_call, other_seed = [], []
    for case, answer in zip(cases, answers, strict=True):
        if _bound(case)[:3] == _bound(cases[index])[:3]:
            (same_call if _bound(case)[3] == seed else other_seed).append(answer)
    return {
        "whole numbers": not tokens.is_floating_point(),
        "shape": list(tokens.shape),
        "every id is in the vocabulary": bool(((tokens >= 0) & (tokens < d_vocab)).all()),
        "BOS comes first where the model has one": bos is None or bool((tokens[:, 0] == bos).all()),
        "the second copy equals the first": torch.equal(blocks[:, :period], blocks[:, period:]),
        "no token stands twice in a block": all(len(set(row)) == len(row) for row in rows),
        "BOS stands inside a block": bos is not None and bool((blocks == bos).any()),
        "every row has its own block": len(set(rows)) == len(rows),
        "ids beyond the first `period` occur": bool((blocks >= period).any()),
        "the same seed gives the same tokens": all(torch.equal(tokens, o) for o in same_call),
        "another seed gives other tokens": not any(torch.equal(tokens, o) for o in other_seed),
    }


# induction_score


def _random_patterns(generator: torch.Generator, *shape: int) -> Tensor:
    scores = 2 * torch.randn(*shape, shape[-1], generator=generator)
    future = torch.ones(shape[-1], shape[-1], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1)


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Case("BOS and two copies of 6", (_random_patterns(generator, 2, 3, 13), 6)),
        Case("two copies of 5, no BOS", (_random_patterns(generator, 4, 10), 5)),
        Case("three copies of 4", (_random_patterns(generator, 2, 12), 4)),
        Case("one pattern, two copies of 3", (_random_patterns(generator, 6), 3)),
    ]


def _stripe_by_loops(pattern: Tensor, period: int) -> Tensor:
    *leading, n_pos, _ = pattern.shape
    scores = []
    for one in pattern.reshape(-1, n_pos, n_pos).tolist():
        total = 0.0
        for query in range(n_pos - period, n_pos):
            total += one[query][query - period + 1]
        scores.append(total / period)
    return torch.tensor(scores).reshape(leading)


# stray_stripe_entries and uniform_induction_score


def _stray_cases(seed: int) -> list[Case]:
    drawn = whole_numbers(seed, 2, 6, 30)
    sizes = ((4, False), (4, True), (2, True), (drawn[0], False), (drawn[1], True))
    return [Case(f"period {p}, {'a' if bos else 'no'} BOS token", (p, bos)) for p, bos in sizes]


def _stray_by_tokens(period: int, has_bos: bool) -> list[tuple[int, int]]:
    tokens = ["BOS"] * has_bos + 2 * [f"token {i}" for i in range(period)]
    stray = []
    for query in range(len(tokens)):
        for key in range(query + 1):
            follows_copy = key > 0 and tokens[key - 1] == tokens[query]
            if query - key == period - 1 and not follows_copy:
                stray.append((query, key))
    return stray


def _same_pairs(answer: Any, expected: Any) -> str | None:
    try:
        pairs = sorted((query, key) for query, key in answer)
    except (TypeError, ValueError):
        return f"{summary(answer)} came back, a list of (query, key) was expected."
    return closeness()(pairs, sorted(expected))


def _uniform_cases(seed: int) -> list[Case]:
    periods = (1, 4, 16, *whole_numbers(seed, 2, 20, 90))
    return [Case(f"period {period}", (period,)) for period in periods]


def _uniform_by_pattern(period: int) -> float:
    n_pos = 2 * period
    total = 0.0
    for query in range(n_pos):
        row = [1 / (query + 1)] * (query + 1)
        if query >= period:
            total += row[query - period + 1]
    return total / period


# find_induction_heads


def _model_case(label: str, kind: str, threshold: float | None = None, **options: Any) -> Case:
    kwargs = {} if threshold is None else {"threshold": threshold}
    return Case(label, (ModelInput(kind=kind, options=options),), kwargs)


def _find_cases(seed: int) -> list[Case]:
    offsets = [_model_case(f"a head that looks {back} back whatever the tokens", "fixed_offset",
                           offset=back, seed=seed + back) for back in (15, 11, 7)]  # fmt: skip
    others = [_model_case(f"a decoy: {kind.replace('_', ' ')}", kind, seed=seed + 1)
              for kind in ("duplicate_token", "bos_sink", "previous_token")]  # fmt: skip
    return [
        Case("toy-2l", (_TOY,)),
        Case("toy-2l, threshold 0: every head, in order", (_TOY, 0.0)),
        Case("toy-2l, threshold 0.99", (_TOY, 0.99)),
        Case("toy-1l", (ModelInput(name="toy-1l"),)),
        _model_case("an induction head among 4 a layer", "induction", n_heads=4, seed=seed + 3,
                    d_vocab=40, n_ctx=48),
        _model_case("a model with BOS token 7", "induction", n_heads=3, bos_token=7, d_vocab=33,
                    n_ctx=33, seed=seed),
        _model_case("three heads a layer, threshold 0", "induction", 0.0, n_heads=3, seed=4),
        _model_case("a blurred induction head", "induction", sharpness=4.0, seed=seed + 2),
        _model_case("a very blurred induction head", "induction", sharpness=3.0, seed=seed),
        *offsets,
        _model_case("fixed offset 15, threshold 0.3", "fixed_offset", 0.3, offset=15, seed=seed),
        *others,
    ]  # fmt: skip


def _followed_by_loops(pattern: Tensor, tokens: list[list[int]]) -> Tensor:
    """Attention to keys that follow an earlier copy of the query's token, read off the tokens."""
    totals = []
    for row, ids in enumerate(tokens):
        hits = [(query, key) for query in range(len(ids)) for key in range(1, query + 1)
                if ids[key - 1] == ids[query]]  # fmt: skip
        totals += [sum(pattern[:, row, :, query, key] for query, key in hits) / len(hits)]
    return torch.stack(totals).mean(dim=0)


def _heads_by_loops(model: Any, threshold: float = 0.4) -> list[tuple[int, int, float]]:
    scores = []
    for period in PERIODS:
        tokens = tokens_by_python_random(model, period, 32, seed=period)
        scores.append(_followed_by_loops(attention_patterns(model, tokens), tokens.tolist()))
    found = []
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            lowest = min(float(score[layer, head]) for score in scores)
            if lowest >= threshold:
                found.append((layer, head, lowest))
    return sorted(found, key=lambda item: item[2], reverse=True)


def _same_heads(answer: Any, expected: Any) -> str | None:
    """The same heads with close scores, in the same order where scores tell them apart."""
    try:
        mine = ranked(list(answer)) if isinstance(answer, (list, tuple)) else answer
    except (TypeError, IndexError):
        mine = answer  # Malformed: close_heads says how.
    if said := close_heads(SCORE_TOLERANCE)(mine, ranked(expected)):
        return said
    given, right = [float(item[2]) for item in answer], [item[2] for item in expected]
    falls = [scores == sorted(scores, reverse=True) for scores in (given, right)]
    apart = any(abs(a - b) > SCORE_TOLERANCE for a, b in zip(given, right, strict=True))
    if apart or falls == [False, True]:
        return f"scores came back in the order {summary(given)}; {summary(right)} was expected."
    return None


# per_token_loss


def _loss_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, d_vocab, scale in ((2, 5, 7, 2.0), (3, 4, 11, 1.0), (1, 6, 9, 150.0)):
        logits = scale * torch.randn(batch, n_pos, d_vocab, generator=generator)
        tokens = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        size = "large logits" if scale > 100 else "logits"
        cases.append(Case(f"{size} [{batch} {n_pos} {d_vocab}]", (logits, tokens)))
    return cases


def _loss_by_loops(logits: Tensor, tokens: Tensor) -> Tensor:
    rows = []
    for row_logits, row_tokens in zip(logits.tolist(), tokens.tolist(), strict=True):
        losses = []
        for scores, following in zip(row_logits[:-1], row_tokens[1:], strict=True):
            top = max(scores)
            log_total = top + math.log(sum(math.exp(score - top) for score in scores))
            losses.append(log_total - scores[following])
        rows.append(losses)
    return torch.tensor(rows)


EXERCISES = (
    Exercise(
        name="make_repeated_tokens", difficulty=2, minutes=12,
        why="Every measurement of this chapter stands on these tokens.",
        cases=_token_cases, oracle=_true_of_repeated_tokens, describe=_facts,
        mistakes=known.TOKEN_MISTAKES, also_right=known.TOKEN_ALSO_RIGHT,
    ),
    Exercise(
        name="induction_score", difficulty=2, minutes=10,
        why="It turns the stripe into a number: the first of four pieces of evidence.",
        cases=_score_cases, oracle=_stripe_by_loops,
        mistakes=known.SCORE_MISTAKES, also_right=known.SCORE_ALSO_RIGHT,
    ),
    Exercise(
        name="uniform_induction_score", difficulty=2, minutes=8,
        why="A score means something only beside that of a head that does nothing.",
        cases=_uniform_cases, oracle=_uniform_by_pattern,
        mistakes=known.UNIFORM_MISTAKES, also_right=known.UNIFORM_ALSO_RIGHT,
    ),
    Exercise(
        name="stray_stripe_entries", difficulty=2, minutes=8,
        why="The wrong stripe is in code that people copy.",
        cases=_stray_cases, oracle=_stray_by_tokens, compare=_same_pairs,
        mistakes=known.STRAY_MISTAKES, also_right=known.STRAY_ALSO_RIGHT,
    ),
    Exercise(
        name="find_induction_heads", difficulty=3, minutes=20,
        why="A detector is worth what it refuses.",
        cases=_find_cases, oracle=_heads_by_loops, compare=_same_heads,
        mistakes=known.FIND_MISTAKES, also_right=known.FIND_ALSO_RIGHT,
    ),
    Exercise(
        name="per_token_loss", difficulty=2, minutes=10,
        why="The pattern says where a head looks; the loss says what the model gains.",
        cases=_loss_cases, oracle=_loss_by_loops,
        mistakes=known.LOSS_MISTAKES, also_right=known.LOSS_ALSO_RIGHT,
    ),
)  # fmt: skip
