"""Solutions of chapter 11, tasks in context, with a reason for each line that needs one."""

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def indirect_effects(
    model: "TransformerBridge",
    prompts: Int[Tensor, "batch pos"],
    corrupted: Int[Tensor, "corrupted pos"],
    answers: Int[Tensor, " corrupted"],
) -> Float[Tensor, "layer head"]:
    """One clean pass for the means, then one patched pass for each head."""
    _, cache = model.run_with_cache(prompts)

    def right(logits: Tensor) -> Tensor:
        chances = logits[:, -1].softmax(dim=-1)
        return chances[torch.arange(len(answers)), answers].mean()

    def patch(z: Tensor, hook: Any, head: int, mean: Tensor) -> Tensor:
        z = z.clone()
        z[:, -1, head] = mean  # Only the last position: that is where the answer is given.
        return z

    clean = right(model(corrupted))
    effects = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        name = f"blocks.{layer}.attn.hook_z"
        for head in range(model.cfg.n_heads):
            mean = cache[name][:, -1, head].mean(dim=0)
            hook = partial(patch, head=head, mean=mean)
            effects[layer, head] = right(model.run_with_hooks(corrupted, fwd_hooks=[(name, hook)]))
    return (effects - clean).detach()


def function_vector(
    mean_outputs: Float[Tensor, "layer head d_model"],
    effects: Float[Tensor, "layer head"],
    n_heads: int,
) -> Float[Tensor, " d_model"]:
    """Sort all heads of the model by their effect and add up the first ones."""
    n_per_layer = effects.shape[1]
    order = effects.flatten().argsort(descending=True)[:n_heads].tolist()
    # divmod turns a number in the flat list back into (layer, head).
    return torch.stack([mean_outputs[divmod(index, n_per_layer)] for index in order]).sum(dim=0)


def task_vector(
    with_examples: Float[Tensor, "batch pos d_model"], bare: Float[Tensor, "batch2 pos2 d_model"]
) -> Float[Tensor, " d_model"]:
    """The rows without examples are the control: what every last position contains anyway."""
    return with_examples[:, -1].mean(dim=0) - bare[:, -1].mean(dim=0)


def identified_task_formula() -> str:
    """M other tasks fit, each with chance 1/S, so the right one is chosen with chance 1/(1 + M).

    The mean of 1/(1 + M) over the binomial distribution of M: C(T−1, m)/(m+1) is C(T, m+1)/T,
    which turns the sum into that of a binomial distribution of T without its first term.
    """
    return "S / T * (1 - (1 - 1/S)**T)"


def patched_logits(
    model: "TransformerBridge",
    rows: Int[Tensor, "batch pos"],
    source: Int[Tensor, "batch source_pos"],
    name: str,
) -> Float[Tensor, "batch d_vocab"]:
    """One pass to read the states, one to write them."""
    _, cache = model.run_with_cache(source)
    state = cache[name][:, -1]

    def patch(residual: Tensor, hook: Any) -> Tensor:
        residual[:, -1] = state  # Row i gets state i; all other positions stay.
        return residual

    return model.run_with_hooks(rows, fwd_hooks=[(name, patch)])[:, -1]


def exclusive_heads(
    scores: Float[Tensor, "layer head"], others: Float[Tensor, "layer head"], n_heads: int
) -> list[tuple[int, int]]:
    """Heads of the other kind are left out first, so that the set still has `n_heads` heads."""
    left_out = others.flatten().argsort(descending=True)[:n_heads].tolist()
    order = scores.flatten().argsort(descending=True).tolist()
    chosen = [index for index in order if index not in left_out][:n_heads]
    return [divmod(index, scores.shape[1]) for index in chosen]


def copied_targets(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch pos"]:
    """Later copies overwrite earlier ones while the row is read from left to right."""
    copied = torch.zeros_like(tokens, dtype=torch.bool)
    for row, line in enumerate(tokens.tolist()):
        following: dict[int, int] = {}
        for i in range(len(line) - 1):
            copied[row, i] = following.get(line[i]) == line[i + 1]
            following[line[i]] = line[i + 1]  # After the test: a token is not a copy of itself.
    return copied


def context_votes(pairs: Int[Tensor, "batch pos"], n_labels: int) -> Float[Tensor, "batch label"]:
    """Each pair of the query's exemplar votes for its label."""
    exemplars, labels = pairs[:, 0:-1:2], pairs[:, 1::2]  # The last exemplar has no label.
    same = (exemplars == pairs[:, -1:]).float()
    votes = torch.zeros(len(pairs), n_labels).scatter_add(1, labels, same)
    total = votes.sum(dim=1, keepdim=True)
    # Without a vote all labels are equally likely; the clamp only avoids 0 / 0.
    return torch.where(total > 0, votes / total.clamp_min(1), 1 / n_labels)


def context_learner_formula() -> str:
    """Bursty rows are right; in the others the class is absent with chance (1 − 1/K)^N.

    Then a guess among L labels is right with chance 1/L.
    """
    return "p + (1 - p) * (1 - (1 - 1/K)**N * (1 - 1/L))"


def answer_shares(
    logits: Float[Tensor, "batch label"],
    from_context: Int[Tensor, " batch"],
    from_weights: Int[Tensor, " batch"],
) -> Float[Tensor, " source"]:
    """Only rows in which the two sources disagree say which of them was followed."""
    disagree = from_context != from_weights
    answers = logits.argmax(dim=-1)[disagree]
    context, weights = answers == from_context[disagree], answers == from_weights[disagree]
    return torch.stack([context, weights, ~context & ~weights]).float().mean(dim=1)


def largest_fall(values: Float[Tensor, "run snapshot"]) -> Float[Tensor, " run"]:
    """At each snapshot, the fall from the highest value so far; the order in time matters."""
    highest = values.cummax(dim=1).values
    return (highest - values).max(dim=1).values  # At the first snapshot it is 0.
