"""Known mistakes of the last two exercises of chapter 7, and other correct implementations."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks.answers.ch07_ablation import forward, hook_name, losses, total
from induction_heads.checks.exercise import Mistake
from induction_heads.tokens import make_repeated_tokens

PERIODS = (8, 12, 16)


# path_ablation


def path_by(heads=lambda place, receiver: place == receiver, sides=lambda side: side, last=11,
            sign=1, period=12):  # fmt: skip
    """`path_ablation` with other receivers, other sides, or another mean."""

    def answer(model, sender, receiver, side):
        tokens = make_repeated_tokens(model, period, batch=32)
        cut = (tuple(sender), lambda place: place[0] > sender[0] and heads(place, tuple(receiver)),
               sides(side))  # fmt: skip
        changed, clean = forward(model, tokens, cut=cut)[0], forward(model, tokens)[0]
        rise = losses(changed, tokens)[:, -last:] - losses(clean, tokens)[:, -last:]
        return sign * rise.mean().item()

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


def _path_by_receiver(model, sender, receiver, side):
    """Only the receiver's own output is computed again, then put in its place."""
    tokens = make_repeated_tokens(model, 12, batch=32)
    clean, _, wrote = forward(model, tokens)
    cut = (tuple(sender), lambda place: place == tuple(receiver), side)
    cut_wrote = forward(model, tokens, cut=cut)[2]
    changed = {**wrote, tuple(receiver): cut_wrote[tuple(receiver)]}
    held = {place: value for place, value in changed.items() if place[0] <= receiver[0]}
    rise = losses(forward(model, tokens, written=held)[0], tokens) - losses(clean, tokens)
    return rise[:, -11:].mean().item()


PATH_MISTAKES = (
    Mistake("the sender is silenced for everyone", _total_path,
            "That is the total effect of the sender. Who else still needs to read it?"),
    Mistake("all three inputs of the receiver lose the sender", path_by(sides=lambda side: "QKV"),
            "`side` names one input. What do the other two read?"),
    Mistake("query and key are exchanged",
            path_by(sides=lambda side: {"Q": "K", "K": "Q", "V": "V"}[side]),
            "Which position carries the previous-token head's mark: the one that looks, or the one "
            "that is looked at?"),
    Mistake("every head of the layer loses the sender",
            path_by(lambda place, receiver: place[0] == receiver[0]),
            "Two heads may read the same sender. Which of them is the receiver?"),
    Mistake("the receiver's input is set to zero", _hooked_path(lambda value, part: 0 * value),
            "The receiver also reads the token and the position. Are those gone as well?"),
    Mistake("the sign is reversed", path_by(sign=-1),
            "A rise: is the loss with the path subtracted from the loss without it?"),
    Mistake("the loss of all tokens", path_by(last=999),
            "What can a copy gain in the first block? Which tokens should count?"),
)  # fmt: skip
PATH_ALSO_RIGHT = (_hooked_path(lambda value, part: value - part), _path_by_receiver)


# verify_induction_behavior


def measured(model: Any, layer: int, head: int, periods=PERIODS, repeats: bool = False):
    """(induction score, rise, control's rise) at each period."""
    for period in periods:
        tokens = make_repeated_tokens(model, period, batch=32, seed=period)
        other = make_repeated_tokens(model, period, batch=32, seed=period + 1)
        control = other if repeats else torch.cat([tokens[:, :-period], other[:, -period:]], dim=1)
        rises = []
        for rows in (tokens, control):
            clean, seen, _ = forward(model, rows)
            rise = losses(total(model, rows, layer, head), rows) - losses(clean, rows)
            rises.append(rise[:, 1 - period :].mean().item())
            if rows is tokens:
                stripe = seen[layer, head].diagonal(1 - period, dim1=-2, dim2=-1)
        yield stripe[:, -period:].mean().item(), *rises


def verdict(periods=PERIODS, repeats=False, pick=min, rule=None, size=lambda rise: rise):
    """`verify_induction_behavior` with other periods, another control or another rule."""
    rule = rule or (
        lambda looks, rise, control: looks >= 0.4 and rise >= 0.1 and rise > 2 * control
    )

    def answer(model, layer, head):
        looks, rises, controls = zip(*measured(model, layer, head, periods, repeats), strict=True)
        rise = pick(map(size, rises))
        found = (pick(looks), rise, max(map(size, controls)))
        names = ("induction_attention", "loss_increase", "control_loss_increase")
        return dict(zip(names, found, strict=True)) | {"is_induction": bool(rule(*found))}

    return answer


def _verdict_by_hooks(model, layer, head):
    """With hooks on the pattern, which silences the head too, and with other tokens."""
    found: list[tuple[float, float, float]] = []
    mask = (torch.arange(model.cfg.n_heads) != head)[:, None, None]
    hooks = [(hook_name(layer, "pattern"), lambda pattern, hook: pattern * mask)]
    for period in PERIODS:
        tokens = make_repeated_tokens(model, period, batch=32, seed=7)
        control = tokens.clone()
        control[:, -period:] = make_repeated_tokens(model, period, batch=32, seed=8)[:, -period:]
        _, cache = model.run_with_cache(tokens)
        query = torch.arange(tokens.shape[1])[-period:]
        looks = cache[hook_name(layer, "pattern")][:, head, query, query - period + 1].mean().item()
        rises = [(losses(model.run_with_hooks(rows, fwd_hooks=hooks), rows)
                  - losses(model(rows), rows))[:, 1 - period :].mean().item()
                 for rows in (tokens, control)]  # fmt: skip
        found.append((looks, rises[0], rises[1]))
    looks, rises, controls = zip(*found, strict=True)
    values = {"induction_attention": min(looks), "loss_increase": min(rises),
              "control_loss_increase": max(controls)}  # fmt: skip
    needed = min(rises) >= 0.1 and min(rises) > 2 * max(controls)
    return values | {"is_induction": needed and min(looks) >= 0.4}


VERIFY_MISTAKES = (
    Mistake("the pattern alone decides", verdict(rule=lambda looks, *_: looks >= 0.4),
            "One of the heads you accept writes nothing, and one lowers the right token. What says "
            "that a head is needed?"),
    Mistake("the loss alone decides", verdict(rule=lambda _, rise, control: rise >= 0.1),
            "A previous-token head is needed too. Does it look like an induction head?"),
    Mistake("the size of the effect counts, not its sign", verdict(size=abs),
            "For one of these heads the loss falls when it is removed. Is it needed?"),
    Mistake("one period only", verdict((12,)),
            "A head that always looks 11 tokens back: what does it score at period 12, and at 16?"),
    Mistake("the most favorable period decides", verdict(pick=max),
            "Should one good period pay for two bad ones?"),
    Mistake("the control repeats as well", verdict(repeats=True),
            "What can the control tell you if its second block is a copy too?"),
)  # fmt: skip
VERIFY_ALSO_RIGHT = (_verdict_by_hooks, verdict())
