"""Known mistakes of chapter 11 on effects and on function and task vectors, each with its hint."""

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
    late: str = "",
) -> Callable[..., Tensor]:
    """The effects by hooks; each option changes one step.

    `source` makes a value from the `z` [batch pos d_head] of one head. `late` is what a hook looks
    up when it is called: the number of its head, or the value as well.
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
                value = source(cache[last if late == "head and value" else name][:, :, head])
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
        effects(late="head and value"),
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
    Mistake(
        "functions created in a loop share the number of the head",
        effects(late="head"),
        "All heads of a layer have the same effect. A function created in a loop looks up its "
        "variables when it is called: which head does it find then?",
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


def _at_one_place(with_examples: Tensor, bare: Tensor) -> Tensor:
    place = min(with_examples.shape[1], bare.shape[1]) - 1
    return difference(lambda x: x[:, place].mean(dim=0))(with_examples, bare)


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
        "the last position of the shorter rows, in both",
        _at_one_place,
        "With examples, the rows are longer. At which position is their answer given?",
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


# identified_task_formula

IDENTIFIED_MISTAKES = (
    Mistake(
        "the chance that no other task fits",
        lambda: "(1 - 1/S)**(T - 1)",
        "If one other task fits as well, are you always wrong?",
    ),
    Mistake(
        "one over the mean number of tasks that fit",
        lambda: "1 / (1 + (T - 1) / S)",
        "You divide by an average. Is the mean of 1/(1 + M) the same as 1 over the mean of 1 + M?",
    ),
    Mistake(
        "T − 1 tasks in place of T",
        lambda: "S / (T - 1) * (1 - (1 - 1/S)**(T - 1))",
        "Try T = 1: what should the chance be? Which binomial distribution does your sum belong "
        "to after C(T−1, m)/(m+1) has been rewritten?",
    ),
    Mistake(
        "the first term of the sum is left in",
        lambda: "S / T",
        "Your chance can be larger than 1. The sum over m + 1 begins at one. Which term of the "
        "full binomial distribution is missing from it?",
    ),
    Mistake(
        "a guess without the example",
        lambda: "1 / T",
        "That is the chance before the example. How many tasks does it rule out?",
    ),
)


# patched_logits


def patched(
    *,
    state: Callable[[Tensor], Tensor] = lambda residual: residual[:, -1],
    write: Callable[[Tensor, Tensor], None] | None = None,
    swap: bool = False,
    read: int = -1,
    patch: bool = True,
) -> Callable[..., Tensor]:
    """The patched logits by hooks; each option changes one step."""

    def answer(model, rows, source, name):
        if swap:
            rows, source = source, rows
        _, cache = model.run_with_cache(source)
        value = state(cache[name])

        def hook(residual: Tensor, hook: Any) -> Tensor:
            residual = residual.clone()
            if write:
                write(residual, value)
            else:
                residual[:, -1] = value
            return residual

        return model.run_with_hooks(rows, fwd_hooks=[(name, hook)] if patch else [])[:, read]

    return answer


def _add_state(residual: Tensor, value: Tensor) -> None:
    residual[:, -1] += value


def _all_positions(residual: Tensor, value: Tensor) -> None:
    residual[:] = value[:, None]


PATCH_MISTAKES = (
    Mistake(
        "the states are added",
        patched(write=_add_state),
        "The row's own state is still in the sum. Should it be?",
    ),
    Mistake(
        "the mean over the source rows",
        patched(state=lambda residual: residual[:, -1].mean(dim=0)),
        "Every row receives the same state. Which source row belongs to row i?",
    ),
    Mistake(
        "patched at every position",
        patched(write=_all_positions),
        "What can later layers still read at the other positions in your version?",
    ),
    Mistake(
        "rows and source are swapped",
        patched(swap=True),
        "Which rows give the state, and in which are the logits read?",
    ),
    Mistake(
        "nothing is patched",
        patched(patch=False),
        "Does your hook return the changed state, and is it given to the run?",
    ),
    Mistake(
        "the mean over the positions of the source",
        patched(state=lambda residual: residual.mean(dim=1)),
        "At which position does a source row hold what its examples have shown?",
    ),
    Mistake(
        "the logits before the last",
        patched(read=-2),
        "No query before the last position can see the patch. At which one are the logits read?",
    ),
)


# exclusive_heads


def without(
    left_out: Callable[[Tensor, int], list[int]],
    *,
    first: bool = True,
    descending: bool = True,
    finish: Callable[[list[int], int], list] = lambda order, width: [
        divmod(index, width) for index in order
    ],
) -> Callable[..., list]:
    """The heads with the largest scores without those `left_out(others, n_heads)`.

    With `first` they are left out before the choice, otherwise after it.
    """

    def answer(scores, others, n_heads):
        out = set(left_out(others.flatten(), n_heads))
        order = scores.flatten().argsort(descending=descending).tolist()
        if first:
            order = [index for index in order if index not in out][:n_heads]
        else:
            order = [index for index in order[:n_heads] if index not in out]
        return finish(order, scores.shape[1])

    return answer


def largest(others: Tensor, n_heads: int) -> list[int]:
    """The numbers of the heads with the largest values."""
    return others.argsort(descending=True)[:n_heads].tolist()


EXCLUSIVE_MISTAKES = (
    Mistake(
        "nothing is left out",
        without(lambda others, n: []),
        "One head is first in both tensors. Is it in your list?",
    ),
    Mistake(
        "left out after the choice",
        without(largest, first=False),
        "How many heads does your list have if a head is of both kinds?",
    ),
    Mistake(
        "one head is left out",
        without(lambda others, n: largest(others, 1)),
        "How many heads count as the other kind?",
    ),
    Mistake(
        "the smallest of the other kind are left out",
        without(lambda others, n: largest(-others, n)),
        "Which heads are of the other kind: those with the largest values of `others`, or those "
        "with the smallest?",
    ),
    Mistake(
        "the smallest scores",
        without(largest, descending=False),
        "In which order does your code sort the scores?",
    ),
    Mistake(
        "the largest differences between the two kinds",
        lambda scores, others, n: without(lambda o, n: [])(scores - others, others, n),
        "Should the size of a head's other score matter once the head is not left out?",
    ),
    Mistake(
        "in the order of the model",
        without(
            largest, finish=lambda order, width: [divmod(index, width) for index in sorted(order)]
        ),
        "The right heads are in your list. In which order did the exercise ask for them?",
    ),
    Mistake(
        "head and layer are swapped",
        without(
            largest, finish=lambda order, width: [divmod(index, width)[::-1] for index in order]
        ),
        "Which of the two numbers is the layer?",
    ),
    Mistake(
        "one head more is left out",
        without(lambda others, n: largest(others, n + 1)),
        "How many heads count as the other kind, and how many does your slice hold?",
    ),
)


# copied_targets


def marked(
    pick: Callable[[Tensor], Tensor],
    *,
    diagonal: int = -1,
    shift: int = 0,
) -> Callable[[Tensor], Tensor]:
    """Positions whose next token follows the copy that `pick` chooses from [query, key] matches.

    `pick` returns the weight of each key; a target is marked if any chosen key has its follower.
    """

    def answer(tokens):
        same = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=diagonal)
        chosen = pick(same)[:, :-1, :-1]
        agrees = tokens[:, None, 1:] == tokens[:, 1:, None]
        found = torch.zeros_like(tokens, dtype=torch.bool)
        found[:, :-1] = (chosen & agrees).any(dim=-1)
        return found.roll(shift, dims=1)

    return answer


def latest(same: Tensor) -> Tensor:
    """The last key that matches, for each query."""
    return same & (same.flip(-1).cumsum(dim=-1).flip(-1) == 1)


def _earliest(same: Tensor) -> Tensor:
    return same & (same.cumsum(dim=-1) == 1)


def _occurred(tokens: Tensor) -> Tensor:
    earlier = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1).any(dim=-1)
    return torch.cat([earlier[:, 1:], torch.zeros_like(earlier[:, :1])], dim=1)


def _recurs(tokens: Tensor) -> Tensor:
    recurs = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1).any(dim=-1)
    recurs[:, -1] = False
    return recurs


def _any_disagrees(tokens: Tensor) -> Tensor:
    """Where an earlier copy was followed by another token than this one."""
    after = tokens.roll(-1, dims=1)
    same = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)
    return (same & (after[:, :, None] != after[:, None, :])).any(dim=-1)


COPIED_MISTAKES = (
    Mistake(
        "any earlier copy",
        marked(lambda same: same),
        "If a token had two different followers so far, which one does the exercise predict?",
    ),
    Mistake(
        "the earliest copy",
        marked(_earliest),
        "A token may have several earlier copies. Which of them counts?",
    ),
    Mistake(
        "all earlier copies must agree",
        lambda tokens: marked(latest)(tokens) & ~_any_disagrees(tokens),
        "Where earlier copies had different followers, you mark nothing. Must all of them agree?",
    ),
    Mistake(
        "marked at the token that is predicted",
        marked(latest, shift=1),
        "Is your mark at the position that predicts, or at the token that is predicted?",
    ),
    Mistake(
        "a token is a copy of itself",
        marked(latest, diagonal=0),
        "Nearly everything is marked. Is token i one of its own earlier copies?",
    ),
    Mistake(
        "every token that occurs earlier",
        _occurred,
        "The next token did occur before. Did it follow the same token there?",
    ),
    Mistake(
        "every token that has an earlier copy",
        _recurs,
        "There is a prediction wherever a token recurs. Is it also right?",
    ),
)
