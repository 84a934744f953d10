"""Checks of chapter 9: repeats counted, patterns held in training, and a prediction from data."""

import hashlib
import math
from functools import cache
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.course.ch09_what_must_go_right import formula_mistakes, mistakes
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.formulas import formula
from induction_heads.course.plain_forward import forward, losses
from induction_heads.course.random_inputs import whole_numbers
from induction_heads.data.tokens import repeated_tokens
from induction_heads.data.toy_rows import DATA_KINDS, bursty_tokens, ring_rows, tiled_rows
from induction_heads.interp.formation import formation_step
from induction_heads.models.hand_built import hand_built_heads
from induction_heads.models.interface import HookedModel
from induction_heads.sweeps.stored_results import stored_sweep
from induction_heads.training.recipes import RECIPES, new_model

# repeat_statistics


def _statistics_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    few = bursty_tokens(40, 9, few=3, batch=5, seed=generator)
    tiled = tiled_rows(generator, n_pos=24, batch=6, periods=(3, 7), share=0.5, noise=0.1)
    rings = ring_rows(generator, size=4, shared=True)[:8, :16]
    never = torch.randperm(30, generator=generator).reshape(3, 10)
    runs = torch.randint(2, (4, 9), generator=generator)
    return [
        Case("five rows of three tokens each", (few,)),
        Case("six rows, half of them blocks that repeat", (tiled,)),
        Case("eight rows of rings that all rows share", (rings,)),
        Case("three rows without any repeat", (never,)),
        Case("four rows of two tokens, with runs of the same one", (runs,)),
    ]


def _statistics_by_loops(tokens: Tensor) -> dict[str, float]:
    """Every pair of positions is looked at."""
    rows = tokens.tolist()
    n_pos, earlier, distances = len(rows[0]), 0, []
    followers: dict[int, list[int]] = {}
    for row in rows:
        for query in range(n_pos):
            copies = [key for key in range(query) if row[key] == row[query]]
            earlier += len(copies) > 0
            if query == n_pos - 1:
                continue
            followers.setdefault(row[query], []).append(row[query + 1])
            if copies and row[max(copies) + 1] == row[query + 1]:
                distances.append(query - max(copies))
    n_next = len(rows) * (n_pos - 1)
    most = sum(max(map(each.count, each)) for each in followers.values())
    same = max(map(distances.count, distances)) / len(distances) if distances else 0.0
    return {
        "repeated": earlier / (len(rows) * n_pos),
        "usable": len(distances) / n_next,
        "one_distance": same,
        "by_heart": most / n_next,
    }


REPEAT_STATISTICS = Exercise(
    name="repeat_statistics",
    difficulty=2,
    minutes=20,
    why="The data are the first thing to look at, and four numbers say more than one.",
    cases=_statistics_cases,
    oracle=_statistics_by_loops,
    mistakes=mistakes.STATISTICS_MISTAKES,
)


# chance_repeats_formula


def _share_of_repeats(n: float, V: float) -> float:
    """The token at each position is new if all earlier ones differ from it."""
    return sum(1 - ((V - 1) / V) ** position for position in range(int(n))) / n


CHANCE_REPEATS_FORMULA = Exercise(
    name="chance_repeats_formula",
    difficulty=2,
    minutes=8,
    why="What repeats by chance is the baseline.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _share_of_repeats,
    compare=formula(n=(2, 60), V=(3, 90)),
    mistakes=formula_mistakes.CHANCE_MISTAKES,
)


# intact_repeats_formula


def _all_four_stay(q: float) -> float:
    """All sixteen ways to keep or lose four tokens, and the one that keeps them all."""
    ways = product(((True, 1 - q), (False, q)), repeat=4)
    return sum(math.prod(chance for _, chance in way) for way in ways if all(s for s, _ in way))


INTACT_REPEATS_FORMULA = Exercise(
    name="intact_repeats_formula",
    difficulty=1,
    minutes=4,
    why="A little noise spoils more repeats than tokens.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _all_four_stay,
    compare=formula(q=(0.02, 0.95)),
    mistakes=formula_mistakes.INTACT_MISTAKES,
)


# emergence_time_formula


