"""Known mistakes of chapter 10 on effects and on function and task vectors, each with its hint."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

# indirect_effects


def effects(
    *,
    source: Callable[[Tensor], Tensor] = lambda z: z[:, -1].mean(dim=0),
    put: Callable[[Tensor, int, Tensor], None] | None = None,
    measure: Callable[[Tensor, Tensor], Tensor] | None = None,
    less: bool = True,
    sign: float = 1.0,
    reverse: bool = False,
    clean_base: bool = False,
    late: bool = False,
) -> Callable[..., Tensor]:
    """The effects by hooks; each option changes one step.

    `source` makes a value from the `z` [batch pos d_head] of one head.
    """

    def chance(logits: Tensor, answers: Tensor) -> Tensor:
        return logits[:, -1].softmax(dim=-1)[range(len(answers)), answers]

    def answer(model, prompts, corrupted, answers):
        if reverse:
            prompts, corrupted = corrupted, prompts[: len(corrupted)]
        read = measure or chance
        _, cache = model.run_with_cache(prompts)

        def patched(z: Tensor, hook: Any, head: int, value: Tensor) -> Tensor:
            z = z.clone()
            if put:
                put(z, head, value)
            else:
                z[:, -1, head] = value
            return z

        base = read(model(prompts[: len(answers)] if clean_base else corrupted), answers).mean()
        rows, last = [], f"blocks.{model.cfg.n_layers - 1}.attn.hook_z"
        for layer in range(model.cfg.n_layers):
            name, row = f"blocks.{layer}.attn.hook_z", []
            for one in range(model.cfg.n_heads):
                head = model.cfg.n_heads - 1 if late else one
                value = source(cache[last if late else name][:, :, head])
                hook = partial(patched, head=head, value=value)
                logits = model.run_with_hooks(corrupted, fwd_hooks=[(name, hook)])
                row.append(read(logits, answers).mean() - (base if less else 0))
            rows.append(torch.stack(row))
        return sign * torch.stack(rows).detach()

    return answer


def _everywhere(z: Tensor, head: int, value: Tensor) -> None:
    z[:, :, head] = value


def _added(z: Tensor, head: int, value: Tensor) -> None:
    z[:, -1, head] += value


def _all_heads(z: Tensor, head: int, value: Tensor) -> None:
    z[:, -1, :] = value


EFFECT_MISTAKES = (
    Mistake(
        "the probability itself, not its rise",
        effects(less=False),
        "What would your number be for a head that changes nothing?",
    ),
    Mistake(
        "the sign is reversed",
        effects(sign=-1.0),
        "A head that carries the task should have an effect above 0. Which probability is larger?",
    ),
    Mistake(
        "the mean over all positions",
        effects(source=lambda z: z.mean(dim=(0, 1))),
        "The answer is read at one position. At which position is the head's output averaged?",
    ),
    Mistake(
        "the first prompt, not the mean",
        effects(source=lambda z: z[0, -1]),
        "Your value depends on the query of the first prompt. What does the exercise average over?",
    ),
    Mistake(
        "patched at every position",
        effects(put=_everywhere),
        "Which position gives the answer? Should the others stay corrupted?",
    ),
    Mistake(
        "added, not replaced",
        effects(put=_added),
        "The head's own output on the corrupted row is still in your sum. Should it be?",
    ),
    Mistake(
        "all heads of the layer are patched",
        effects(put=_all_heads),
        "`hook_z` contains all heads of the layer. What happens to the other heads in your "
        "version?",
    ),
    Mistake(
        "functions created in a loop share variables",
        effects(late=True),
        "All heads of a layer have the same effect. A function created in a loop looks up its "
        "variables when it is called: whose head and whose value does it find then?",
    ),
    Mistake(
        "logits, not probabilities",
        effects(measure=lambda x, y: x[:, -1][range(len(y)), y]),
        "The effect lies between −1 and 1. What turns logits into probabilities?",
    ),
    Mistake(
        "log-probabilities",
        effects(measure=lambda x, y: x[:, -1].log_softmax(-1)[range(len(y)), y]),
        "Does the exercise ask for a rise in probability, or in its logarithm?",
    ),
    Mistake(
        "prompts and corrupted rows are swapped",
        effects(reverse=True),
        "Which rows give the value, and which receive it?",
    ),
    Mistake(
        "compared with the prompts, not with the corrupted rows",
        effects(clean_base=True),
        "A head that changes nothing should have effect 0. Which run is the baseline then?",
    ),
)


# function_vector


def chosen(
    order: Callable[[Tensor], Tensor],
    finish: Callable[[Tensor, Tensor], Tensor] = lambda outputs, weights: outputs.sum(dim=0),
) -> Callable[..., Tensor]:
    """The heads with the highest `order`, put together by `finish(outputs, effects)`."""

    def answer(mean_outputs, effects, n_heads):
        top = order(effects.flatten()).argsort(descending=True)[:n_heads]
        return finish(mean_outputs.flatten(0, 1)[top], effects.flatten()[top])

    return answer


def _best_of_each_layer(mean_outputs, effects, n_heads):
    top = effects.argmax(dim=1)
    return mean_outputs[torch.arange(len(top)), top].sum(dim=0)


def _numbered_across(mean_outputs, effects, n_heads):
    top = effects.T.flatten().argsort(descending=True)[:n_heads]
    return mean_outputs.flatten(0, 1)[top].sum(dim=0)


FUNCTION_MISTAKES = (
    Mistake(
        "the largest absolute values",
        chosen(lambda e: e.abs()),
        "One of the effects is far below 0. Does that head belong in the vector?",
    ),
    Mistake(
        "the smallest effects",
        chosen(lambda e: -e),
        "In which order does your code sort the heads?",
    ),
    Mistake(
        "their mean, not their sum",
        chosen(lambda e: e, lambda out, w: out.mean(dim=0)),
        "Each head adds its output to the residual stream. How do the outputs of several heads "
        "combine?",
    ),
    Mistake(
        "weighted by the effects",
        chosen(lambda e: e, lambda out, w: (w[:, None] * out).sum(dim=0)),
        "The effects choose the heads. Do they also scale what the heads write?",
    ),
    Mistake(
        "one head of each layer",
        _best_of_each_layer,
        "`n_heads` counts heads of the whole model. May two of them be in one layer?",
    ),
    Mistake(
        "layer and head are swapped in the flat list",
        _numbered_across,
        "After flattening, which entry is L1H0 in your effects, and which in your outputs?",
    ),
    Mistake(
        "all heads",
        lambda outputs, effects, n: outputs.sum(dim=(0, 1)),
        "Where do you use `n_heads`?",
    ),
)


# task_vector


def difference(
    read: Callable[[Tensor], Tensor] = lambda x: x[:, -1].mean(dim=0),
    rule: Callable[[Tensor, Tensor], Tensor] = lambda many, few: many - few,
) -> Callable[..., Tensor]:
    """A rule for the two tensors, each read in the same way."""
    return lambda with_examples, bare: rule(read(with_examples), read(bare))


TASK_MISTAKES = (
    Mistake(
        "nothing is subtracted",
        difference(rule=lambda many, few: many),
        "The last position contains its own token and position, with or without examples. Is that "
        "part of the task?",
    ),
    Mistake(
        "the sign is reversed",
        difference(rule=lambda many, few: few - many),
        "Adding your vector removes the task. Which mean is subtracted from which?",
    ),
    Mistake(
        "the mean over all positions",
        difference(lambda x: x.mean(dim=(0, 1))),
        "At which position is the answer given?",
    ),
    Mistake(
        "the first position",
        difference(lambda x: x[:, 0].mean(dim=0)),
        "The first position has seen no example. Which one has seen all of them?",
    ),
    Mistake(
        "the sum over the rows",
        difference(lambda x: x[:, -1].sum(dim=0)),
        "What happens to your vector if there are twice as many rows?",
    ),
    Mistake(
        "scaled to length 1",
        difference(rule=lambda many, few: torch.nn.functional.normalize(many - few, dim=0)),
        "The direction is right. Did the exercise ask for a unit vector?",
    ),
)
