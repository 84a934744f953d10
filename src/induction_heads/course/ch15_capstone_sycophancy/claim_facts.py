"""What is compared about a claim: its heads, its arrows, its rule, and what it predicts."""

from typing import Any

from induction_heads.interp.claims import Claim, Intervention, draw_interventions, measured_loss
from induction_heads.models.interface import Model, model_config

N_HELD_OUT = 24
"""Held-out interventions for each model."""

LOST_SKILL = 0.1
"""How much less skill than that of the measured claim a claim may have."""


def in_lists(claim: dict[str, Any]) -> Claim:
    """The claim with lists and plain numbers in place of tuples and tensors.

    Raises ValueError if it does not have the keys and the shape of a claim.
    """
    try:
        return Claim(
            copiers=[[int(a), int(b), float(gain)] for a, b, gain in claim["copiers"]],
            arrows=[[_head(start), _head(end), str(side)] for start, end, side in claim["arrows"]],
            match=int(claim["match"]),
            lag=int(claim["lag"]),
            shift=int(claim["shift"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"a claim has copiers [layer, head, gain], arrows [sender, receiver, side], match, lag "
            f"and shift; this one could not be read: {error!r}"
        ) from error


def _head(place: Any) -> list[int]:
    layer, head = place
    return [int(layer), int(head)]


def held_out(model: Model, claim: Claim, seed: int) -> tuple[list[Intervention], list[float]]:
    """Interventions about the claim, and their measured losses. The last one changes nothing."""
    config = model_config(model)
    drawn = draw_interventions(
        claim,
        N_HELD_OUT,
        n_layers=config.n_layers,
        n_heads=config.n_heads,
        d_vocab=config.d_vocab,
        seed=seed,
    )
    clean = Intervention(silent=[], cut=[], match=3, lag=claim["lag"], shift=claim["shift"])
    drawn.append(clean)
    return drawn, [measured_loss(model, each, batch=16, seed=seed) for each in drawn]


def facts(claim: Claim, lost_skill: float = 0.0) -> dict[str, Any]:
    """A claim as it is compared: without gains, which show in the predictions.

    `lost_skill` is how much worse it predicts than the claim that was measured.
    """
    return {
        "copiers": sorted([layer, head] for layer, head, _ in claim["copiers"]),
        "arrows": sorted(claim["arrows"]),
        "rule": {name: claim[name] for name in ("match", "lag", "shift")},
        "lost_skill": lost_skill,
    }


def same_facts(answer: dict[str, Any], expected: dict[str, Any]) -> str | None:
    """What a claim gets wrong, without telling what is right."""
    for name in ("copiers", "arrows"):
        mine, right = answer[name], expected[name]
        extra = [each for each in mine if each not in right]
        missing = len([each for each in right if each not in mine])
        twice = len(mine) - len({str(each) for each in mine})
        if extra or missing or twice:
            return (
                f"the {name}: {len(right) - missing} of {len(right)} are there, and "
                f"{len(extra)} of yours do not meet the definition; {twice} are there twice."
            )
    for name, value in expected["rule"].items():
        if answer["rule"][name] != value:
            return f"{name!r} is {answer['rule'][name]}, and the model contradicts that."
    if not answer["lost_skill"] <= expected["lost_skill"] + LOST_SKILL:
        return (
            f"heads, arrows and rule are right, but the gains predict {N_HELD_OUT} held-out "
            f"interventions with a skill that is {answer['lost_skill']:.2f} lower than that of the "
            "gains as they are defined."
        )
    return None
