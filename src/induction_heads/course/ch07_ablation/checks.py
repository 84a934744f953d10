"""Checks of chapter 7: ablation hooks, frozen patterns, cut paths, and a verdict on a head."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks.answers import ch07_ablation as known
from induction_heads.checks.answers import ch07_paths_and_verdicts as more
from induction_heads.checks.answers.ch07_ablation import forward, losses, only
from induction_heads.checks.compare import closeness
from induction_heads.checks.draw import decimals, whole_numbers
from induction_heads.checks.exercise import Case, Exercise, ModelInput
from induction_heads.checks.formulas import formula
from induction_heads.grading.wire import HookData
from induction_heads.hand_built import hand_built_heads
from induction_heads.tokens import make_repeated_tokens, repeated_tokens

_TOY = ModelInput(name="toy-2l")
CLOSE_LOGITS = closeness(1e-3, 1e-3)


# zero_ablation_hook and mean_ablation_hook


def _hook_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for shape, head in (((2, 3, 4, 5), 1), ((3, 6, 2, 4), 0), ((4, 5, 6, 7), 4)):
        z = torch.randn(*shape, generator=generator) + 1
        hook = HookData(f"blocks.{head}.attn.hook_z")
        sizes = " ".join(map(str, shape))
        cases.append(Case(f"z [{sizes}], head {head}", (z, hook), {"head": head}))
    return cases


def _zero_by_loops(z: Tensor, hook: Any, head: int) -> Tensor:
    rows = z.tolist()
    for row in rows:
        for heads in row:
            heads[head] = [0.0] * z.shape[3]
    return torch.tensor(rows)


def _mean_by_loops(z: Tensor, hook: Any, head: int) -> Tensor:
    rows = z.tolist()
    for pos in range(z.shape[1]):
        for entry in range(z.shape[3]):
            values = [row[pos][head][entry] for row in z.tolist()]
            for row in rows:
                row[pos][head][entry] = sum(values) / len(values)
    return torch.tensor(rows)


# Models


def _hand_built(kind: str, seed: int, **options: Any) -> tuple[ModelInput, dict]:
    """A model of that kind with its heads at places drawn from the seed, and those places."""
    n_heads = options.get("n_heads", 2)
    places = hand_built_heads(kind, n_heads=n_heads, seed=seed)
    return ModelInput(kind=kind, options={"seed": seed, **options}), places


def _random_tokens(seed: int, d_vocab: int, period: int, batch: int = 4) -> Tensor:
    return repeated_tokens(d_vocab, period, batch=batch, seed=seed)


def _score_cases(seed: int) -> list[Case]:
    built, _ = _hand_built("induction", seed, n_heads=3, d_vocab=24)
    return [
        Case("toy-2l, period 12", (_TOY, _random_tokens(seed, 64, 12))),
        Case("toy-2l, period 7", (_TOY, _random_tokens(seed + 1, 64, 7))),
        Case("a hand-built model, three heads a layer", (built, _random_tokens(seed, 24, 9))),
    ]


def _rises(model: Any, tokens: Tensor) -> Tensor:
    """Every head's output is taken out of the sum, one at a time."""
    clean = losses(forward(model, tokens)[0], tokens).mean()
    rises = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            changed = forward(model, tokens, silent=only(layer, head))[0]
            rises[layer, head] = losses(changed, tokens).mean() - clean
    return rises


def _preserving_cases(seed: int) -> list[Case]:
    built, places = _hand_built("induction", seed, n_heads=3, d_vocab=20)
    tokens = _random_tokens(seed, 64, 10)
    cases = [Case(f"toy-2l, L{layer}H{head}", (_TOY, tokens, layer, head))
             for layer, head in ((0, 0), (0, 1), (1, 0))]  # fmt: skip
    place = places["previous_token"]
    label = "a hand-built model, its previous-token head"
    return [*cases, Case(label, (built, _random_tokens(seed + 1, 20, 8), *place))]


def _with_patterns_kept(model: Any, tokens: Tensor, layer: int, head: int) -> Tensor:
    clean = forward(model, tokens)[1]
    kept = known.later(clean, layer)
    return forward(model, tokens, silent=only(layer, head), patterns=kept)[0]


