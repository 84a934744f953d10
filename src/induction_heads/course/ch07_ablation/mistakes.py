"""Known mistakes of chapter 7, each with its hint.

Those of `path_ablation` and `verify_induction_behavior` are in `path_mistakes`.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch07_ablation.inputs import later
from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import forward, losses, only, total

# zero_ablation_hook and mean_ablation_hook


def _ablated(value: Callable[[Tensor, int], Any]) -> Callable[..., Tensor]:
    """A hook that puts `value(z, head)` in the place of the head."""

    def answer(z, hook, head):
        changed = z.clone()
        changed[:, :, head] = value(z, head)
        return changed

    return answer


def _zero_by_mask(z, hook, head):
    return z * (torch.arange(z.shape[2]) != head)[:, None]


def _position_is_zero(z, hook, head):
    changed = z.clone()
    changed[:, head] = 0
    return changed


def _others_are_zero(z, hook, head):
    return z - _zero_by_mask(z, hook, head)


def _last_axis_is_zero(z, hook, head):
    changed = z.clone()
    changed[..., head] = 0
    return changed


ZERO_MISTAKES = (
    Mistake(
        "a position is zero, not a head",
        _position_is_zero,
        "What are the four axes of z, in order? Which one do you index?",
    ),
    Mistake(
        "all other heads are zero",
        _others_are_zero,
        "Which head still writes in what you return, and which should be silent?",
    ),
    Mistake(
        "every head is zero",
        lambda z, hook, head: torch.zeros_like(z),
        "That silences the whole layer. What does `head` select?",
    ),
    Mistake(
        "one entry of every head is zero",
        _last_axis_is_zero,
        "The last axis of z is d_head. Where is the axis of heads?",
    ),
    Mistake(
        "nothing changes",
        lambda z, hook, head: z.clone(),
        "The model continues with what you return. Is it the tensor you changed?",
    ),
)

MEAN_MISTAKES = (
    Mistake(
        "the mean runs over positions as well",
        _ablated(lambda z, head: z[:, :, head].mean(dim=(0, 1))),
        "Positions 3 and 20 differ in the same way in every row. Should the mean erase that too?",
    ),
    Mistake(
        "the mean runs over positions instead of rows",
        _ablated(lambda z, head: z[:, :, head].mean(dim=1, keepdim=True)),
        "Each row keeps its own mean that way. Which axis holds the rows?",
    ),
    Mistake(
        "the mean runs over the heads",
        _ablated(lambda z, head: z.mean(dim=2)),
        "Whose mean should go there: this head's, or that of the other heads?",
    ),
    Mistake(
        "the mean runs over d_head",
        _ablated(lambda z, head: z[:, :, head].mean(dim=-1, keepdim=True)),
        "The entries of one vector are not samples. What do you want to average over?",
    ),
    Mistake(
        "every head gets its mean",
        lambda z, hook, head: z.mean(dim=0, keepdim=True).expand_as(z).clone(),
        "How many heads have you changed? Look at one that is not `head`.",
    ),
    Mistake(
        "the head is zero",
        _ablated(lambda z, head: 0.0),
        "That is the other hook. What does this head write on average?",
    ),
    Mistake(
        "the sum over the rows, not their mean",
        _ablated(lambda z, head: z[:, :, head].sum(dim=0)),
        "With twice as many rows the head would write twice as much. What do you divide by?",
    ),
)


# ablation_scores


def scores_by(change: Callable[..., Tensor], finish=lambda changed, clean: changed - clean):
    """[layer head] from the losses of `change(model, tokens, layer, head)` and of a clean pass."""

    def answer(model, tokens):
        clean = losses(forward(model, tokens)[0], tokens).mean()
        rises = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
        for layer, head in torch.cartesian_prod(*map(torch.arange, rises.shape)).tolist():
            rises[layer, head] = finish(change(model, tokens, layer, head).mean(), clean)
        return rises

    return answer


def _silent_loss(model, tokens, layer, head):
    return losses(forward(model, tokens, silent=only(layer, head))[0], tokens)


def _silent_layer(model, tokens, layer, head):
    return losses(forward(model, tokens, silent=lambda a, b: a == layer)[0], tokens)


def _all_but_one(model, tokens, layer, head):
    silent = lambda a, b: a == layer and b != head  # noqa: E731
    return losses(forward(model, tokens, silent=silent)[0], tokens)


def _last_head(model, tokens, layer, head):
    """A function made in a loop finds the last head of the layer when it is called."""
    return _silent_loss(model, tokens, layer, model.cfg.n_heads - 1)


def _last_of_all(model, tokens, layer, head):
    return _silent_loss(model, tokens, model.cfg.n_layers - 1, model.cfg.n_heads - 1)


def _all_before_too(model, tokens, layer, head):
    silent = lambda a, b: (a, b) <= (layer, head)  # noqa: E731
    return losses(forward(model, tokens, silent=silent)[0], tokens)


def _second_half(model, tokens, layer, head):
    half = tokens.shape[1] // 2
    clean = losses(forward(model, tokens)[0], tokens)
    return _silent_loss(model, tokens, layer, head)[:, -half:] - clean[:, -half:]


SCORES_MISTAKES = (
    Mistake(
        "the loss itself, not its rise",
        scores_by(_silent_loss, lambda changed, _: changed),
        "Would a head that does nothing score zero? What is the loss with the head in place?",
    ),
    Mistake(
        "the sign is reversed",
        scores_by(_silent_loss, lambda changed, clean: clean - changed),
        "A needed head should score above zero. Which of the two losses is larger then?",
    ),
    Mistake(
        "the whole layer is silenced",
        scores_by(_silent_layer),
        "All heads of a layer score the same here. What does your hook do with `head`?",
    ),
    Mistake(
        "all heads of the layer but one are silenced",
        scores_by(_all_but_one),
        "Which head is silent in the pass whose loss you store under [layer, head]?",
    ),
    Mistake(
        "functions created in a loop share variables",
        scores_by(_last_head),
        "All heads of a layer score the same. A function created in a loop looks up its variables "
        "when it is called: which head does it find then?",
    ),
    Mistake(
        "a head that was silenced stays silent",
        scores_by(_all_before_too),
        "Only the first number is right. Which hooks are still on the model when you come to the "
        "second head?",
    ),
    Mistake(
        "layers and heads are swapped",
        lambda m, t: scores_by(_silent_loss)(m, t).T,
        "Which axis comes first, layer or head?",
    ),
    Mistake(
        "only the second half of the tokens counts",
        scores_by(_second_half, lambda changed, _: changed),
        "The exercise asks for the mean over all tokens. Which ones are in your mean?",
    ),
    Mistake(
        "functions created in a loop share variables, the layer as well",
        scores_by(_last_of_all),
        "All heads of the model score the same. A function created in a loop looks up its "
        "variables when it is called: which layer and which head are there after the loops?",
    ),
)


# pattern_preserving_ablation


def _direct(model, tokens, layer, head):
    wrote = forward(model, tokens)[2]
    return forward(model, tokens, silent=only(layer, head), written=later(wrote, layer))[0]


def _later_silent(model, tokens, layer, head):
    return forward(model, tokens, silent=lambda a, b: a > layer or (a, b) == (layer, head))[0]


def _layer_silent(model, tokens, layer, head):
    seen = forward(model, tokens)[1]
    return forward(model, tokens, silent=lambda a, b: a == layer, patterns=later(seen, layer))[0]


def _with_patterns(later_of: Callable[[dict, int], dict]):
    """The head is silent, and the patterns are held that `later_of(clean, layer)` returns."""

    def answer(model, tokens, layer, head):
        held = later_of(forward(model, tokens)[1], layer)
        return forward(model, tokens, silent=only(layer, head), patterns=held)[0]

    return answer


def _next_only(clean, layer):
    return {place: pattern for place, pattern in clean.items() if place[0] == layer + 1}


def _those_of_the_last(clean, layer):
    last = max(place[0] for place in clean)
    return {place: clean[last, place[1]] for place in later(clean, layer)}


PRESERVING_MISTAKES = (
    Mistake(
        "only the next layer keeps its patterns",
        _with_patterns(_next_only),
        "The model may have three layers. Which of them come after the head?",
    ),
    Mistake(
        "functions created in a loop share variables",
        _with_patterns(_those_of_the_last),
        "All later layers get the patterns of the last one. A function created in a loop looks up "
        "its variables when it is called. What does `hook.name` tell it?",
    ),
    Mistake(
        "the later patterns are free to change",
        total,
        "Where do the later heads look in your second pass? Which hook holds them there?",
    ),
    Mistake(
        "the head still writes",
        lambda model, tokens, *_: forward(model, tokens)[0],
        "These are the logits of the clean model. Is the head silent in the pass you return?",
    ),
    Mistake(
        "the later heads' outputs are held, not only their patterns",
        _direct,
        "A later head may find something else at the same position. What should stay fixed?",
    ),
    Mistake(
        "the later heads are silent too",
        _later_silent,
        "Later heads should look where they looked before. What do they write in your version?",
    ),
    Mistake(
        "the whole layer is silenced",
        _layer_silent,
        "One head of the layer is removed. What happens to the others?",
    ),
)
