"""Known mistakes of the last two exercises of chapter 7, each with its hint."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch07_ablation.inputs import PERIODS, measured
from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import forward, hook_name, losses, total
from induction_heads.data.tokens import make_repeated_tokens

# path_ablation


def path_by(
    heads=lambda place, receiver: place == receiver,
    sides=lambda side: side,
    last=11,
    scale=1,
    period=12,
):
    """`path_ablation` with other receivers, other sides, or another mean."""

    def answer(model, sender, receiver, side):
        tokens = make_repeated_tokens(model, period, batch=32)
        cut = (
            tuple(sender),
            lambda place: place[0] > sender[0] and heads(place, tuple(receiver)),
            sides(side),
        )
        changed, clean = forward(model, tokens, cut=cut)[0], forward(model, tokens)[0]
        rise = losses(changed, tokens)[:, -last:] - losses(clean, tokens)[:, -last:]
        return scale * rise.mean().item()

    return answer


def _total_path(model, sender, receiver, side):
    tokens = make_repeated_tokens(model, 12, batch=32)
    changed = total(model, tokens, *sender)
    rise = losses(changed, tokens) - losses(forward(model, tokens)[0], tokens)
    return rise[:, -11:].mean().item()


def _hooked_path(change: Callable[..., Tensor]):
    """Change hook_q, hook_k or hook_v of the receiver, with what the sender wrote at hand."""

    def answer(model, sender, receiver, side):
        tokens = make_repeated_tokens(model, 12, batch=32)
        clean, cache = model.run_with_cache(tokens)
        wrote = cache[hook_name(sender[0])][:, :, sender[1]] @ model.W_O[sender[0], sender[1]]
        W = {"Q": model.W_Q, "K": model.W_K, "V": model.W_V}[side][receiver[0], receiver[1]]
        mine = (torch.arange(model.cfg.n_heads) == receiver[1])[:, None]
        hook = lambda value, hook: torch.where(mine, change(value, (wrote @ W)[:, :, None]), value)  # noqa: E731
        hooks = [(hook_name(receiver[0], side.lower()), hook)]
        changed = model.run_with_hooks(tokens, fwd_hooks=hooks)
        rise = losses(changed, tokens) - losses(clean, tokens)
        return rise[:, -11:].mean().item()

    return answer


def _stream_without(model, sender, receiver, side):
    """The residual stream itself loses the sender, from the receiver's layer on."""
    tokens = make_repeated_tokens(model, 12, batch=32)
    clean, _, wrote = forward(model, tokens)
    hook = lambda stream, hook: stream - wrote[tuple(sender)]  # noqa: E731
    name = f"blocks.{receiver[0]}.hook_resid_pre"
    changed = model.run_with_hooks(tokens, fwd_hooks=[(name, hook)])
    return (losses(changed, tokens) - losses(clean, tokens))[:, -11:].mean().item()


PATH_MISTAKES = (
    Mistake(
        "the residual stream itself loses the sender",
        _stream_without,
        "Everything after your hook reads the changed stream. Who should still read the sender?",
    ),
    Mistake(
        "the first token of the second copy counts too",
        path_by(last=12),
        "Which token of the second copy can nothing predict? How many are left?",
    ),
    Mistake(
        "the sender is silenced for everyone",
        _total_path,
        "That is the total effect of the sender. Who else still needs to read it?",
    ),
    Mistake(
        "all three inputs of the receiver lose the sender",
        path_by(sides=lambda side: "QKV"),
        "`side` names one input. What do the other two read?",
    ),
    Mistake(
        "query and key are swapped",
        path_by(sides=lambda side: {"Q": "K", "K": "Q", "V": "V"}[side]),
        "Which position carries the previous-token head's mark: the query or the key?",
    ),
    Mistake(
        "every head of the layer loses the sender",
        path_by(lambda place, receiver: place[0] == receiver[0]),
        "Two heads may read the same sender. Which of them is the receiver?",
    ),
    Mistake(
        "the receiver's input is set to zero",
        _hooked_path(lambda value, part: 0 * value),
        "The receiver also reads the token and the position. Should those be gone as well?",
    ),
    Mistake(
        "the sign is reversed",
        path_by(scale=-1),
        "For a rise, which loss is subtracted from which: with the path, or without it?",
    ),
    Mistake(
        "the loss of all tokens",
        path_by(last=999),
        "What can be copied in the first block? Which tokens should count?",
    ),
    Mistake(
        "one token too few",
        path_by(last=10),
        "Eleven tokens of the second copy can be predicted. Which one is missing from your mean?",
    ),
    Mistake(
        "the sum over the tokens, not their mean",
        path_by(scale=32 * 11),
        "Your rise is larger than any loss of a token. Over how many tokens did you add?",
    ),
)


