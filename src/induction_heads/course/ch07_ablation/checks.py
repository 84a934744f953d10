"""Checks of chapter 7: ablation, frozen patterns, cut paths, a verdict, a circuit and patches."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch07_ablation import (
    circuit_mistakes,
    knockout_mistakes,
    mistakes,
    patching_mistakes,
    path_mistakes,
)
from induction_heads.course.ch07_ablation.inputs import (
    differing_rows,
    in_float64,
    later,
    logit_gap,
    measured,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.formulas import formula
from induction_heads.course.model_inputs import built_heads
from induction_heads.course.plain_forward import forward, losses, only
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.data.tokens import make_repeated_tokens, repeated_tokens
from induction_heads.models.interface import HookedModel
from induction_heads.models.plain_data import HookData

_TOY = ModelInput(name="toy-2l")
CLOSE_LOGITS = closeness(1e-3, 1e-3)


def _hand_built(kind: str, seed: int, **options: Any) -> tuple[ModelInput, dict]:
    """A model of that kind with its heads at places drawn from the seed, and those places."""
    n_heads = options.get("n_heads", 2)
    places = built_heads(kind, n_heads=n_heads, seed=seed)
    return ModelInput(kind=kind, options={"seed": seed, **options}), places


def _three_layers(seed: int) -> ModelInput:
    """A random model of three layers, whose BOS token has id 0."""
    return ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})


def _random_tokens(seed: int, d_vocab: int, period: int, batch: int = 4) -> Tensor:
    return repeated_tokens(d_vocab, period, batch=batch, seed=seed)


# zero_ablation_hook


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


ZERO_ABLATION_HOOK = Exercise(
    name="zero_ablation_hook",
    difficulty=1,
    minutes=4,
    why="It is the shortest experiment there is.",
    cases=_hook_cases,
    oracle=_zero_by_loops,
    mistakes=mistakes.ZERO_MISTAKES,
)


# mean_ablation_hook


def _mean_by_loops(z: Tensor, hook: Any, head: int) -> Tensor:
    rows = z.tolist()
    for pos in range(z.shape[1]):
        for entry in range(z.shape[3]):
            values = [row[pos][head][entry] for row in z.tolist()]
            for row in rows:
                row[pos][head][entry] = sum(values) / len(values)
    return torch.tensor(rows)


MEAN_ABLATION_HOOK = Exercise(
    name="mean_ablation_hook",
    difficulty=1,
    minutes=5,
    why="It removes what a head writes about one row and keeps what it writes in all of them.",
    cases=_hook_cases,
    oracle=_mean_by_loops,
    mistakes=mistakes.MEAN_MISTAKES,
)


# ablation_scores


def _score_cases(seed: int) -> list[Case]:
    built, _ = _hand_built("induction", seed, n_heads=3, d_vocab=24)
    return [
        Case("toy-2l, period 12", (_TOY, _random_tokens(seed, 64, 12))),
        Case("three layers of random heads", (_three_layers(seed), _random_tokens(seed, 20, 7, 3))),
        Case("a hand-built model, three heads a layer", (built, _random_tokens(seed, 24, 9))),
    ]


def _rises(model: HookedModel, tokens: Tensor) -> Tensor:
    """Every head's output is taken out of the sum, one at a time."""
    clean = losses(forward(model, tokens)[0], tokens).mean()
    rises = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            changed = forward(model, tokens, silent=only(layer, head))[0]
            rises[layer, head] = losses(changed, tokens).mean() - clean
    return rises


ABLATION_SCORES = Exercise(
    name="ablation_scores",
    difficulty=2,
    minutes=12,
    why="A single ablation means nothing without others to compare it with.",
    cases=_score_cases,
    oracle=_rises,
    compare=CLOSE_LOGITS,
    mistakes=mistakes.SCORES_MISTAKES,
)


# pattern_preserving_ablation


