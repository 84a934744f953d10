"""Known mistakes of the exercises about claims, each with its hint."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import forward
from induction_heads.interp.claims import claim_rows, claim_targets
from induction_heads.models.interface import HookedModel

Loss = Callable[[dict[str, Any], dict[str, Any], int], float]


def loss_of(
    *,
    senders: bool = True,
    sides: bool = True,
    receivers: bool = True,
    together: bool = False,
    enough: Callable[[int, int], bool] = lambda match, needed: match >= needed,
    same: tuple[str, ...] = ("lag", "shift"),
    competitor: bool = True,
    others: int = 1,
) -> Loss:
    """The predicted loss, with one part of its definition changed."""

    def answer(claim: dict[str, Any], intervention: dict[str, Any], d_vocab: int) -> float:
        silent, cut = intervention["silent"], intervention["cut"]

        def lost(arrow: Any) -> bool:
            start, end, side = arrow
            if senders and start in silent:
                return True
            return any(
                one == start and (not receivers or other == end) and (not sides or which == side)
                for one, other, which in cut
            )

        broken = [arrow[1] for arrow in claim["arrows"] if lost(arrow)]
        total = 0.0
        for *place, gain in claim["copiers"]:
            fed = not broken if together else place not in broken
            if fed and place not in silent and enough(intervention["match"], claim["match"]):
                total += gain
        hit = all(claim[name] == intervention[name] for name in same)
        if not hit and not competitor:
            return math.log(d_vocab)
        return math.log(d_vocab - others + math.exp(total)) - total * hit

    return answer


LOSS_MISTAKES = (
    Mistake(
        "a silent sender stops nothing",
        loss_of(senders=False),
        "A head at the end of an arrow reads what the head at its start wrote. What does it read "
        "if that head is silent?",
    ),
    Mistake(
        "the side of a cut arrow is not compared",
        loss_of(sides=False),
        "Two arrows between the same two heads can enter on different sides. Which of them is cut?",
    ),
    Mistake(
        "a cut stops every head that the sender feeds",
        loss_of(receivers=False),
        "A silent head is silent for everyone. Is that so for an arrow that is cut?",
    ),
    Mistake(
        "one missing arrow stops all copiers",
        loss_of(together=True),
        "Each copier has arrows of its own. Which of them are missing for this one?",
    ),
    Mistake(
        "a match longer than needed does not count",
        loss_of(enough=lambda match, needed: match == needed),
        "If a head needs one matching token, what does it do where three match?",
    ),
    Mistake(
        "the length of the match is not compared",
        loss_of(enough=lambda match, needed: True),
        "What does a head that needs two matching tokens find where only one matches?",
    ),
    Mistake(
        "the lag is not compared",
        loss_of(same=("shift",)),
        "The target is one token, and the copied token may be its neighbor. Which loss is asked?",
    ),
    Mistake(
        "the shift is not compared",
        loss_of(same=("lag",)),
        "A head that writes another id than the one it finds raises that id. Is it the target?",
    ),
    Mistake(
        "a target that is not copied costs log d_vocab",
        loss_of(competitor=False),
        "The copied token takes probability from all others. What is left for the target?",
    ),
    Mistake(
        "the copied token is counted among the others",
        loss_of(others=0),
        "With a gain of 0 all ids are equal. Does your loss then give log d_vocab?",
    ),
)


def _decisive(score: Callable[[float, float, float], float]):
    """The intervention with the highest score of both predictions and of the clean one."""
    loss = loss_of()

    def answer(
        claim: dict[str, Any],
        rival: dict[str, Any],
        interventions: Sequence[dict[str, Any]],
        d_vocab: int,
    ) -> int:
        clean = {"silent": [], "cut": [], "match": 3} | {k: claim[k] for k in ("lag", "shift")}
        before = loss(claim, clean, d_vocab)
        scores = [
            score(loss(claim, each, d_vocab), loss(rival, each, d_vocab), before)
            for each in interventions
        ]
        return scores.index(max(scores))

    return answer


DECISIVE_MISTAKES = (
    Mistake(
        "the largest predicted effect",
        _decisive(lambda one, other, clean: abs(one - clean)),
        "If both claims predict the same large effect, which of them does the result refute?",
    ),
    Mistake(
        "the difference with its sign",
        _decisive(lambda one, other, clean: one - other),
        "Would it matter which of the two claims is called the rival?",
    ),
    Mistake(
        "the ratio of the two losses",
        _decisive(lambda one, other, clean: max(one / other, other / one)),
        "Two losses near 0 can have a large ratio. Could a measurement tell them apart?",
    ),
    Mistake(
        "where the claims agree most",
        _decisive(lambda one, other, clean: -abs(one - other)),
        "Which outcome would refute one of them there?",
    ),
)


def skill(
    baseline: Callable[[float, float], float] = min,
    *,
    error: Callable[[float], float] = abs,
    share: Callable[[float, float], float] = lambda mine, best: 1 - mine / best,
):
    """The skill, with one part of its definition changed."""

    def answer(predicted: Sequence[float], measured: Sequence[float], clean: float) -> float:
        losses = torch.tensor(measured, dtype=torch.float64)

        def mean_error(guesses: Any) -> float:
            return sum(error(each) for each in (guesses - losses).tolist()) / len(losses)

        mine = mean_error(torch.tensor(predicted, dtype=torch.float64))
        return share(mine, baseline(mean_error(clean), mean_error(losses.mean())))

    return answer


SKILL_MISTAKES = (
    Mistake(
        "only the clean loss as a baseline",
        skill(lambda clean, average: clean),
        "Where most interventions do a lot, which constant would be the better guess?",
    ),
    Mistake(
        "only the mean as a baseline",
        skill(lambda clean, average: average),
        "Where most interventions do nothing, which constant would be the better guess?",
    ),
    Mistake(
        "the worse of the two baselines",
        skill(max),
        "Whom should a prediction beat: the easier opponent, or the harder one?",
    ),
    Mistake(
        "squared errors",
        skill(error=lambda each: each * each),
        "In which unit is your error? The losses are in nats.",
    ),
    Mistake(
        "the share of the error that remains",
        skill(share=lambda mine, best: mine / best),
        "Perfect predictions have a skill of 1. What do you give them?",
    ),
    Mistake(
        "the difference of the errors, not a share",
        skill(share=lambda mine, best: best - mine),
        "Your number has the unit of a loss. What is the skill of a perfect prediction?",
    ),
)


def described(
    *,
    looks: bool = False,
    signed: bool = False,
    sides: str = "QK",
    swapped: bool = False,
    lags: tuple[int, ...] = (1, 2),
    shifts: bool = True,
    shortest: int = 0,
    alone: bool = False,
    attention_as_gain: bool = False,
):
    """A claim measured with every head's output, with one part of its definition changed."""

    def answer(model: HookedModel) -> dict[str, Any]:
        d_vocab = model.cfg.d_vocab
        rows = claim_rows(d_vocab, 3, batch=12, seed=5)
        logits, patterns, wrote = forward(model, rows)

        def loss(logits: Tensor, rows: Tensor, lag: int, shift: int) -> float:
            target = claim_targets(rows, lag, shift, d_vocab)
            picked = logits[:, -1].log_softmax(dim=-1).gather(1, target[:, None])
            return -picked.mean().item()

        rules = [(lag, shift) for lag in lags for shift in range(d_vocab if shifts else 1)]
        lag, shift = min(rules, key=lambda rule: loss(logits, rows, *rule))
        one_hot = torch.nn.functional.one_hot(claim_targets(rows, lag, shift, d_vocab), d_vocab)
        weights = one_hot - (1 - one_hot) / (d_vocab - 1)

        def gain(written: Tensor) -> float:
            return ((written[:, -1] @ model.W_U) * weights).sum(dim=-1).mean().item()

        gains = {place: gain(each) for place, each in wrote.items()}
        seen = {place: each[:, -1, 2 + lag].mean().item() for place, each in patterns.items()}
        if looks:
            copiers = [place for place in seen if seen[place] >= 0.5]
        else:
            copiers = [place for place in gains if (gains if signed else _sizes(gains))[place] >= 1]
        arrows: list[list[Any]] = []
        for receiver in copiers:
            for sender in (place for place in gains if place[0] < receiver[0]):
                for side in sides:
                    _, cut, changed = forward(model, rows, cut=(sender, receiver.__eq__, side))
                    left = cut[receiver][:, -1, 2 + lag].mean().item() / seen[receiver]
                    if not looks:
                        left = abs(gain(changed[receiver]) / gains[receiver])
                    if left < 0.5:
                        ends = [list(sender), list(receiver)]
                        arrows.append([*(ends[::-1] if swapped else ends), side])
        match = shortest
        while match < 3:
            shorter = claim_rows(d_vocab, match, batch=12, seed=5)
            if loss(forward(model, shorter)[0], shorter, lag, shift) <= math.log(d_vocab) / 2:
                break
            match += 1
        if alone:
            clean = loss(logits, rows, lag, shift)
            for place in copiers:
                silent = forward(model, rows, silent=lambda a, b, it=place: (a, b) == it)[0]
                gains[place] = loss(silent, rows, lag, shift) - clean
        values = seen if attention_as_gain else gains
        return {
            "copiers": [[*place, values[place]] for place in copiers],
            "arrows": arrows,
            "match": match,
            "lag": lag,
            "shift": shift,
        }

    return answer