def _time_of_the_mark(N: float, c: float, g: float) -> float:
    """The two equations step by step (midpoint rule), until the mark has passed 1."""
    rate, mark, match, time = c * g / N**2, 0.0, 0.0, 0.0
    step = 1e-3 / rate
    while True:
        faster = rate * (match + rate * step / 2)
        if mark + faster * step >= 1:
            break
        mark, match, time = mark + faster * step, match + rate * step, time + step
    early, late = 0.0, step  # Where in this step it is, by halving.
    for _ in range(60):
        middle = (early + late) / 2
        passed = mark + rate * (match + rate * middle / 2) * middle >= 1
        early, late = (early, middle) if passed else (middle, late)
    return time + late


EMERGENCE_TIME_FORMULA = Exercise(
    name="emergence_time_formula",
    difficulty=2,
    minutes=12,
    why="A law is worth more if you can say where its exponent is from.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _time_of_the_mark,
    compare=formula(N=(4, 80), c=(0.2, 3.0), g=(0.5, 4.0)),
    mistakes=formula_mistakes.TIME_MISTAKES,
)


# clamp_patterns_during_training


def _clamp_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    loose = torch.randn(32, 32, generator=generator) * 2
    future = torch.ones(32, 32).triu(1).bool()
    patterns = loose.masked_fill(future, -math.inf).softmax(dim=-1)
    back = torch.eye(32).roll(-1, dims=1).tril()
    back[0, 0] = 1
    first, second = whole_numbers(seed, 2, 0, 9999)
    return [
        Case("two heads of different layers", ({(0, 1): patterns, (1, 0): back}, first, 20)),
        Case("L0H1 at its previous token, seed and steps as in the signature", ({(0, 1): back},)),
        Case("L1H0 at a random pattern", ({(1, 0): patterns}, second, 20)),
        Case("no head at all", ({}, second, 5)),
    ]


def _trained_by_hand(patterns: dict, seed: int = 0, steps: int = 30) -> Tensor:
    """The forward pass head by head and the updates of AdamW, from the weights of a new model."""
    recipe = RECIPES["toy-2l"]
    weights = {
        name: value.clone().requires_grad_()
        for name, value in new_model(recipe, seed).state_dict().items()
    }
    settings, generator = recipe.settings, torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        weights.values(), lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay
    )
    found = []
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = settings.learning_rate * min(1, (step + 1) / 50)
        tokens = recipe.sample(generator)
        logits = _logits(weights, tokens, patterns)
        loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights.values(), settings.clip)
        optimizer.step()
        found.append(loss.item())
    return torch.tensor(found)


def _logits(weights: dict[str, Tensor], tokens: Tensor, patterns: dict) -> Tensor:
    n_pos = tokens.shape[1]
    keep = torch.ones(n_pos, n_pos).tril().bool()
    residual = weights["W_E"][tokens] + weights["W_pos"][:n_pos]
    for layer in range(2):
        written = []
        for head in range(2):
            W_Q, W_K, W_V, W_O = (weights[f"layers.{layer}.W_{name}"][head] for name in "QKVO")
            scores = (residual @ W_Q) @ (residual @ W_K).mT / math.sqrt(W_Q.shape[-1])
            pattern = scores.masked_fill(~keep, -math.inf).softmax(dim=-1)
            if (layer, head) in patterns:
                pattern = patterns[layer, head].expand_as(pattern)
            written.append(pattern @ (residual @ W_V) @ W_O)
        residual = residual + written[0] + written[1]
    return residual @ weights["W_U"]


CLAMP_PATTERNS_DURING_TRAINING = Exercise(
    name="clamp_patterns_during_training",
    difficulty=3,
    minutes=20,
    why="To learn what one part waits for, give it the other part for free.",
    cases=_clamp_cases,
    oracle=_trained_by_hand,
    compare=closeness(1e-3, 0.0),
    seconds=120,
    mistakes=mistakes.CLAMP_MISTAKES,
)


# joint_ablation_gap


def _gap_cases(seed: int) -> list[Case]:
    toy, tokens = ModelInput(name="toy-2l"), repeated_tokens(64, 12, batch=8, seed=seed)
    options: dict[str, Any] = {"n_heads": 3, "d_vocab": 24}
    places = hand_built_heads("induction", n_heads=3, seed=seed)
    built = ModelInput(kind="induction", options={"seed": seed, **options})
    heads = [places["previous_token"], places["induction"]]
    other = next(h for h in range(3) if (1, h) != places["induction"])
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    three = list(enumerate(whole_numbers(seed, 3, 0, 2)))
    return [
        Case("toy-2l, both heads of layer 1", (toy, tokens, [(1, 0), (1, 1)])),
        Case("toy-2l, one head of each layer", (toy, tokens, [(0, 1), (1, 0)])),
        Case("toy-2l, three heads", (toy, tokens, [(0, 0), (1, 0), (1, 1)])),
        Case(
            "random heads of three layers",
            (random, repeated_tokens(20, 8, batch=4, seed=seed, bos_token=0), three),
        ),
        Case(
            "a hand-built model, two heads of one circuit",
            (built, repeated_tokens(24, 9, batch=6, seed=seed), heads),
        ),
        Case(
            "a hand-built model, an induction head and an idle one",
            (built, repeated_tokens(24, 8, batch=6, seed=seed + 1), [heads[1], (1, other)]),
        ),
    ]