# stripe_knockout


def _knockout_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for shape, period in (((2, 3, 9), 4), ((10,), 5), ((2, 7), 3)):
        scores = torch.randn(*shape, shape[-1], generator=generator)
        future = torch.ones(shape[-1], shape[-1]).triu(1).bool()
        pattern = scores.masked_fill(future, -math.inf).softmax(dim=-1)
        if period == 3:  # A perfect induction head: these rows have nothing but the stripe.
            pattern[..., -2:, :] = torch.eye(7)[-4:-2]
        label = f"a pattern {list(pattern.shape)}, period {period}"
        cases.append(Case(label, (pattern, period)))
    return cases


def _without_stripe(pattern: Tensor, period: int) -> Tensor:
    *leading, n_pos, _ = pattern.shape
    patterns = pattern.reshape(-1, n_pos, n_pos).tolist()
    for rows in patterns:
        for query in range(n_pos - period, n_pos):
            row = rows[query]
            row[query - period + 1] = 0.0
            total = sum(row)
            even = [float(key <= query and key != query - period + 1) / query
                    for key in range(n_pos)]  # fmt: skip
            rows[query] = [weight / total for weight in row] if total > 1e-6 else even
    return torch.tensor(patterns).reshape(*leading, n_pos, n_pos)


# knockout_gain_formula


def _gain_of_a_row(s: float) -> float:
    """A row with weight s on the stripe and three other keys, before and after."""
    others = [(1 - s) * share for share in (0.5, 0.3, 0.2)]
    scaled = [weight / sum(others) for weight in others]
    return scaled[0] / others[0]


# path_ablation


def _path_cases(seed: int) -> list[Case]:
    (d_vocab,), (sharpness,) = whole_numbers(seed, 1, 24, 40), decimals(seed, 1, 4.0, 7.0)
    options = {"n_heads": 3, "d_vocab": d_vocab, "sharpness": sharpness}
    built, places = _hand_built("induction", seed, **options)
    sender, receiver = places["previous_token"], places["induction"]
    toy = [("K", 0, 0), ("K", 0, 1), ("K", 1, 0), ("Q", 1, 1), ("V", 1, 0)]
    cases = [Case(f"toy-2l, from L0H{a} to L1H{b}, side {side}", (_TOY, (0, a), (1, b), side))
             for side, a, b in toy]  # fmt: skip
    cases += [Case(f"a hand-built model, side {side}", (built, sender, receiver, side))
              for side in "KQ"]  # fmt: skip
    return cases


def _rise_without_path(model: Any, sender: Any, receiver: Any, side: str) -> float:
    tokens = make_repeated_tokens(model, period=12, batch=32)
    cut = (tuple(sender), lambda place: place == tuple(receiver), side)
    changed, clean = forward(model, tokens, cut=cut)[0], forward(model, tokens)[0]
    return (losses(changed, tokens) - losses(clean, tokens))[:, -11:].mean().item()


# verify_induction_behavior


def _verify_cases(seed: int) -> list[Case]:
    zoo = [("toy-2l", 0, 0), ("toy-2l", 1, 0), ("toy-2l", 1, 1), ("python-2l", 1, 0)]
    cases = [Case(f"{name}, L{layer}H{head}", (ModelInput(name=name), layer, head))
             for name, layer, head in zoo]  # fmt: skip
    (d_vocab,), (n_ctx,) = whole_numbers(seed, 1, 24, 44), whole_numbers(seed + 1, 1, 40, 48)
    options = {"n_heads": 3, "d_vocab": d_vocab, "n_ctx": n_ctx}
    built = [("induction", "induction", seed + 1, {}), ("induction", "previous_token", seed, {}),
             ("induction", "induction", seed + 2, {"bos_token": 5, "sharpness": 6.0})]  # fmt: skip
    built += [("fixed_offset", "fixed_offset", seed + n, {"offset": n}) for n in (7, 11, 15)]
    decoys = ("duplicate_token", "bos_sink", "previous_token", "anti_induction", "no_copying")
    built += [(kind, kind, seed + 3, {}) for kind in decoys]
    for kind, name, place_seed, extra in built:
        model, places = _hand_built(kind, place_seed, **options, **extra)
        words = f"{name} head of a hand-built {kind} model".replace("_", " ")
        cases.append(Case(f"the {words}, {extra}" if extra else f"the {words}",
                          (model, *places[name])))  # fmt: skip
    return cases


