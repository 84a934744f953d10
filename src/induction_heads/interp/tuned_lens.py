"""The tuned lens: an affine map for each depth, trained to predict what the model predicts.

Belrose et al. 2023 put it before the logit lens. The map is trained, so what it shows may be its
own. The controls are a lens on the embeddings, and one on a model whose layers were shuffled.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.models.interface import HookedModel


def tuned_lens_loss(
    model: HookedModel,
    stream: Float[Tensor, "example d_model"],
    final_logits: Float[Tensor, "example d_vocab"],
    weight: Float[Tensor, "d_model d_model"],
    bias: Float[Tensor, " d_model"],
) -> Float[Tensor, ""]:
    """The mean divergence of a tuned lens from the model's own predictions, in nats.

    The lens reads `stream @ weight + bias` as if it were the last stream: final norm, unembedding,
    softmax. The divergence is KL(model ‖ lens), so the lens pays where the model is sure and it is
    not (Belrose et al. 2023). With the identity and no bias it is the logit lens.
    """
    translated = stream @ weight + bias
    lens = model.unembed(model.ln_final(translated[None]))[0].log_softmax(dim=-1)
    own = final_logits.log_softmax(dim=-1)
    return (own.exp() * (own - lens)).sum(dim=-1).mean()


@dataclass(frozen=True)
class Translator:
    """The affine map of a tuned lens at one depth."""

    weight: Float[Tensor, "d_model d_model"]
    bias: Float[Tensor, " d_model"]

    def logits(self, model: HookedModel, stream: Float[Tensor, "batch pos d_model"]) -> Tensor:
        """The predictions that the lens reads off a stream, [batch pos d_vocab]."""
        with torch.no_grad():
            return model.unembed(model.ln_final(stream @ self.weight + self.bias))


def least_squares_translator(
    stream: Float[Tensor, "example d_model"],
    last: Float[Tensor, "example d_model"],
    penalty: float = 1e-3,
) -> Translator:
    """The affine map that comes nearest to the last stream, by least squares.

    `penalty` is added to the moments of `stream`, as a share of their mean: embeddings of a small
    vocabulary may leave directions out.
    """
    mean, center = stream.mean(dim=0), last.mean(dim=0)
    centered = stream - mean
    moments = centered.T @ centered / len(stream)
    moments = moments + penalty * moments.diagonal().mean() * torch.eye(stream.shape[1])
    weight = torch.linalg.solve(moments, centered.T @ (last - center) / len(stream))
    return Translator(weight, center - mean @ weight)


def train_translator(
    model: HookedModel,
    stream: Float[Tensor, "example d_model"],
    final_logits: Float[Tensor, "example d_vocab"],
    start: Translator,
    *,
    seed: int = 0,
    steps: int = 50,
    batch: int = 256,
    learning_rate: float = 5e-3,
) -> Translator:
    """A translator that makes `tuned_lens_loss` small on these examples.

    Adam, with a learning rate that falls to zero over the last half. Belrose et al. start from the
    identity; from `least_squares_translator` a few dozen steps are enough for small models. The
    model does not change. Raises ValueError if streams and logits are not of the same examples.
    """
    if len(stream) != len(final_logits):
        raise ValueError(
            f"Got {len(stream)} streams and {len(final_logits)} rows of logits. Pass one row of "
            "logits for each stream."
        )
    generator = torch.Generator().manual_seed(seed)
    weights = [start.weight.clone(), start.bias.clone()]
    weight, bias = (one.requires_grad_() for one in weights)
    optimizer = torch.optim.Adam([weight, bias], lr=learning_rate, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1.0, 2 * (steps - step) / steps)
        chosen = torch.randint(len(stream), (batch,), generator=generator)
        loss = tuned_lens_loss(model, stream[chosen], final_logits[chosen], weight, bias)
        # Only the translator learns: the model gets no gradient.
        weight.grad, bias.grad = torch.autograd.grad(loss, (weight, bias))
        optimizer.step()
    return Translator(weight.detach(), bias.detach())


def shuffle_layers(model: HookedModel, seed: int = 0) -> None:
    """Put the entries of each matrix of the layers in random order. Changes the model.

    Embeddings, norms, biases and the unembedding stay, and so does the spread of each matrix. The
    control for whatever is read from a stream: layers of this size that have learned nothing.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for block in model.blocks:
            for weight in block.parameters():
                if weight.ndim > 1:
                    order = torch.randperm(weight.numel(), generator=generator)
                    weight.copy_(weight.flatten()[order].view_as(weight))
