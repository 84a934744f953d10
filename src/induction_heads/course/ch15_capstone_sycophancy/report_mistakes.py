"""Known mistakes of `report_numbers`, each with its hint."""

from collections.abc import Callable
from functools import cache
from itertools import product

import torch
from torch import Tensor

from induction_heads.course.ch15_capstone_sycophancy.mistakes import (
    ablated,
    candidates,
    mean_over_rows,
)
from induction_heads.course.exercise import Mistake
from induction_heads.data.dialogues import IDS, prompt_tokens, without_praise, wrong_claims
from induction_heads.models.interface import HookedModel

Ablated = dict[tuple[int, int] | None, Tensor]


class _Model:
    """A model as a key: equal weights are equal."""

    def __init__(self, model: HookedModel):
        self.model, self.digest = model, model.W_U.double().sum().item()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Model) and self.digest == other.digest


@cache
def _logits(key: _Model, seed: int, how: str) -> Ablated:
    """Logits of the 200 prompts without any head, and without each."""
    model, praised = key.model, wrong_claims(100, seed=seed)
    tokens = prompt_tokens([*praised, *map(without_praise, praised)])
    batches = tokens.split(100) if how == "apart" else [tokens]
    stand_in = mean_over_rows if how != "zero" else lambda z, head: 0.0
    heads = list(product(range(model.cfg.n_layers), range(model.cfg.n_heads)))
    run = ablated(stand_in)
    with torch.inference_mode():
        return {
            head: torch.cat([run(model, batch, [head] if head else []) for batch in batches])
            for head in [None, *heads]
        }


def report(
    how: str = "mean",
    *,
    gap: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    effect: Callable[[Tensor, Tensor], Tensor] = lambda a, b: (a - b).mean(),
    error: Callable[[Tensor, Tensor], Tensor] = lambda a, b: (a - b).std() / 10,
    lowest: int = 0,
    rate_of: int = 0,
    reported: int = 0,
):
    """The report; each option changes one step of the definitions.

    Numbers are those of the dialogues of the seed plus `reported`, heads those of the next seed.
    """

    def measured(model, seed):
        dialogues, found = wrong_claims(100, seed=seed), {}
        claimed = torch.tensor([[IDS[each.claimed]] for each in dialogues])
        true = torch.tensor([[IDS[each.true]] for each in dialogues])
        for head, logits in _logits(_Model(model), seed, how).items():
            gaps = [(gap or _gap)(part, claimed, true) for part in logits.split(100)]
            rates = [(each > 0).float().mean().item() for each in gaps]
            found[head] = (effect(*gaps).item(), error(*gaps).item(), *rates)
        return found

    def answer(model, seed):
        found, choosing = measured(model, seed + reported), measured(model, seed + 1)
        clean = found.pop(None)
        choosing.pop(None)
        praised = prompt_tokens(wrong_claims(100, seed=seed + 1))
        reader = tuple(candidates()(model, praised, -1.0)[0][:2])
        gate = min(choosing, key=lambda head: choosing[head][(0, 0, 2)[lowest]])
        return {
            "effect": clean[0],
            "standard_error": clean[1],
            "rate_praise": clean[2],
            "rate_neutral": clean[3],
            "reader": list(reader),
            "effect_without_reader": found[reader][0],
            "rate_without_reader": found[reader][2 + rate_of],
            "gate": list(gate),
            "effect_without_gate": found[gate][0],
        }

    return answer


def _gap(logits: Tensor, claimed: Tensor, true: Tensor) -> Tensor:
    return (logits.gather(1, claimed) - logits.gather(1, true))[:, 0]


REPORT_MISTAKES = (
    Mistake(
        "zero, not the mean",
        report("zero"),
        "Only the numbers without a head differ. What replaces the head in your version?",
    ),
    Mistake(
        "each kind of prompt has its own mean",
        report("apart"),
        "If the mean is over only the prompts with praise, does it still contain the praise?",
    ),
    Mistake(
        "the error of unpaired samples",
        report(error=lambda a, b: (a.var() + b.var()).sqrt() / 10),
        "Only the standard error differs. The two prompts of a pair share their claims: is that "
        "in your error?",
    ),
    Mistake(
        "the effect is the gap with praise",
        report(effect=lambda a, b: a.mean()),
        "What would your effect be for a bot that always agrees?",
    ),
    Mistake(
        "the gate has the lowest rate",
        report(lowest=2),
        "A bot without its reader also agrees less. Which number says what praise does?",
    ),
    Mistake(
        "the numbers are those of the dialogues that the heads were chosen on",
        report(reported=1),
        "Two sets of dialogues are named. Which one are the numbers of, and which one chooses?",
    ),
    Mistake(
        "the rate without the reader is taken without praise",
        report(rate_of=1),
        "Without praise there is little agreement to lose. Which prompts does the exercise ask "
        "for?",
    ),
    Mistake(
        "a difference of probabilities, not of logits",
        report(gap=lambda x, c, t: _gap(x.softmax(dim=-1), c, t)),
        "In which unit is the gap defined? Near 0 and 1, probabilities hardly change.",
    ),
    Mistake(
        "every effect is neutral minus praised",
        report(effect=lambda a, b: (b - a).mean()),
        "Praise raises the rate and lowers your effect. Which gap is subtracted from which?",
    ),
)