def _gap_from_weights(model: HookedModel, tokens: Tensor, heads: Any) -> float:
    """Rises token by token, from the weights."""
    clean = losses(forward(model, tokens)[0], tokens)
    gap = torch.zeros_like(clean)
    for silent, sign in [(list(heads), 1), *(([head], -1) for head in heads)]:
        places = [tuple(place) for place in silent]
        logits = forward(model, tokens, silent=lambda a, b, p=places: (a, b) in p)[0]
        gap += sign * (losses(logits, tokens) - clean)
    return gap.mean().item()


JOINT_ABLATION_GAP = Exercise(
    name="joint_ablation_gap",
    difficulty=2,
    minutes=10,
    why="Heads that cover for each other look useless one at a time.",
    cases=_gap_cases,
    oracle=_gap_from_weights,
    compare=closeness(1e-3, 1e-3),
    mistakes=mistakes.GAP_MISTAKES,
)


# will_form

HELD_OUT = (
    (2, ("zipf-00-tiled", "zipf-10-tiled", "noise-05")),
    (1, ("own-ring-6",)),
    (1, ("bursty-4", "bursty-16", "mirrored")),
    (1, ("fixed-7", "fixed-13")),
    (2, ("shared-ring-8", "shared-ring-16")),
    (1, ("noise-20",)),
    (1, ("rows-25",)),
    (1, ("zipf-10", "zipf-15")),
)
"""How many kinds are asked of each group. The page shows the runs of `shared-ring-8` alone."""

ASKED_ROWS = 256

_kind_of: dict[str, str] = {}


def _form_cases(seed: int) -> list[Case]:
    """Rows of ten kinds in random order, and a note of which kind they are."""
    kinds = []
    for number, (count, names) in enumerate(HELD_OUT):
        drawn = whole_numbers(seed + number, count, 0, len(names) - 1)
        kinds += [names[index] for index in drawn]
    order, cases = whole_numbers(seed, len(kinds), 0, len(kinds) - 1), []
    generator = torch.Generator().manual_seed(seed)
    for index in order:
        data = DATA_KINDS[kinds[index]]
        tokens = torch.cat([data.sample(generator) for _ in range(ASKED_ROWS // data.batch)])
        _kind_of[_digest(tokens)] = kinds[index]
        cases.append(Case(f"256 rows: {data.words}", (tokens,)))
    return cases


def _digest(tokens: Tensor) -> str:
    return hashlib.sha256(tokens.numpy().tobytes()).hexdigest()


@cache
def _outcomes() -> dict[str, bool]:
    """Kind of data → whether most of the stored seeds formed within 400 steps."""
    steps: dict[str, list[int | None]] = {}
    for variant, record in stored_sweep("data"):
        steps.setdefault(variant.data, []).append(formation_step(record))
    formed = {kind: [s is not None and s <= 400 for s in each] for kind, each in steps.items()}
    return {kind: 2 * sum(each) > len(each) for kind, each in formed.items()}


def _what_the_runs_did(tokens: Tensor) -> bool:
    """No rule: the outcome of the training runs on the kind that these rows were drawn from."""
    return _outcomes()[_kind_of[_digest(tokens)]]


WILL_FORM = Exercise(
    name="will_form",
    difficulty=3,
    minutes=25,
    why="If you understand what makes a head form, you can predict it.",
    cases=_form_cases,
    oracle=_what_the_runs_did,
    seconds=60,
    mistakes=mistakes.FORM_MISTAKES,
)


EXERCISES = (
    REPEAT_STATISTICS,
    CHANCE_REPEATS_FORMULA,
    INTACT_REPEATS_FORMULA,
    EMERGENCE_TIME_FORMULA,
    CLAMP_PATTERNS_DURING_TRAINING,
    JOINT_ABLATION_GAP,
    WILL_FORM,
)