def _preserving_cases(seed: int) -> list[Case]:
    built, places = _hand_built("induction", seed, n_heads=3, d_vocab=20)
    tokens = _random_tokens(seed, 64, 10)
    cases = [
        Case(f"toy-2l, L{layer}H{head}", (_TOY, tokens, layer, head))
        for layer, head in ((0, 1), (1, 0))
    ]
    random, rows = _three_layers(seed), _random_tokens(seed + 2, 20, 8)
    cases += [
        Case(f"three layers of random heads, L{layer}H{head}", (random, rows, layer, head))
        for layer, head in enumerate(whole_numbers(seed, 2, 0, 2))
    ]
    place = places["previous_token"]
    label = "a hand-built model, its previous-token head"
    return [*cases, Case(label, (built, _random_tokens(seed + 1, 20, 8), *place))]


def _with_patterns_kept(model: HookedModel, tokens: Tensor, layer: int, head: int) -> Tensor:
    clean = forward(model, tokens)[1]
    kept = later(clean, layer)
    return forward(model, tokens, silent=only(layer, head), patterns=kept)[0]


PATTERN_PRESERVING_ABLATION = Exercise(
    name="pattern_preserving_ablation",
    difficulty=2,
    minutes=15,
    why="It separates what a head writes from where it makes others look.",
    cases=_preserving_cases,
    oracle=_with_patterns_kept,
    compare=CLOSE_LOGITS,
    mistakes=mistakes.PRESERVING_MISTAKES,
)


# stripe_knockout


def _knockout_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for shape, period in (((2, 3, 9), 4), ((10,), 5), ((2, 7), 3)):
        scores = torch.randn(*shape, shape[-1], generator=generator)
        future = torch.ones(shape[-1], shape[-1]).triu(1).bool()
        pattern = scores.masked_fill(future, -math.inf).softmax(dim=-1)
        if period == 3:  # A perfect induction head in one row of tokens: nothing but the stripe.
            pattern[0, -2:] = torch.eye(7)[-4:-2]
        if period == 4:  # Half on the stripe, and nothing on all keys but one.
            pattern[0, 1, 7] = (torch.eye(9)[4] + torch.eye(9)[6]) / 2
        if period == 5:  # Little is left, but not nothing.
            pattern[8] = torch.eye(10)[4] * (1 - 4e-6) + torch.eye(10)[7] * 4e-6
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
            even = [
                float(key <= query and key != query - period + 1) / query for key in range(n_pos)
            ]
            rows[query] = [weight / total for weight in row] if total > 1e-6 else even
    return torch.tensor(patterns).reshape(*leading, n_pos, n_pos)


STRIPE_KNOCKOUT = Exercise(
    name="stripe_knockout",
    difficulty=2,
    minutes=12,
    why="It removes one behavior and leaves the rest of the head.",
    cases=_knockout_cases,
    oracle=_without_stripe,
    mistakes=knockout_mistakes.KNOCKOUT_MISTAKES,
)


# knockout_gain_formula


def _gain_of_a_row(s: float) -> float:
    """A row with weight s on the stripe and three other keys, before and after."""
    others = [(1 - s) * share for share in (0.5, 0.3, 0.2)]
    scaled = [weight / sum(others) for weight in others]
    return scaled[0] / others[0]


KNOCKOUT_GAIN_FORMULA = Exercise(
    name="knockout_gain_formula",
    difficulty=2,
    minutes=5,
    why="What was a small weight before the knockout may become a large one.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _gain_of_a_row,
    compare=formula(s=(0.05, 0.95)),
    mistakes=knockout_mistakes.GAIN_MISTAKES,
)


# path_ablation


def _path_cases(seed: int) -> list[Case]:
    (d_vocab,), (sharpness,) = whole_numbers(seed, 1, 24, 40), decimals(seed, 1, 4.0, 7.0)
    options = {"n_heads": 3, "d_vocab": d_vocab, "sharpness": sharpness}
    built, places = _hand_built("induction", seed, **options)
    sender, receiver = places["previous_token"], places["induction"]
    toy = [("K", 0, 1), ("K", 1, 0), ("Q", 1, 1), ("V", 1, 0)]
    cases = [
        Case(f"toy-2l, from L0H{a} to L1H{b}, side {side}", (_TOY, (0, a), (1, b), side))
        for side, a, b in toy
    ]
    cases += [
        Case(f"a hand-built model, side {side}", (built, sender, receiver, side)) for side in "KQ"
    ]
    random, (a, b) = _three_layers(seed), whole_numbers(seed, 2, 0, 2)
    cases += [
        Case(f"three layers behind a BOS token, L{i}H{a} to L{j}H{b}, side {side}", args)
        for side, i, j in (("Q", 0, 1), ("K", 0, 2), ("V", 1, 2))
        for args in [(random, (i, a), (j, b), side)]
    ]
    return cases


