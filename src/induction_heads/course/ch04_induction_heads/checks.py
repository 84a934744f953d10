"""Checks of chapter 4: repeated tokens, the stripe and its score, detection, and the loss."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch04_induction_heads import (
    loss_mistakes,
    mistakes,
    prefix_mistakes,
    token_mistakes,
)
from induction_heads.course.ch04_induction_heads.inputs import (
    PERIODS,
    PREFIX,
    prefix_rows_by_python_random,
    ranked,
    tokens_by_python_random,
)
from induction_heads.course.compare import close_heads, closeness, summary
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.model_inputs import built_heads
from induction_heads.course.random_inputs import random_patterns, whole_numbers
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.interface import HookedModel

SCORE_TOLERANCE = 0.05
"""Right answers use other random tokens: on toy-2l, scores differ by up to 0.03 (batches of 8)."""


# make_repeated_tokens: many answers are right, so facts about the tokens are compared.


_TOY = ModelInput(name="toy-2l")


def _token_cases(seed: int) -> list[Case]:
    period, other = whole_numbers(seed, 2, 8, 18)
    (batch,) = whole_numbers(seed, 1, 4, 9)
    tight = {"bos_token": 5, "d_vocab": period + 1, "n_ctx": 40}
    tight, small = ModelInput(kind="induction", options=tight), {"period": period, "batch": batch}
    no_bos = ModelInput(kind="induction", options={"d_vocab": other + 1, "n_ctx": 40})
    zero = {"bos_token": 0, "d_vocab": other + 2, "n_ctx": 40}
    zero = ModelInput(kind="induction", options=zero)
    label = f"{period + 1} tokens of which one is BOS, period {period}"
    return [
        Case("toy-2l, no other argument", (_TOY,)),
        Case("toy-2l, the defaults as arguments", (_TOY, 16, 8, 0)),
        Case("toy-2l, another seed", (_TOY,), {"seed": seed + 1}),
        Case(label, (tight,), small | {"seed": seed + 3}),
        Case("the same call again", (tight,), small | {"seed": seed + 3}),
        Case("the same call with another seed", (tight,), small | {"seed": seed + 4}),
        Case(f"no BOS token, period {other}", (no_bos, other, 8, seed + 2)),
        Case(f"BOS token 0, period {other}", (zero, other, 8, seed + 5)),
    ]


def _true_of_repeated_tokens(
    model: HookedModel, period: int = 16, batch: int = 8, seed: int = 0
) -> dict:
    n_pos = 2 * period + (model.cfg.bos_token is not None)
    return {
        "whole numbers": True,
        "shape": [batch, n_pos],
        "every id is in the vocabulary": True,
        "BOS comes first where the model has one": True,
        "the second copy equals the first": True,
        "no token occurs twice in a block": True,
        "BOS occurs inside a block": False,
        "every row has its own block": True,
        "ids beyond the first `period` occur": True,
        "no id of a small vocabulary is never drawn": True,
        "the ids of a block come in a random order": True,
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
        raise TypeError("expected a tensor of token ids, [batch pos]")
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
        "no token occurs twice in a block": all(len(set(row)) == len(row) for row in rows),
        "BOS occurs inside a block": bos is not None and bool((blocks == bos).any()),
        "every row has its own block": len(set(rows)) == len(rows),
        "ids beyond the first `period` occur": bool((blocks >= period).any()),
        "no id of a small vocabulary is never drawn": d_vocab > period + 2
        or {*blocks.flatten().tolist()} >= {*range(d_vocab)} - {bos},
        "the ids of a block come in a random order": any(row != tuple(sorted(row)) for row in rows),
        "the same seed gives the same tokens": all(torch.equal(tokens, o) for o in same_call),
        "another seed gives other tokens": not any(torch.equal(tokens, o) for o in other_seed),
    }


MAKE_REPEATED_TOKENS = Exercise(
    name="make_repeated_tokens",
    difficulty=2,
    minutes=12,
    why="Every measurement of this chapter uses these tokens.",
    cases=_token_cases,
    oracle=_true_of_repeated_tokens,
    describe=_facts,
    mistakes=token_mistakes.TOKEN_MISTAKES,
)


# induction_score


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Case("BOS and two copies of 6", (random_patterns(generator, 2, 3, 13), 6)),
        Case("two copies of 5, no BOS", (random_patterns(generator, 4, 10), 5)),
        Case("three copies of 4", (random_patterns(generator, 2, 12), 4)),
        Case("one pattern, two copies of 3", (random_patterns(generator, 6), 3)),
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


INDUCTION_SCORE = Exercise(
    name="induction_score",
    difficulty=2,
    minutes=10,
    why="It turns the stripe into a number: the first of four pieces of evidence.",
    cases=_score_cases,
    oracle=_stripe_by_loops,
    mistakes=mistakes.SCORE_MISTAKES,
)


# stray_stripe_entries


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
        return f"got {summary(answer)}, expected a list of (query, key)."
    return closeness()(pairs, sorted(expected))


STRAY_STRIPE_ENTRIES = Exercise(
    name="stray_stripe_entries",
    difficulty=2,
    minutes=8,
    why="The wrong stripe is in code that people copy.",
    cases=_stray_cases,
    oracle=_stray_by_tokens,
    compare=_same_pairs,
    mistakes=mistakes.STRAY_MISTAKES,
)


# uniform_induction_score


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


UNIFORM_INDUCTION_SCORE = Exercise(
    name="uniform_induction_score",
    difficulty=2,
    minutes=8,
    why="A score means something only next to the score of a head that does nothing.",
    cases=_uniform_cases,
    oracle=_uniform_by_pattern,
    mistakes=mistakes.UNIFORM_MISTAKES,
)


SINK: dict[str, Any] = {"match": 3.5, "sink": 10.5, "d_vocab": 33, "n_ctx": 40}
"""A model in which rows without BOS, or with BOS in other places too, give other scores.