def _sizes(gains: dict[Any, float]) -> dict[Any, float]:
    return {place: abs(gain) for place, gain in gains.items()}


DESCRIBED_MISTAKES = (
    Mistake(
        "heads that look like copiers",
        described(looks=True),
        "Your list has heads that look at the right token. What does each of them write?",
    ),
    Mistake(
        "heads that lower the token are left out",
        described(signed=True),
        "A head can change the logit of the target in two directions. Do you list both?",
    ),
    Mistake(
        "only keys are cut",
        described(sides="K"),
        "A head compares what its query and its key read. Which of the two did you cut?",
    ),
    Mistake(
        "arrows are written backwards",
        described(swapped=True),
        "Which of the two heads of an arrow is in the earlier layer?",
    ),
    Mistake(
        "the next token is assumed to be copied",
        described(lags=(1,)),
        "Which position after the earlier copy does the head look at? Are there others to try?",
    ),
    Mistake(
        "the copied id is assumed to be unchanged",
        described(shifts=False),
        "Which id has the highest logit, and how far is it from the id that was looked at?",
    ),
    Mistake(
        "rows without a match are not tried",
        described(shortest=1),
        "Does a head that always looks equally far back need a match? Which rows would tell?",
    ),
    Mistake(
        "the rise of the loss as a gain",
        described(alone=True),
        "The loss flattens where the model is sure. What adds up over heads: losses, or logits?",
    ),
    Mistake(
        "the attention as a gain",
        described(attention_as_gain=True),
        "Your gains are at most 1. In which unit does `predicted_loss` expect them?",
    ),
)
