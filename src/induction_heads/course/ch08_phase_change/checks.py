"""Checks of chapter 8: when a model changes, what changes with it, and a model that does."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch08_phase_change import (
    chain_mistakes,
    mistakes,
    train_mistakes,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula
from induction_heads.course.plain_forward import digest
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.data.chain_rows import chain_rows
from induction_heads.data.tokens import distinct_tokens, repeated_tokens
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly
from induction_heads.models.loading import load_attention_only
from induction_heads.models.plain_data import returned_model

CLOSE = closeness(1e-4, 1e-4)


# in_context_learning_score


def _learning_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for rows, n_pos in ((8, 31), (4, 8), (5, 6), (6, 64)):
        fall = torch.linspace(4.2, 2.0, n_pos)
        losses = fall + 0.3 * torch.randn(rows, n_pos, generator=generator)
        cases.append(Case(f"losses [{rows} {n_pos}]", (losses.abs(),)))
    return cases


def _late_minus_early(losses: Tensor) -> float:
    early, late = [], []
    for row in losses.tolist():
        for place in range(len(row) // 4):
            early.append(row[place])
            late.append(row[len(row) - 1 - place])
    return sum(late) / len(late) - sum(early) / len(early)


IN_CONTEXT_LEARNING_SCORE = Exercise(
    name="in_context_learning_score",
    difficulty=1,
    minutes=4,
    why="It is the number that the phase change moves most.",
    cases=_learning_cases,
    oracle=_late_minus_early,
    compare=CLOSE,
    mistakes=mistakes.LEARNING_MISTAKES,
)


# phase_change_step


def _curve(seed: int, n_points: int, from_zero: bool) -> list[tuple[int, float]]:
    """A loss that falls at once and then again, later and faster by the logarithm."""
    steps = sorted(whole_numbers(seed, n_points, 3, 1500))
    jitter = decimals(seed, n_points + 1, -0.03, 0.03)
    middle = decimals(seed + 1, 1, 300.0, 700.0)[0]
    points = [(0, 4.2)] if from_zero else []
    for step, shake in zip(steps, jitter, strict=False):
        first = 0.9 * (1 - math.exp(-step / 25))
        second = 1.2 / (1 + (middle / step) ** 12)
        points.append((step, round(4.2 - first - second + shake, 4)))
    return points


def _step_cases(seed: int) -> list[Case]:
    by_hand = [(5, 4.2), (20, 3.5), (80, 3.4), (320, 2.6), (1280, 2.5)]
    cases = [Case("a curve of five points", (by_hand,))]
    for number, (n_points, from_zero) in enumerate(((12, True), (25, False), (40, True))):
        label = f"{n_points} points" + (" and one at step 0" if from_zero else "")
        cases.append(Case(label, (_curve(seed + 10 * number, n_points, from_zero),)))
    rises = [(step, 8 - loss) for step, loss in _curve(seed + 77, 9, False)]
    cases.append(Case("a loss that mostly rises", (rises,)))
    shakes = decimals(seed, 5, -0.05, 0.05)
    for words, steps, losses in (
        ("step 1, fastest fall at the start", (1, 4, 20, 100), (4.2, 2.6, 2.2, 2.0)),
        ("step 0, fastest fall after the next", (0, 2, 6, 30), (4.2, 4.0, 2.5, 2.2)),
        ("the fastest fall at the end", (10, 40, 160, 320), (4.0, 3.8, 3.5, 2.0)),
        ("a loss that only rises", (3, 9, 40, 90), (2.0, 2.2, 3.3, 4.4)),
        ("a loss that only rises, from step 0", (0, 3, 12, 30), (1.0, 2.0, 2.4, 3.3)),
    ):
        shaken = (round(loss + shake, 4) for loss, shake in zip(losses, shakes, strict=False))
        cases.append(Case(words, (list(zip(steps, shaken, strict=True)),)))
    return cases


def _steepest_fall(curve: list[tuple[int, float]]) -> float:
    """The natural logarithms first, then the middle between them, taken back."""
    steepest, found = None, 0.0
    for index in range(1, len(curve)):
        (earlier, before), (later, after) = curve[index - 1], curve[index]
        if earlier == 0:
            continue
        start, end = math.log(earlier), math.log(later)
        slope = (after - before) / (end - start)
        if steepest is None or slope < steepest:
            steepest, found = slope, math.exp((start + end) / 2)
    return found


PHASE_CHANGE_STEP = Exercise(
    name="phase_change_step",
    difficulty=2,
    minutes=10,
    why='"When did it change?" has no answer before you say how change is measured.',
    cases=_step_cases,
    oracle=_steepest_fall,
    compare=CLOSE,
    mistakes=mistakes.STEP_MISTAKES,
)


# uniform_copying_loss_formula


def _loss_of_uniform_copying(V: float, P: float, r: float) -> float:
    """The mean surprise over all tokens, one by one: how often each comes, and what it costs."""
    total = 0.0
    for token in range(int(V)):
        probability = r / P if token < P else (1 - r) / (V - P)
        total += probability * -math.log(probability)
    return total


UNIFORM_COPYING_LOSS_FORMULA = Exercise(
    name="uniform_copying_loss_formula",
    difficulty=2,
    minutes=10,
    why="A plateau means little without a number to compare it with.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _loss_of_uniform_copying,
    compare=formula(V=(40, 80), P=(4, 30), r=(0.05, 0.95)),
    mistakes=mistakes.FORMULA_MISTAKES,
)


# bigram_posterior_formula


def _posterior_mean(m: float, k: float, K: float) -> float:
    """The mean of p over its posterior, as two integrals by Simpson's rule.

    The chance p of one of K states is distributed as (1 − p)^(K − 2) if the whole distribution is
    uniform, and the likelihood of what was seen is p^m (1 − p)^k.
    """
    n, above, below = 2000, 0.0, 0.0
    for index in range(n + 1):
        p = index / n
        simpson = 1 if index in (0, n) else 4 if index % 2 else 2
        weight = simpson * p**m * (1 - p) ** (k + K - 2)
        above, below = above + weight * p, below + weight
    return above / below


BIGRAM_POSTERIOR_FORMULA = Exercise(
    name="bigram_posterior_formula",
    difficulty=2,
    minutes=12,
    why="A loss is good or bad only beside the best one that is possible.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _posterior_mean,
    compare=formula(m=(0, 12), k=(0, 12), K=(2, 6)),
    mistakes=chain_mistakes.POSTERIOR_MISTAKES,
)


# bayes_bigram


def _chain_cases(seed: int) -> list[Case]:
    cases = []
    for number, (n_states, rows, n_pos) in enumerate(((3, 4, 12), (2, 5, 9), (5, 3, 16))):
        tokens = chain_rows(n_states, n_pos, batch=rows, seed=seed + number)
        cases.append(Case(f"{rows} rows of {n_pos}, {n_states} states", (tokens, n_states)))
    runs = torch.tensor([[0, 0, 0, 1, 1, 0, 0], [2, 2, 2, 2, 2, 2, 2]])
    cases.append(Case("states that stay", (runs, 3)))
    cases.append(Case("one position: nothing is known", (torch.tensor([[1], [0]]), 4)))
    return cases


def _ratio_of_evidence(tokens: Tensor, n_states: int) -> Tensor:
    """The probability of the row with the next state, over that of the row: no counting of pairs.

    The evidence of a row is the mean of its probability over all matrices of the prior, a product
    of Gamma functions for each state.
    """

    def log_evidence(row: list[int]) -> float:
        total = -math.log(n_states)
        for state in range(n_states):
            after = [row[i + 1] for i in range(len(row) - 1) if row[i] == state]
            total += math.lgamma(n_states) - math.lgamma(n_states + len(after))
            total += sum(math.lgamma(1 + after.count(other)) for other in range(n_states))
        return total

    found = torch.zeros(*tokens.shape, n_states)
    for index, row in enumerate(tokens.tolist()):
        for at in range(len(row)):
            seen = row[: at + 1]
            for state in range(n_states):
                ratio = log_evidence([*seen, state]) - log_evidence(seen)
                found[index, at, state] = math.exp(ratio)
    return found


BAYES_BIGRAM = Exercise(
    name="bayes_bigram",
    difficulty=2,
    minutes=15,
    why="No model can do better on these rows than this one function.",
    cases=_chain_cases,
    oracle=_ratio_of_evidence,
    mistakes=chain_mistakes.BIGRAM_MISTAKES,
)


# smeared_keys


def _keys_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for shape in ((2, 3, 5, 4), (1, 2, 2, 3), (3, 1, 6, 2), (1, 4, 1, 3)):
        keys = torch.randn(*shape, generator=generator)
        alpha = 2 * torch.randn(shape[1], generator=generator)
        cases.append(Case(f"keys [{' '.join(map(str, shape))}]", (keys, alpha)))
    return cases


def _keys_by_loops(keys: Tensor, alpha: Tensor) -> Tensor:
    mixed = keys.clone()
    for row in range(keys.shape[0]):
        for head in range(keys.shape[1]):
            kept = 1 / (1 + math.exp(-alpha[head].item()))
            for pos in range(1, keys.shape[2]):
                here, before = keys[row, head, pos], keys[row, head, pos - 1]
                mixed[row, head, pos] = kept * here + (1 - kept) * before
    return mixed


SMEARED_KEYS = Exercise(
    name="smeared_keys",
    difficulty=2,
    minutes=8,
    why="One line lets a single layer form induction heads.",
    cases=_keys_cases,
    oracle=_keys_by_loops,
    mistakes=mistakes.SMEARED_MISTAKES,
)


# induction_formation_correlates


def _snapshots(seed: int, shape: tuple[int, ...], layer: int, forms: bool) -> list[dict[str, Any]]:
    """What training might give: heads that form or drift, and losses that go with them.

    A head of `layer` forms. With several layers a head of another one scores at first.
    """
    generator = torch.Generator().manual_seed(seed)
    n, snapshots = 14, []
    middle = 4 + 5 * torch.rand((), generator=generator).item()
    chosen = int(torch.randint(shape[layer], (), generator=generator))
    for number in range(n):
        noise = torch.rand(64, generator=generator).tolist()
        formed = 1 / (1 + math.exp(1.3 * (middle - number))) if forms else 0.1 * number / n
        heads = [[round(0.05 + 0.04 * noise.pop(), 4) for _ in range(size)] for size in shape]
        if len(shape) > 1:
            heads[layer - 1][-1] = round(0.5 * (1 - number / n) + 0.03 * noise.pop(), 4)
        heads[layer][chosen] = round(0.06 + 0.85 * formed + 0.03 * noise.pop(), 4)
        snapshots.append(
            {
                "step": 20 * number,
                "induction": heads,
                "in_context_learning": round(-2.6 * formed - 0.02 * number + 0.3 * noise.pop(), 4),
                "control_loss": round(4.2 + 0.5 * formed - 0.01 * number + 0.4 * noise.pop(), 4),
            }
        )
    return snapshots


def _correlates_cases(seed: int) -> list[Case]:
    kinds = (((2, 2), 1, True), ((4, 4, 4), 0, True), ((2,), 0, False), ((3, 3, 3), 1, True))
    return [
        Case(
            f"{len(shape)} layer{'s' * (len(shape) > 1)}, a head {'forms' if forms else 'drifts'}",
            (_snapshots(seed + number, shape, layer, forms),),
        )
        for number, (shape, layer, forms) in enumerate(kinds)
    ]


def _pearson_by_loops(x: list[float], y: list[float]) -> float:
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    both = left = right = 0.0
    for a, b in zip(x, y, strict=True):
        both += (a - mean_x) * (b - mean_y)
        left += (a - mean_x) ** 2
        right += (b - mean_y) ** 2
    return both / math.sqrt(left * right)


def _correlations(snapshots: list[dict[str, Any]]) -> dict[str, float]:
    best, learning, control = [], [], []
    for snapshot in snapshots:
        highest = 0.0
        for layer in snapshot["induction"]:
            for score in layer:
                highest = score if score > highest else highest
        best.append(highest)
        learning.append(snapshot["in_context_learning"])
        control.append(snapshot["control_loss"])
    steps = range(1, len(best))
    moved, learned, lost = ([v[i] - v[i - 1] for i in steps] for v in (best, learning, control))
    return {
        "levels": _pearson_by_loops(best, learning),
        "changes": _pearson_by_loops(moved, learned),
        "control": _pearson_by_loops(moved, lost),
    }


INDUCTION_FORMATION_CORRELATES = Exercise(
    name="induction_formation_correlates",
    difficulty=3,
    minutes=20,
    why="Two curves that both go somewhere correlate, whatever they are.",
    cases=_correlates_cases,
    oracle=_correlations,
    compare=CLOSE,
    mistakes=mistakes.CORRELATES_MISTAKES,
)


# train_induction_heads

_PERIODS = (8, 11, 16)
_OWN = "the weights are not those of a model of the package"
_OTHER = "another seed gives another model"


@dataclass(frozen=True)
class _TrainCase(Case):
    """A seed to train with, and the seed from which held-out tokens are drawn."""

    probe: int = 0


def _train_cases(seed: int) -> list[Case]:
    seeds = whole_numbers(seed, 2, 0, 10**5)
    return [_TrainCase(f"seed {one}", (one,), probe=seed + one) for one in seeds]


def _a_trained_model(seed: int) -> dict[str, Any]:
    """What is true of a model that does what was asked for."""
    facts: dict[str, Any] = {}
    for period in _PERIODS:
        facts[f"period {period}: the second copy costs less than 1 nat"] = True
    for period in _PERIODS:
        facts[f"period {period}: a head has an induction score of 0.4 or more"] = True
    for period in _PERIODS:
        facts[f"period {period}: it scores less than half where nothing repeats"] = True
    return facts | {_OWN: True, _OTHER: True}


@torch.no_grad()
def _measured(model: AttentionOnly, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """The loss of each token, and the mean pattern over rows of each head of each layer."""
    residual, patterns = model.embed(tokens), []
    for layer in model.layers:
        assert isinstance(layer, AttentionLayer)
        patterns.append(layer.pattern(layer.norm(residual)).mean(dim=0))
        residual = residual + layer(residual)
    logits = model.norm(residual) @ model.W_U
    right = logits.log_softmax(dim=-1)[:, :-1].gather(-1, tokens[:, 1:, None])[..., 0]
    return -right, torch.cat(patterns)


def _stripe(patterns: Tensor, period: int) -> Tensor:
    """The mean weight of each head on key = query − period + 1, in the last copy."""
    query = torch.arange(period, 2 * period)
    return patterns[:, query, query - period + 1].mean(dim=-1)


def _fixed_distance(patterns: Tensor) -> float:
    """The highest mean weight that a head has on a key two or more back, at one fixed distance."""
    n_pos = patterns.shape[-1]
    weights = [
        patterns.diagonal(-back, dim1=-2, dim2=-1).mean(dim=-1).max().item()
        for back in range(2, n_pos - 3)
    ]
    return max(weights)


_known: dict[tuple[str, int], dict[str, Any]] = {}
"""Facts of models met before: an answer is compared with every known mistake."""


def _facts(model: AttentionOnly, probe: int) -> dict[str, Any]:
    """What is graded, what was measured, and the kind of failure, which is not graded."""
    key = digest(model), probe
    if key not in _known:
        if len(_known) > 256:
            _known.clear()
        _known[key] = _tried(model, probe)
    return dict(_known[key])


def _tried(model: AttentionOnly, probe: int) -> dict[str, Any]:
    facts: dict[str, Any] = dict(_a_trained_model(0))
    words, scores, gains, first, distances = [], [], [], [], []
    for period in _PERIODS:
        tokens = repeated_tokens(64, period, batch=64, seed=probe + period)
        control = distinct_tokens(64, 2 * period, 64, probe + period)
        losses, patterns = _measured(model, tokens)
        _, elsewhere = _measured(model, control)
        looks, there = _stripe(patterns, period), _stripe(elsewhere, period)
        best = int(looks.argmax())
        score, unrelated = looks[best].item(), there[best].item()
        second = losses[:, 1 - period :].mean().item()
        first.append(losses[:, : period - 1].mean().item())
        gains.append(first[-1] - second)
        scores.append(score)
        distances.append(_fixed_distance(elsewhere))
        facts[f"period {period}: the second copy costs less than 1 nat"] = second < 1
        facts[f"period {period}: a head has an induction score of 0.4 or more"] = score >= 0.4
        facts[f"period {period}: it scores less than half where nothing repeats"] = (
            unrelated < score / 2
        )
        words.append(f"{period}: {second:.2f} nats, score {score:.2f} (control {unrelated:.2f})")
    facts[_OWN] = not any(_alike(model, other) for other in _models_of_the_package())
    facts["measured"] = "; ".join(words)
    kinds = {
        "fine": all(facts.values()),
        "one layer": model.config.n_layers == 1,
        "by heart": max(first) > 7 and max(distances) < 0.5,
        "fixed distance": max(distances) >= 0.5,
        "no gain": sum(gains) / len(gains) < 0.1,
        "no head yet": max(scores) < 0.4,
        "copied": not facts[_OWN],
    }
    facts["kind"] = next((kind for kind, holds in kinds.items() if holds), "other")
    return facts


def _described_models(cases: list[Case], answers: list[Any]) -> list[dict[str, Any]]:
    """Facts about each model. Raises ValueError for a model of other sizes."""
    models, found = [], []
    for case, answer in zip(cases, answers, strict=True):
        model = returned_model(answer)
        config = model.config
        if (config.d_vocab, config.n_ctx) != (64, 32) or config.n_layers > 4:
            raise ValueError(
                f"it has d_vocab {config.d_vocab}, n_ctx {config.n_ctx} and {config.n_layers} "
                "layers; expected 64, 32 and at most 4"
            )
        facts = _facts(model, getattr(case, "probe", 0))
        if any(_alike(model, one) for one in models):
            # Any other failure says more about the model than that it is the same for two seeds.
            kind = "the same model" if facts["kind"] == "fine" else facts["kind"]
            facts |= {_OTHER: False, "kind": kind}
        models.append(model)
        found.append(facts)
    return found


@cache
def _models_of_the_package() -> tuple[AttentionOnly, ...]:
    """The models with 64 ids that the package has. Their snapshots have similar embeddings."""
    names = ("toy-1l", "toy-2l", "markov-2l")
    matching = (f"matching/{kind}" for kind in ("concepts", "copies", "gaps", "translation"))
    return tuple(map(load_attention_only, (*names, *matching)))


def _alike(one: AttentionOnly, other: AttentionOnly) -> bool:
    """Whether the tokens have the same embeddings, but for noise or a rotation.

    Embeddings start at random, so that the products of two different tokens in one model say
    nothing about those in another one.
    """
    if torch.equal(one.W_E, other.W_E):
        return True
    products = []
    for model in (one, other):
        centered = model.W_E.double() - model.W_E.double().mean(dim=0)
        gram = centered @ centered.T
        products.append(gram[~torch.eye(len(gram), dtype=torch.bool)])
    return torch.corrcoef(torch.stack(products))[0, 1].item() > 0.5


def _same_facts(answer: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """The first fact that differs, with what was measured. Of a mistake, the kind is compared."""
    if "kind" in expected:
        same = answer["kind"] == expected["kind"] != "other"
        return None if same else f"{answer['kind']}, not {expected['kind']}"
    for name, right in expected.items():
        if answer[name] != right:
            return f"{name!r} is {answer[name]}, expected {right}. {answer['measured']}."
    return None


TRAIN_INDUCTION_HEADS = Exercise(
    name="train_induction_heads",
    difficulty=3,
    minutes=30,
    why="What you can make happen, you understand in part.",
    cases=_train_cases,
    oracle=_a_trained_model,
    compare=_same_facts,
    describe=_described_models,
    seconds=600,
    mistakes=train_mistakes.TRAIN_MISTAKES,
)


EXERCISES = (
    IN_CONTEXT_LEARNING_SCORE,
    PHASE_CHANGE_STEP,
    UNIFORM_COPYING_LOSS_FORMULA,
    BIGRAM_POSTERIOR_FORMULA,
    BAYES_BIGRAM,
    SMEARED_KEYS,
    INDUCTION_FORMATION_CORRELATES,
    TRAIN_INDUCTION_HEADS,
)