# verify_induction_behavior


def verdict(
    periods=PERIODS,
    repeats=False,
    pick=min,
    rule=None,
    size=lambda rise: rise,
    highest=max,
    **counted: Any,
):
    """`verify_induction_behavior` with other periods, another control or another rule."""
    rule = rule or (
        lambda looks, rise, control: looks >= 0.4 and rise >= 0.1 and rise > 2 * control
    )

    def answer(model, layer, head):
        found = measured(model, layer, head, periods, repeats, **counted)
        looks, rises, controls = zip(*found, strict=True)
        rise = pick(map(size, rises))
        numbers = (pick(looks), rise, highest(map(size, controls)))
        names = ("induction_attention", "loss_increase", "control_loss_increase")
        return dict(zip(names, numbers, strict=True)) | {"is_induction": bool(rule(*numbers))}

    return answer


def _mean(values):
    values = list(values)
    return sum(values) / len(values)


VERIFY_MISTAKES = (
    Mistake(
        "the control does not count",
        verdict(rule=lambda looks, rise, _: looks >= 0.4 and rise >= 0.1),
        "One head that you accept is needed just as much where nothing repeats. Which of your "
        "numbers shows that?",
    ),
    Mistake(
        "the rise has no lower limit",
        verdict(rule=lambda looks, rise, control: looks >= 0.4 and rise > 2 * control),
        "One head that you accept raises the loss by a twentieth of a nat. Is that enough?",
    ),
    Mistake(
        "more than the control, not more than twice the control",
        verdict(rule=lambda look, rise, other: look >= 0.4 and rise >= 0.1 and rise > other),
        "By how much must the rise exceed that of the control?",
    ),
    Mistake(
        "the means of the three periods",
        verdict(pick=_mean, highest=_mean),
        "Should one good period make up for a bad one?",
    ),
    Mistake(
        "the most favorable control",
        verdict(highest=min),
        "Your control is the lowest of three. Which one is least favorable to the claim?",
    ),
    Mistake(
        "the pattern alone decides",
        verdict(rule=lambda looks, *_: looks >= 0.4),
        "One of the heads you accept writes nothing, and one lowers the right token. What shows "
        "that a head is needed?",
    ),
    Mistake(
        "the loss alone decides",
        verdict(rule=lambda _, rise, control: rise >= 0.1),
        "A previous-token head is needed too. Does it look like an induction head?",
    ),
    Mistake(
        "the attention does not count",
        verdict(rule=lambda _, rise, control: rise >= 0.1 and rise > 2 * control),
        "A previous-token head that the circuit needs passes your test. What tells it from an "
        "induction head?",
    ),
    Mistake(
        "the size of the effect counts, not its sign",
        verdict(size=abs),
        "The loss falls when one of these heads is removed. Is that head needed?",
    ),
    *(
        Mistake(
            f"one period only, {period}",
            verdict((period,)),
            f"A head that always looks {period - 1} tokens back: what does it score at period "
            f"{period}, and at another one?",
        )
        for period in PERIODS
    ),
    Mistake(
        "the most favorable period decides",
        verdict(pick=max),
        "Should one good period make up for two bad ones?",
    ),
    Mistake(
        "the control repeats as well",
        verdict(repeats=True),
        "What can the control tell you if its second block is a copy too?",
    ),
    *(
        Mistake(
            f"period {period} is not tried",
            verdict(tuple(other for other in PERIODS if other != period)),
            f"What would your verdict be on a head that fails only at period {period}?",
        )
        for period in PERIODS
    ),
    Mistake(
        "the control of the last period only",
        verdict(highest=lambda controls: [*controls][-1]),
        "Attention and rise have three values each. How many does your control have?",
    ),
    Mistake(
        "the sign of the rise is reversed",
        verdict(size=lambda rise: -rise),
        "A needed head has a rise above 0. Which loss is larger without it?",
    ),
    Mistake(
        "the first query of the last copy is left out",
        verdict(start=lambda period: 1 - period),
        "The loss leaves the first token out, because nothing predicts it. Does the attention of "
        "that query have a match to find?",
    ),
    Mistake(
        "the loop begins at query `period`, also behind a BOS token",
        verdict(start=lambda period: 1),
        "Behind a BOS token, is query `period` in the last copy? Try to count from the end.",
    ),
    Mistake(
        "the attention is a mean over the whole diagonal",
        verdict(start=lambda period: 0),
        "The diagonal starts in the first copy. Which of its queries have an earlier copy?",
    ),
    Mistake(
        "the first token of the last copy counts in the losses",
        verdict(more=1),
        "Which token of the second copy can nothing predict? How many are left?",
    ),
)
