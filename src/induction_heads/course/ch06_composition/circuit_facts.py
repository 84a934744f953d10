"""Facts about a circuit built by hand: what it continues, and how it fails.

The answers to `build_induction_circuit` are compared by these facts, not by their weights.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch06_composition.inputs import attention_layer
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case
from induction_heads.data.tokens import distinct_tokens, repeated_tokens
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import Model
from induction_heads.models.plain_data import returned_model


@dataclass(frozen=True)
class BuildCase(Case):
    """Sizes to build for, and the seed from which the rows of tokens are drawn."""

    seed: int = 0


def build_cases(seed: int) -> list[Case]:
    """Sizes of vocabulary and context; either may be many times the other."""
    generator = torch.Generator().manual_seed(seed)
    cases: list[Case] = []
    for d_vocab, n_ctx in ((12, 24), (120, 24), (6, 44)):
        more = torch.randint(5, (2,), generator=generator).tolist()
        sizes = (d_vocab + more[0], n_ctx + more[1])
        label = f"{sizes[0]} tokens, {sizes[1]} positions"
        cases.append(BuildCase(label, sizes, seed=seed + len(cases)))
    return cases


def described_models(cases: list[Case], answers: list[Any]) -> list[dict[str, Any]]:
    """The facts about each model."""
    return [_behavior(case, answer) for case, answer in zip(cases, answers, strict=True)]


def same_behavior(answer: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """The first expected fact that differs, in words."""
    for name, right in expected.items():
        if name not in answer or name == "worst":
            continue
        if said := closeness(0.02, 0.0)(answer[name], right):
            where = f" ({answer['worst']})" if name.endswith("lowest") else ""
            return f"at {name + where!r}: {said}"
    return None


def _behavior(case: Case, answer: Any) -> dict[str, Any]:
    model = returned_model(answer)
    facts: dict[str, Any] = {"d_vocab": model.config.d_vocab, "n_ctx": model.config.n_ctx}
    if (model.config.d_vocab, model.config.n_ctx) != case.args:
        return facts
    probes, shares = list(_probes(case)), {}
    for name, rows, queries in probes:
        shares[name] = _continued(model, rows, queries, _next(rows, queries))
    worst = min(shares, key=lambda name: shares[name])
    facts["share continued, where it is lowest"] = shares[worst]
    facts["continues most of it"] = sum(shares.values()) > 0.5 * len(shares)  # A diagnosis.
    # Nothing is there to copy: what followed one period ago must not be predicted.
    period = min(case.args[0], case.args[1]) // 2
    fresh = distinct_tokens(case.args[0], 2 * period, 16, seed=case.args[1])
    asked = list(range(period, 2 * period - 1))
    facts["share continued where nothing repeats"] = _continued(
        model, fresh, asked, fresh[:, 1:period]
    )
    _, rows, queries = probes[0]
    alone = [
        _continued(_only_layer(model, layer), rows, queries, _next(rows, queries))
        for layer in range(model.config.n_layers)
    ]
    facts["one layer alone does it"] = max(alone) > 0.5
    return facts | _diagnosis(model, rows, queries) | {"worst": worst}


def _probes(case: Case) -> Iterator[tuple[str, Tensor, list[int]]]:
    """(name, rows, queries whose next token an earlier copy gives away)."""
    (d_vocab, n_ctx), seed = case.args, getattr(case, "seed", 0)
    generator = torch.Generator().manual_seed(1000 + seed)
    half = min(d_vocab, n_ctx // 2)
    for period in (half, _between(3, half, generator), 2):
        rows = repeated_tokens(d_vocab, period, batch=16, seed=generator)
        yield f"blocks of {period}", rows, list(range(period, 2 * period - 1))
    for period in (3, 4):
        gap = _between(1, min(d_vocab - period, n_ctx - 2 * period), generator)
        rows = repeated_tokens(d_vocab, period, gap=gap, batch=16, seed=generator)
        start = period + gap
        name = f"blocks of {period}, {gap} other tokens between"
        yield name, rows, list(range(start, start + period - 1))
    period, copies = 5, n_ctx // 5
    lead = min(n_ctx - period * copies, d_vocab - period)
    drawn = distinct_tokens(d_vocab, period + lead, 16, generator)
    rows = torch.cat([drawn[:, period:], drawn[:, :period].repeat(1, copies)], dim=1)
    later = [lead + copy * period + place for copy in range(1, copies) for place in range(4)]
    yield f"{copies} copies of 5, to the end of the context", rows, later


def _between(low: int, high: int, generator: torch.Generator) -> int:
    return int(torch.randint(low, max(low, high) + 1, (1,), generator=generator))


def _continued(model: Model, rows: Tensor, queries: list[int], following: Tensor) -> float:
    """How often `following` gets a probability above one half."""
    chances = model(rows).softmax(dim=-1)[:, queries]
    return (chances.gather(-1, following[..., None]) > 0.5).double().mean().item()


def _next(rows: Tensor, queries: list[int]) -> Tensor:
    return rows[:, [query + 1 for query in queries]]


def _only_layer(model: AttentionOnly, layer: int) -> AttentionOnly:
    """The same model with the heads of all other layers silent."""
    copy = AttentionOnly(model.config)
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        for number, weights in enumerate(copy.layers):
            if number != layer:
                attention_layer(weights).W_O.zero_()
    return copy.requires_grad_(False)


def _diagnosis(model: AttentionOnly, rows: Tensor, queries: list[int]) -> dict[str, Any]:
    """Facts that tell one failure from another. No answer is graded on them.

    Coarse on purpose, so that the same mistake made in other weights gives the same facts.
    """
    residual, previous, sharpest = model.embed(rows), [], 0.0
    place = torch.tensor(queries)
    for layer in model.layers:
        pattern = attention_layer(layer).pattern(residual)[:, :, queries]
        before = pattern[..., torch.arange(len(queries)), place - 1]
        previous.append(bool(before.mean(dim=(0, 2)).max() > 0.5))
        sharpest = pattern.max(dim=-1).values.mean(dim=(0, 2)).max().item()
        residual = residual + layer(residual)
    chosen = (residual @ model.W_U)[:, queries].argmax(dim=-1)
    return {
        "layers with a previous-token head": previous,
        "the last layer looks at few places": sharpest > 0.3,
        "predicts the current token": _mostly(chosen == rows[:, place]),
        "the largest logit is right": _mostly(chosen == rows[:, place + 1]),
    }


def _mostly(hits: Tensor) -> bool:
    return bool(hits.double().mean() > 0.8)