def _verdict_by_definition(model: Any, layer: int, head: int) -> dict[str, float | bool]:
    """The lowest of three periods against the highest of three controls."""
    looks, rises, controls = [], [], []
    for score, rise, control in more.measured(model, layer, head):
        looks.append(score)
        rises.append(rise)
        controls.append(control)
    needed = min(rises) >= 0.1 and min(rises) > 2 * max(controls)
    return {
        "induction_attention": min(looks),
        "loss_increase": min(rises),
        "control_loss_increase": max(controls),
        "is_induction": min(looks) >= 0.4 and needed,
    }


def _same_verdict(answer: Any, expected: dict) -> str | None:
    """The same verdict; the numbers as close as different random tokens leave them."""
    if not isinstance(answer, dict) or set(answer) != set(expected):
        return closeness()(answer, expected)
    for name, right in expected.items():
        rough = 0.06 if name == "induction_attention" else 0.3 + 0.1 * abs(right)
        tolerance = 1e-5 if name == "is_induction" else rough
        if said := closeness(tolerance, 0.0)(answer[name], right):
            return f"at {name!r}: {said}"
    return None


EXERCISES = (
    Exercise(
        name="zero_ablation_hook", difficulty=1, minutes=4,
        why="It is the shortest experiment there is.",
        cases=_hook_cases, oracle=_zero_by_loops,
        mistakes=known.ZERO_MISTAKES, also_right=known.ZERO_ALSO_RIGHT,
    ),
    Exercise(
        name="mean_ablation_hook", difficulty=1, minutes=5,
        why="It removes what a head says about one row, and keeps what it says about all of them.",
        cases=_hook_cases, oracle=_mean_by_loops,
        mistakes=known.MEAN_MISTAKES, also_right=known.MEAN_ALSO_RIGHT,
    ),
    Exercise(
        name="ablation_scores", difficulty=2, minutes=12,
        why="A single ablation means nothing beside no other.",
        cases=_score_cases, oracle=_rises, compare=CLOSE_LOGITS,
        mistakes=known.SCORES_MISTAKES, also_right=known.SCORES_ALSO_RIGHT,
    ),
    Exercise(
        name="pattern_preserving_ablation", difficulty=2, minutes=15,
        why="It separates what a head says from where it makes others look.",
        cases=_preserving_cases, oracle=_with_patterns_kept, compare=CLOSE_LOGITS,
        mistakes=known.PRESERVING_MISTAKES, also_right=known.PRESERVING_ALSO_RIGHT,
    ),
    Exercise(
        name="stripe_knockout", difficulty=2, minutes=12,
        why="It removes one behavior and leaves the rest of the head.",
        cases=_knockout_cases, oracle=_without_stripe,
        mistakes=known.KNOCKOUT_MISTAKES, also_right=known.KNOCKOUT_ALSO_RIGHT,
    ),
    Exercise(
        name="knockout_gain_formula", difficulty=2, minutes=5,
        why="What the head whispered, it may now say aloud.",
        cases=lambda seed: [Case("your formula")], oracle=lambda: _gain_of_a_row,
        compare=formula(s=(0.05, 0.95)),
        mistakes=known.GAIN_MISTAKES, also_right=known.GAIN_ALSO_RIGHT,
    ),
    Exercise(
        name="path_ablation", difficulty=3, minutes=20,
        why="It tests the arrow between two heads, not the heads.",
        cases=_path_cases, oracle=_rise_without_path, compare=CLOSE_LOGITS,
        mistakes=more.PATH_MISTAKES, also_right=more.PATH_ALSO_RIGHT,
    ),
    Exercise(
        name="verify_induction_behavior", difficulty=3, minutes=25,
        why="This is the claim of the book for one head, with its controls.",
        cases=_verify_cases, oracle=_verdict_by_definition, compare=_same_verdict, seconds=60,
        mistakes=more.VERIFY_MISTAKES, also_right=more.VERIFY_ALSO_RIGHT,
    ),
)  # fmt: skip