def _rise_without_path(model: HookedModel, sender: Any, receiver: Any, side: str) -> float:
    tokens = make_repeated_tokens(model, period=12, batch=32)
    cut = (tuple(sender), lambda place: place == tuple(receiver), side)
    changed, clean = forward(model, tokens, cut=cut)[0], forward(model, tokens)[0]
    return (losses(changed, tokens) - losses(clean, tokens))[:, -11:].mean().item()


PATH_ABLATION = Exercise(
    name="path_ablation",
    difficulty=3,
    minutes=20,
    why="It tests the arrow between two heads, not the heads themselves.",
    cases=_path_cases,
    oracle=_rise_without_path,
    compare=CLOSE_LOGITS,
    mistakes=path_mistakes.PATH_MISTAKES,
)


# verify_induction_behavior


_FLAWS: dict[str, dict[str, Any]] = {
    "which looks too little": {"match": 2.5},
    "which looks enough": {"match": 2.95},
    "which hardly copies": {"copying": 0.006},
    "which copies a little": {"copying": 0.016},
    # In the loss on the second copy of 8 tokens, positions 9 to 15 count, and 8 does not.
    "which matters without repeats": {
        "copying": 0.3,
        "prevented": ((8, 40.0), (9, 14.0), (15, 14.0)),
    },
    "which matters without repeats at period 12": {"copying": 0.3, "prevented": ((23, 21.0),)},
    "which matters a little without repeats": {
        "copying": 0.3,
        "prevented": ((8, 40.0), (9, 7.0), (15, 7.0)),
    },
    "which another head replaces at period 16": {"backup": 15},
    "which misses matches at period 12": {"hole": 11},
    "which looks away at the first query of a copy": {"sink": 120.0, "sink_at": (9, 13, 17)},
    # The position before the ones that count, at each period.
    "which matters before the second token of a copy": {
        "prevented": ((8, 40.0), (12, 40.0), (16, 40.0)),
    },
    "which matters most at the second token of a copy": {
        "prevented": ((9, 40.0), (13, 40.0), (17, 40.0)),
    },
}
"""Induction heads on either side of each line of the verdict."""


def _verify_cases(seed: int) -> list[Case]:
    cases = [
        Case(f"{name}, L{layer}H{head}", (ModelInput(name=name), layer, head))
        for name, layer, head in (("toy-2l", 0, 0), ("toy-2l", 1, 0), ("python-2l", 1, 0))
    ]
    (d_vocab,), (n_ctx,) = whole_numbers(seed, 1, 24, 36), whole_numbers(seed + 1, 1, 40, 48)
    options = {"d_vocab": d_vocab, "n_ctx": n_ctx}
    built = [
        ("induction", "induction", seed + 1, {}),
        ("induction", "previous_token", seed, {}),
        ("induction", "induction", seed + 2, {"bos_token": 0, "sharpness": 6.0}),
        ("suppressor", "induction", seed + 3, {}),
    ]
    built += [("fixed_offset", "fixed_offset", seed + n, {"offset": n}) for n in (7, 11, 15)]
    decoys = ("duplicate_token", "bos_sink", "previous_token", "anti_induction", "no_copying")
    built += [(kind, kind, seed + 3, {}) for kind in decoys]
    for kind, name, place_seed, extra in built:
        model, places = _hand_built(kind, place_seed, **(options | extra))
        words = f"{name} head of a hand-built {kind} model".replace("_", " ")
        cases.append(
            Case(f"the {words}, {extra}" if extra else f"the {words}", (model, *places[name]))
        )
    options = {"d_vocab": 24, "n_ctx": 40}
    for number, (words, flaw) in enumerate(_FLAWS.items()):
        model, places = _hand_built("flawed_induction", seed + number, **options, **flaw)
        cases.append(Case(f"a hand-built induction head {words}", (model, *places["induction"])))
    return cases


