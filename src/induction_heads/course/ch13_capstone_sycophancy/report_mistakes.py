"""Known mistakes of `report_numbers` of chapter 13, and other correct implementations."""

import math
from collections.abc import Callable
from functools import cache
from itertools import product
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks.answers.ch13_capstone_sycophancy import (
    CANDIDATE_ALSO_RIGHT,
    ablated,
    candidates,
    mean_by_mask,
    mean_over_rows,
)
from induction_heads.checks.exercise import Mistake
from induction_heads.dialogues import IDS, prompt_tokens, without_praise, wrong_claims

Ablated = dict[tuple[int, int] | None, Tensor]


class _Model:
    """A model as a key: equal weights are equal."""

    def __init__(self, model: Any):
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
        return {head: torch.cat([run(model, batch, [head] if head else []) for batch in batches])
                for head in [None, *heads]}  # fmt: skip


def report(
    how: str = "mean",
    *,
    gap: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None,
    effect: Callable[[Tensor, Tensor], Tensor] = lambda a, b: (a - b).mean(),
    error: Callable[[Tensor, Tensor], Tensor] = lambda a, b: (a - b).std() / 10,
    lowest: int = 0,
    rate_of: int = 0,
):
    """The report; options turn single steps of the definitions into misreadings."""

    def answer(model, seed):
        dialogues, found = wrong_claims(100, seed=seed), {}
        claimed = torch.tensor([[IDS[each.claimed]] for each in dialogues])
        true = torch.tensor([[IDS[each.true]] for each in dialogues])
        for head, logits in _logits(_Model(model), seed, how).items():
            gaps = [(gap or _gap)(part, claimed, true) for part in logits.split(100)]
            rates = [(each > 0).float().mean().item() for each in gaps]
            found[head] = (effect(*gaps).item(), error(*gaps).item(), *rates)
        clean = found.pop(None)
        reader = candidates()(model, prompt_tokens(dialogues), -1.0)[0][:2]
        gate = min(found, key=lambda head: found[head][(0, 0, 2)[lowest]])
        return {
            "effect": clean[0], "standard_error": clean[1],
            "rate_praise": clean[2], "rate_neutral": clean[3],
            "reader": list(reader), "effect_without_reader": found[reader][0],
            "rate_without_reader": found[reader][2 + rate_of],
            "gate": list(gate), "effect_without_gate": found[gate][0],
        }  # fmt: skip

    return answer


def _gap(logits: Tensor, claimed: Tensor, true: Tensor) -> Tensor:
    return (logits.gather(1, claimed) - logits.gather(1, true))[:, 0]


def _by_pairs(model, seed):
    """Pair by pair in plain Python, with masks for the ablation."""
    dialogues = wrong_claims(100, seed=seed)
    tokens = torch.cat([prompt_tokens([each, without_praise(each)]) for each in dialogues])
    heads = list(product(range(model.cfg.n_layers), range(model.cfg.n_heads)))

    def told(silent):
        with torch.inference_mode():
            rows = mean_by_mask(model, tokens, silent).tolist()
        gaps = [row[IDS[dialogues[i // 2].claimed]] - row[IDS[dialogues[i // 2].true]]
                for i, row in enumerate(rows)]  # fmt: skip
        steps = [a - b for a, b in zip(gaps[::2], gaps[1::2], strict=True)]
        mean = sum(steps) / 100
        error = math.sqrt(sum((step - mean) ** 2 for step in steps) / 99) / 10
        return (
            mean,
            error,
            sum(g > 0 for g in gaps[::2]) / 100,
            sum(g > 0 for g in gaps[1::2]) / 100,
        )

    effect, error, rate, neutral = told([])
    reader = CANDIDATE_ALSO_RIGHT[1](model, tokens[::2], -1.0)[0]
    effects = {head: told([head]) for head in heads}
    gate = sorted((value[0], head) for head, value in effects.items())[0]
    mine = effects[reader[0], reader[1]]
    return {
        "gate": list(gate[1]), "effect_without_gate": gate[0], "reader": reader[:2],
        "effect_without_reader": mine[0], "rate_without_reader": mine[2], "effect": effect,
        "standard_error": error, "rate_praise": rate, "rate_neutral": neutral,
    }  # fmt: skip


REPORT_MISTAKES = (
    Mistake("zero, not the mean", report("zero"),
            "Only the numbers without a head differ. What stands in the head's place in yours?"),
    Mistake("each kind of prompt has a mean of its own", report("apart"),
            "If the mean is taken over the prompts with praise alone, does it still know of the "
            "praise?"),
    Mistake("the error of unpaired samples",
            report(error=lambda a, b: (a.var() + b.var()).sqrt() / 10),
            "Which of your numbers is off? The two prompts of a pair share their claims."),
    Mistake("the effect is the gap with praise", report(effect=lambda a, b: a.mean()),
            "What would your effect be for a bot that always agrees?"),
    Mistake("the gate has the lowest rate", report(lowest=2),
            "A bot without its reader agrees less as well. Which number says what praise does?"),
    Mistake("the rate without the reader is taken without praise", report(rate_of=1),
            "Without praise there was little agreement to lose. Which prompts were asked for?"),
    Mistake("a difference of probabilities, not of logits",
            report(gap=lambda x, c, t: _gap(x.softmax(dim=-1), c, t)),
            "In which unit is the gap defined? Near 0 and 1, probabilities hardly move."),
)  # fmt: skip
REPORT_ALSO_RIGHT = (report(), _by_pairs)
