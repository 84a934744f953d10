"""Inputs of the exercises about claims: claims, interventions, and models with hidden heads."""

from dataclasses import dataclass
from typing import Any, cast

import torch

from induction_heads.course.exercise import Case, ModelInput
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.interp.claims import Claim, Intervention, draw_interventions
from induction_heads.models.planted import SIZES


@dataclass(frozen=True)
class HiddenCase(Case):
    """A model with hidden heads, and the seed of its held-out interventions."""

    seed: int = 0


def two_circuits(seed: int) -> tuple[Claim, int]:
    """A claim about two copiers with three arrows into them, and a size of vocabulary."""
    a, b, x, y = whole_numbers(seed, 4, 0, 3)
    strong, weak = decimals(seed + 1, 1, 3.0, 5.0) + decimals(seed + 2, 1, 1.0, 2.5)
    first, second, early, late = [2, a], [2, b], [0, x], [1, y]
    arrows = [[early, first, "K"], [early, first, "Q"], [late, second, "K"]]
    claim = Claim(
        copiers=[[*first, strong], [*second, weak]],
        arrows=arrows,
        match=1 + seed % 2,
        lag=1 + seed // 2 % 2,
        shift=3 + seed % 5,
    )
    return claim, 20 + seed % 31


def claim_cases(seed: int) -> list[Case]:
    """Interventions in each of which another part of the definition decides."""
    claim, d_vocab = two_circuits(seed)
    (early, first, _), _, (late, second, _) = claim["arrows"]
    stranger = [1, (late[1] + 1) % 4]
    enough = claim["match"]
    clean = Intervention(silent=[], cut=[], match=enough, lag=claim["lag"], shift=claim["shift"])
    other_lag = 3 - claim["lag"]
    without_arrows: Claim = {**claim, "arrows": [], "match": 0}
    suppressed: Claim = {**claim, "copiers": [claim["copiers"][0], [*second, -1.5]]}
    changes: list[tuple[str, Claim, dict[str, Any]]] = [
        ("nothing is changed", claim, {}),
        ("a longer match, one copier silent", claim, {"match": enough + 1, "silent": [first]}),
        ("a sender is silent", claim, {"silent": [early]}),
        ("a head outside the claim is silent", claim, {"silent": [stranger]}),
        ("two heads are silent", claim, {"silent": [stranger, late]}),
        ("an arrow of the claim is cut", claim, {"cut": [[early, first, "Q"]]}),
        ("the same two heads, another side", claim, {"cut": [[early, first, "V"]]}),
        ("an arrow to the other copier is cut", claim, {"cut": [[early, second, "K"]]}),
        ("the match is too short", claim, {"match": enough - 1}),
        ("another lag", claim, {"lag": other_lag}),
        ("another shift, one copier silent", claim, {"shift": 0, "silent": [second]}),
        ("another shift, the match is too short", claim, {"shift": 0, "match": enough - 1}),
        ("both copiers are silent", claim, {"silent": [first, second]}),
        ("no arrows and no match needed", without_arrows, {"match": 0, "silent": [early]}),
        ("a head that lowers the token", suppressed, {}),
        ("a head that lowers the token, alone", suppressed, {"silent": [early]}),
    ]
    return [Case(label, (said, {**clean, **new}, d_vocab)) for label, said, new in changes]


def rival_claims(seed: int) -> list[tuple[str, Claim, Claim, int]]:
    """Pairs of claims that differ in one thing."""
    claim, d_vocab = two_circuits(seed)
    first, second = claim["copiers"]
    arrows = claim["arrows"]
    other_sides = [[sender, to, "Q" if side == "K" else "K"] for sender, to, side in arrows[2:]]
    rivals: list[tuple[str, dict[str, Any]]] = [
        ("is one match enough?", {"match": 3 - claim["match"]}),
        ("which token is copied?", {"lag": 3 - claim["lag"]}),
        ("query or key?", {"arrows": [*arrows[:2], *other_sides]}),
        ("is the second copier needed?", {"copiers": [[*first[:2], first[2] + second[2]]]}),
        ("which copier is the strong one?", {"copiers": [[*first[:2], second[2]], second]}),
    ]
    return [(label, claim, cast(Claim, {**claim, **change}), d_vocab) for label, change in rivals]


def decisive_cases(seed: int, loss: Any) -> list[Case]:
    """Lists of interventions in which one tells two claims apart better than all others.

    Of 60 lists, the one is taken in which the most other ways to choose choose another.
    `loss(claim, intervention, d_vocab)` is the plain definition of a predicted loss.
    """
    cases = []
    for label, claim, rival, d_vocab in rival_claims(seed):
        best: tuple[int, list[Intervention]] = (-1, [])
        for number in range(60):
            drawn = draw_interventions(
                claim, 8, n_layers=3, n_heads=4, d_vocab=d_vocab, seed=seed + number
            )
            pairs = [tuple(loss(said, each, d_vocab) for said in (claim, rival)) for each in drawn]
            misled = _misled(pairs)
            if misled is not None and misled > best[0]:
                best = misled, drawn
        cases.append(Case(label, (claim, rival, best[1], d_vocab)))
    return cases


def _misled(pairs: list[tuple[float, ...]]) -> int | None:
    """How many other ways to choose are wrong; None where the best is not clearly the best."""
    gaps = [abs(one - other) for one, other in pairs]
    *_, second, first = sorted(gaps)
    if first < second + 0.1:
        return None
    others = [
        [one - other for one, other in pairs],
        [other - one for one, other in pairs],
        [max(one / other, other / one) for one, other in pairs],
        [abs(one - min(pairs)[0]) for one, _ in pairs],
    ]
    return sum(values.index(max(values)) != gaps.index(first) for values in others)


def skill_cases(seed: int) -> list[Case]:
    """Losses for which now the one baseline is better, now the other."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for label, n, clean, high in (
        ("most interventions do nothing", 12, 0.3, 2),
        ("most interventions do something", 9, 0.1, 7),
        ("two interventions", 2, 1.0, 5),
        ("predictions worse than a baseline", 10, 0.2, 1),
    ):
        hits = torch.rand(n, generator=generator) * 10 < high
        noise = 0.1 * torch.rand(n, generator=generator)
        measured = torch.where(hits, 3.4 - noise, clean + noise)
        error = (4 if high == 1 else 0.4) * torch.rand(n, generator=generator)
        cases.append(Case(label, ((measured + error).tolist(), measured.tolist(), clean)))
    return cases


def hidden_models(seed: int) -> list[Case]:
    """The three hidden models of the zoo, two more with a planted rule, and a trained one."""
    shift, other, sign = whole_numbers(seed, 3, 1, SIZES.d_vocab - 1)
    strong, weak = (round(each, 2) for each in decimals(seed, 2, 0.0, 1.0))
    second = 2.0 + weak if sign % 2 else -2.0 - 0.3 * weak

    def planted(rule: str, number: int, **options: Any) -> ModelInput:
        return ModelInput(kind="planted", options={"rule": rule, "seed": seed + number} | options)

    gains, lag = (5.0 + strong, second), 1 + seed % 2
    models = [
        *(ModelInput(f"unseen/{letter}") for letter in "XYZ"),
        planted("KQ"[seed // 2 % 2], 0, gains=gains, lag=lag, shift=shift),
        planted("distance", 30, gains=(5.5,), shift=other),
        ModelInput(kind="hidden_toy", options={"seed": seed + 40}),
    ]
    return [
        HiddenCase(f"model {number}", (model,), seed=seed + number)
        for number, model in enumerate(models, 1)
    ]