def _verdict_by_definition(model: HookedModel, layer: int, head: int) -> dict[str, float | bool]:
    """The lowest of three periods against the highest of three controls."""
    looks, rises, controls = [], [], []
    for score, rise, control in measured(model, layer, head):
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
        if name == "control_loss_increase":  # The highest of three varies most.
            rough += 0.3
        tolerance = 1e-5 if name == "is_induction" else rough
        if said := closeness(tolerance, 0.0)(answer[name], right):
            return f"at {name!r}: {said}"
    return None


VERIFY_INDUCTION_BEHAVIOR = Exercise(
    name="verify_induction_behavior",
    difficulty=3,
    minutes=25,
    why="This is the claim of the book for one head, with its controls.",
    cases=_verify_cases,
    oracle=_verdict_by_definition,
    compare=_same_verdict,
    seconds=60,
    mistakes=path_mistakes.VERIFY_MISTAKES,
)


# minimal_circuit_logits


def _circuit_cases(seed: int) -> list[Case]:
    a, b, c = whole_numbers(seed, 3, 0, 2)
    random, tokens = _three_layers(seed), _random_tokens(seed, 20, 7, 3)
    built, places = _hand_built("induction", seed, n_heads=3, d_vocab=24)
    pair = (places["previous_token"], [places["induction"]])
    cases = [
        ("toy-2l, its three heads", _TOY, _random_tokens(seed, 64, 10), (0, 0), [(1, 0), (1, 1)]),
        ("three layers of random heads", random, tokens, (0, a), [(1, b), (2, c)]),
        ("three layers, one induction head", random, tokens, (1, c), [(2, a)]),
        ("a hand-built model, three heads a layer", built, _random_tokens(seed, 24, 9), *pair),
    ]
    return [Case(label, args) for label, *rest in cases for args in [tuple(rest)]]


def _circuit_by_tables(model: HookedModel, tokens: Tensor, previous: Any, induction: Any) -> Tensor:
    """Query by query and key by key, from one table of matches and one of copies for each head."""
    weights = [model.W_Q, model.W_K, model.W_V, model.W_O, model.W_E, model.W_U]
    W_Q, W_K, W_V, W_O, W_E, W_U = (weight.detach() for weight in weights)
    marks = W_E @ W_V[tuple(previous)] @ W_O[tuple(previous)]
    logits = torch.zeros(*tokens.shape, model.cfg.d_vocab)
    for head in map(tuple, induction):
        table = W_E @ W_Q[head] @ (marks @ W_K[head]).T / math.sqrt(model.cfg.d_head)
        copies = W_E @ W_V[head] @ W_O[head] @ W_U
        for row, ids in enumerate(tokens.tolist()):
            for query, token in enumerate(ids):
                scores = [0.0] + [table[token, ids[key - 1]].item() for key in range(1, query + 1)]
                heights = [math.exp(score - max(scores)) for score in scores]
                for key, height in enumerate(heights):
                    logits[row, query] += height / sum(heights) * copies[ids[key]]
    return logits


MINIMAL_CIRCUIT_LOGITS = Exercise(
    name="minimal_circuit_logits",
    difficulty=3,
    minutes=20,
    why="A story that predicts by itself can be compared with the model, and can fail.",
    cases=_circuit_cases,
    oracle=_circuit_by_tables,
    compare=CLOSE_LOGITS,
    mistakes=circuit_mistakes.CIRCUIT_MISTAKES,
)


# activation_patching_effects and attribution_patching_effects


def _patching_cases(seed: int) -> list[Case]:
    block = _random_tokens(seed, 64, 10, 5)
    clean, key = block[:, :15], 4  # The last token is at index 4 of the block, too.
    corrupted = clean.clone()
    corrupted[:, key] = (clean[:, key] + 1 + seed % 7) % 64
    toy = (_TOY, clean, corrupted, block[:, key + 1], block[:, 1])
    rows = [("toy-2l, the earlier copy of the last token changed", toy)]
    for label, kind, options, n_pos, places, batch in (
        ("three layers behind a BOS token", "loud_neighbors", {"bos_token": 0}, 9, (3,), 4),
        ("three random layers, two tokens changed", "random", {"d_head": 6}, 7, (1, 5), 3),
    ):
        options = {"seed": seed, **options}
        model = ModelInput(kind=kind, options=options)
        pair = differing_rows(kind, options, seed, n_pos, places, batch)
        rows.append((label, (model, *pair)))
    return [
        Case(f"{label}, {direction}", (*args, direction))
        for label, args in rows
        for direction in ("denoise", "noise")
    ]