A match and the first position, which is lowered by twice a match, have the same score.
"""

# find_induction_heads


def _model_case(label: str, kind: str, threshold: float | None = None, **options: Any) -> Case:
    kwargs = {} if threshold is None else {"threshold": threshold}
    return Case(label, (ModelInput(kind=kind, options=options),), kwargs)


def _find_cases(seed: int) -> list[Case]:
    offsets = [
        _model_case(
            f"a head that looks {back} back whatever the tokens",
            "fixed_offset",
            offset=back,
            seed=seed + back,
        )
        for back in (15, 11, 7)
    ]
    holes = [
        _model_case(
            f"a decoy that misses all matches {back} back",
            "flawed_induction",
            hole=back,
            d_vocab=33,
            n_ctx=40,
            seed=seed + back,
        )
        for back in (15, 11, 7)
    ]
    others = [
        _model_case(f"a decoy: {kind.replace('_', ' ')}", kind, seed=seed + 1)
        for kind in ("duplicate_token", "bos_sink", "previous_token")
    ]
    return [
        Case("toy-2l", (_TOY,)),
        Case("toy-2l, threshold 0: every head, in order", (_TOY, 0.0)),
        Case("toy-2l, threshold 0.99", (_TOY, 0.99)),
        Case("toy-1l", (ModelInput(name="toy-1l"),)),
        _model_case(
            "three layers of 4 heads, BOS token 0",
            "deeper_induction",
            n_heads=4,
            bos_token=0,
            seed=seed + 3,
            d_vocab=30,
            n_ctx=36,
        ),
        _model_case(
            "a model with BOS token 7",
            "induction",
            n_heads=3,
            bos_token=7,
            d_vocab=33,
            n_ctx=33,
            seed=seed,
        ),
        _model_case("three heads a layer, threshold 0", "induction", 0.0, n_heads=3, seed=4),
        _model_case("a perfect head, threshold 1", "induction", 1.0, sharpness=300.0, seed=seed),
        _model_case("a blurred induction head", "induction", sharpness=4.0, seed=seed + 2),
        _model_case("a very blurred induction head", "induction", sharpness=3.0, seed=seed),
        *offsets,
        _model_case("fixed offset 15, threshold 0.3", "fixed_offset", 0.3, offset=15, seed=seed),
        *holes,
        _model_case("a head that also looks at BOS", "flawed_induction", 0.2, **SINK, seed=seed),
        _model_case(
            "a head that looks away at the first query of the last copy",
            "flawed_induction",
            **{**SINK, "match": 30.0, "sink": 120.0},
            sink_at=tuple(period + 1 for period in PERIODS),
            seed=seed + 1,
        ),
        *others,
    ]


def _followed_by_loops(pattern: Tensor, tokens: list[list[int]]) -> Tensor:
    """Attention to keys that follow an earlier copy of the query's token, read off the tokens."""
    totals = []
    for row, ids in enumerate(tokens):
        hits = [
            (query, key)
            for query in range(len(ids))
            for key in range(1, query + 1)
            if ids[key - 1] == ids[query]
        ]
        totals += [sum(pattern[:, row, :, query, key] for query, key in hits) / len(hits)]
    return torch.stack(totals).mean(dim=0)


