"""Does a head raise the logit of what it attends to? Scores measured in a forward pass.

`copying_scores` in `circuits` answers from the weights alone: it takes what the head reads to be
the token embedding. With MLPs, biases or tied embeddings that can be far from what it does read,
and the score misses heads that copy. The scores here take what the head did read.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.activations import visit_values
from induction_heads.circuits import final_norm, head_weights, without_scale


@dataclass(frozen=True)
class RepeatCopying:
    """What each head adds, straight through the unembedding, where an induction head attends.

    `rank` is from −1 to 1: how much more often the token that came next in the first copy is raised
    above another token of the block than below it. 1 is a head that copies, 0 is chance, −1 lowers
    it. `logits` is by how much: its logit minus the mean of the other tokens of the block.
    """

    rank: Float[Tensor, "layer head"]
    logits: Float[Tensor, "layer head"]


def repeat_copying(
    model: Any, tokens: Int[Tensor, "batch pos"], period: int, gap: int = 0
) -> RepeatCopying:
    """How each head changes the logit of the token to come, in the second of two copies.

    `tokens` are those of `repeated_tokens`: two copies of a block of `period` distinct tokens, with
    `gap` tokens between and perhaps a BOS in front. The queries are the tokens of the second copy
    but for the last. What a head writes there goes through the final norm, with the scale that the
    norm had, and the unembedding; later layers are left out. Raises ValueError for tokens that do
    not hold two such copies.
    """
    n_pos = tokens.shape[1]
    start, first = n_pos - period, n_pos - 2 * period - gap
    if first < 0 or not torch.equal(tokens[:, start:], tokens[:, first : first + period]):
        raise ValueError(f"Two copies of {period} tokens, {gap} apart, are not in these tokens.")
    norm, outputs = final_norm(model), head_weights(model)[3].to(tokens.device)
    directions = _unembedding(model, tokens[:, start:])
    ranks: list[Tensor] = []
    differences: list[Tensor] = []

    def visit(layer: int, values: Tensor, mixed: Tensor) -> None:
        for head, W_O in enumerate(outputs[layer]):
            written = without_scale(norm, mixed[:, start:-1, head] @ W_O)
            raised = written @ directions.mT  # [batch query block]
            target = raised.diagonal(offset=1, dim1=1, dim2=2)[..., None]
            apart = target - raised  # 0 for the target itself.
            ranks.append(apart.sign().sum(dim=-1).mean() / (period - 1))
            differences.append(apart.sum(dim=-1) / (period - 1))

    residual = visit_values(model, tokens, visit)
    scale = _scale(norm, residual)[:, start:-1]
    logits = torch.stack([(apart / scale).mean() for apart in differences])
    shape = outputs.shape[:2]
    return RepeatCopying(torch.stack(ranks).view(shape), logits.view(shape))


def olsson_copying_scores(
    model: Any, tokens: Int[Tensor, "batch pos"], *, skip: int = 0
) -> Float[Tensor, "layer head"]:
    """How much of what a head raises is the token it attends to, from −1 to 1.

    `logit_copying_score` (after Olsson et al. 2022) of every head at once, with the gain of the
    final norm folded in. `skip` positions in front, such as a BOS, are left out. A head that raises
    tokens without regard to what it attends to scores 4 / (n + 1) − 1 for n tokens, not 0: −0.85
    for 25. A head that lowers what it attends to scores −1, and so does one that writes nothing.
    """
    norm, outputs = final_norm(model), head_weights(model)[3].to(tokens.device)
    sample = tokens[:, skip:]
    mean_direction = model.W_U.detach().float().mean(dim=1).to(tokens.device)
    directions = _unembedding(model, sample) - mean_direction
    scores: list[Tensor] = []

    def visit(layer: int, values: Tensor, mixed: Tensor) -> None:
        for head, W_O in enumerate(outputs[layer]):
            written = without_scale(norm, values[:, skip:, head] @ W_O)
            raised = (written @ directions.mT).relu()  # [batch attended sample]
            own = raised.diagonal(dim1=1, dim2=2)
            share = own / (own + raised.sum(dim=-1)).clamp_min(1e-9)
            scores.append(4 * share.mean() - 1)

    visit_values(model, tokens, visit)
    return torch.stack(scores).view(outputs.shape[:2])


def _unembedding(model: Any, tokens: Tensor) -> Float[Tensor, "batch pos d_model"]:
    """The direction in the residual stream that raises the logit of each token."""
    return model.W_U.detach().T[tokens.to(model.W_U.device)].float().to(tokens.device)


def _scale(norm: torch.nn.Module, residual: Tensor) -> Float[Tensor, "batch pos"]:
    """What the final norm divides by at each position; 1 without a norm."""
    if isinstance(norm, torch.nn.Identity):
        return torch.ones_like(residual[..., 0])
    is_rms = "RMS" in type(norm).__name__
    centered = residual if is_rms else residual - residual.mean(dim=-1, keepdim=True)
    eps = getattr(norm, "eps", getattr(norm, "variance_epsilon", 1e-5))
    return (centered.square().mean(dim=-1) + eps).sqrt()