def _patched_one_by_one(
    model: HookedModel,
    clean: Tensor,
    corrupted: Tensor,
    right: Tensor,
    wrong: Tensor,
    direction: str,
) -> Tensor:
    """One pass for each head, whose output is that of the other run; all later heads react."""
    runs = [forward(model, rows) for rows in (clean, corrupted)]
    high, low = (logit_gap(run[0], right, wrong).mean() for run in runs)
    rows, source, start = (corrupted, 0, low) if direction == "denoise" else (clean, 1, high)
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for place, output in runs[source][2].items():
        logits = forward(model, rows, written={place: output})[0]
        effects[place] = logit_gap(logits, right, wrong).mean() - start
    return effects / (high - low) * (1 if direction == "denoise" else -1)


ACTIVATION_PATCHING_EFFECTS = Exercise(
    name="activation_patching_effects",
    difficulty=3,
    minutes=20,
    why="It is the standard experiment on what carries the difference between two prompts.",
    cases=_patching_cases,
    oracle=_patched_one_by_one,
    compare=CLOSE_LOGITS,
    mistakes=patching_mistakes.ACTIVATION_MISTAKES,
)


def _slopes_by_differences(
    model: HookedModel,
    clean: Tensor,
    corrupted: Tensor,
    right: Tensor,
    wrong: Tensor,
    direction: str,
) -> Tensor:
    """The slope at the unpatched run toward the patched one, without a gradient.

    A head's output is moved a thousandth of the way, forward and back, in float64.
    """
    exact = in_float64(model)
    runs = [forward(exact, rows) for rows in (clean, corrupted)]
    high, low = (logit_gap(run[0], right, wrong).mean() for run in runs)
    rows, base, source = (corrupted, 1, 0) if direction == "denoise" else (clean, 0, 1)
    slopes = torch.zeros(model.cfg.n_layers, model.cfg.n_heads, dtype=torch.float64)
    for place, output in runs[base][2].items():
        step = 1e-3 * (runs[source][2][place] - output)
        ahead, back = (
            logit_gap(forward(exact, rows, written={place: moved})[0], right, wrong).mean()
            for moved in (output + step, output - step)
        )
        slopes[place] = (ahead - back) / 2e-3
    return (slopes / (high - low) * (1 if direction == "denoise" else -1)).float()


ATTRIBUTION_PATCHING_EFFECTS = Exercise(
    name="attribution_patching_effects",
    difficulty=3,
    minutes=20,
    why="Three passes score all heads, and where the scores fail can be foreseen.",
    cases=_patching_cases,
    oracle=_slopes_by_differences,
    compare=CLOSE_LOGITS,
    mistakes=patching_mistakes.ATTRIBUTION_MISTAKES,
)


# attribution_ratio_formula


def _ratio_of_effects(s: float) -> float:
    """First order over exact, from the weight on one of two keys and its slope."""
    clean, corrupted = 1 / (1 + math.exp(-s)), 1 / (1 + math.exp(s))
    slope = clean * (1 - clean)
    return slope * (s - -s) / (clean - corrupted)


ATTRIBUTION_RATIO_FORMULA = Exercise(
    name="attribution_ratio_formula",
    difficulty=2,
    minutes=8,
    why="How large is it for s = 5, a head that is sure of its key?",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _ratio_of_effects,
    compare=formula(s=(0.2, 6.0)),
    mistakes=patching_mistakes.RATIO_MISTAKES,
)


EXERCISES = (
    ZERO_ABLATION_HOOK,
    MEAN_ABLATION_HOOK,
    ABLATION_SCORES,
    PATTERN_PRESERVING_ABLATION,
    STRIPE_KNOCKOUT,
    KNOCKOUT_GAIN_FORMULA,
    PATH_ABLATION,
    VERIFY_INDUCTION_BEHAVIOR,
    MINIMAL_CIRCUIT_LOGITS,
    ACTIVATION_PATCHING_EFFECTS,
    ATTRIBUTION_PATCHING_EFFECTS,
    ATTRIBUTION_RATIO_FORMULA,
)