def _heads_by_loops(model: HookedModel, threshold: float = 0.4) -> list[tuple[int, int, float]]:
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
        return f"got scores in the order {summary(given)}, expected {summary(right)}."
    return None


FIND_INDUCTION_HEADS = Exercise(
    name="find_induction_heads",
    difficulty=3,
    minutes=20,
    why="A detector is only as good as what it rejects.",
    cases=_find_cases,
    oracle=_heads_by_loops,
    compare=_same_heads,
    mistakes=mistakes.FIND_MISTAKES,
)


# prefix_length_curve


def _prefix_case(label: str, kind: str, **options: Any) -> Case:
    options = {"n_heads": 3, "d_vocab": 36, "n_ctx": 34} | options
    name, deeper = kind.removeprefix("deeper_"), kind.startswith("deeper_")
    places = built_heads(name, n_heads=options["n_heads"], seed=options["seed"])
    layer, head = places[name]
    return Case(label, (ModelInput(kind=kind, options=options), layer + deeper, head))


def _prefix_cases(seed: int) -> list[Case]:
    (bos,) = whole_numbers(seed, 1, 3, 30)
    sink, places = {**SINK, "seed": seed}, built_heads("flawed_induction", seed=seed)
    return [
        Case("toy-2l, L1H0", (_TOY, 1, 0)),
        Case("toy-2l, L0H1", (_TOY, 0, 1)),
        _prefix_case("an induction head, no BOS token", "induction", seed=seed),
        _prefix_case("an induction head, BOS token 0", "induction", bos_token=0, seed=seed + 1),
        _prefix_case("a head that needs two tokens", "long_prefix", seed=seed + 2),
        _prefix_case(f"the same with BOS token {bos}", "long_prefix", bos_token=bos, seed=seed + 3),
        _prefix_case(
            "three layers, a head that needs two tokens",
            "deeper_long_prefix",
            n_heads=4,
            bos_token=0,
            seed=seed + 4,
        ),
        _prefix_case("a blurred induction head", "induction", sharpness=3.0, seed=seed + 5),
        _prefix_case(
            "a blurred head that needs two tokens",
            "long_prefix",
            sharpness=5.0,
            bos_token=bos,
            seed=seed + 6,
        ),
        _prefix_case(
            "a decoy that looks 24 back, where B is", "fixed_offset", offset=24, seed=seed + 7
        ),
        _prefix_case("a decoy, a duplicate-token head", "duplicate_token", seed=seed + 8),
        _prefix_case("many positions", "induction", sharpness=4.0, n_ctx=60, seed=seed + 9),
        Case(
            "a head that also looks at BOS",
            (ModelInput(kind="flawed_induction", options=sink), *places["induction"]),
        ),
    ]


def _prefix_by_loops(model: HookedModel, layer: int, head: int) -> Tensor:
    curve = []
    for length in range(PREFIX + 1):
        tokens, place = prefix_rows_by_python_random(model, range(length), 96, seed=length)
        pattern = attention_patterns(model, tokens)[layer]
        last = tokens.shape[1] - 1
        total = sum(float(pattern[row, head, last, place]) for row in range(len(tokens)))
        curve.append(total / len(tokens))
    return torch.tensor(curve)


PREFIX_LENGTH_CURVE = Exercise(
    name="prefix_length_curve",
    difficulty=3,
    minutes=20,
    why="In a repeated block two tokens or more match almost everywhere, so a head that needs two "
    "passes every test for one.",
    cases=_prefix_cases,
    oracle=_prefix_by_loops,
    compare=closeness(atol=SCORE_TOLERANCE, rtol=0),
    mistakes=prefix_mistakes.PREFIX_MISTAKES,
)


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


PER_TOKEN_LOSS = Exercise(
    name="per_token_loss",
    difficulty=2,
    minutes=10,
    why="The pattern says where a head looks; the loss says what the model gains.",
    cases=_loss_cases,
    oracle=_loss_by_loops,
    mistakes=loss_mistakes.LOSS_MISTAKES,
)


EXERCISES = (
    MAKE_REPEATED_TOKENS,
    INDUCTION_SCORE,
    UNIFORM_INDUCTION_SCORE,
    STRAY_STRIPE_ENTRIES,
    FIND_INDUCTION_HEADS,
    PREFIX_LENGTH_CURVE,
    PER_TOKEN_LOSS,
)
