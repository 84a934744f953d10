"""Sparse autoencoders of a residual stream: training, dead features, features as detectors.

Bricken et al. 2023 and Cunningham et al. 2024 train such autoencoders on language models. Here the
stream is that of a toy, whose contents are known.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class SparseAutoencoder:
    """Two linear maps with a ReLU between them.

    Row j of `decoder` is the direction of feature j in the stream, of length 1. With `k`, only the
    k largest activations of each vector are kept.
    """

    encoder: Float[Tensor, "d_model feature"]
    encoder_bias: Float[Tensor, " feature"]
    decoder: Float[Tensor, "feature d_model"]
    decoder_bias: Float[Tensor, " d_model"]
    k: int | None = None

    def activations(self, stream: Float[Tensor, "*batch d_model"]) -> Tensor:
        """How strongly each feature is on, [*batch feature], never negative."""
        activations = ((stream - self.decoder_bias) @ self.encoder + self.encoder_bias).relu()
        if self.k is None:
            return activations
        largest = activations.topk(self.k, dim=-1)
        return torch.zeros_like(activations).scatter(-1, largest.indices, largest.values)

    def reconstruction(self, activations: Float[Tensor, "*batch feature"]) -> Tensor:
        """The stream decoded from these activations, [*batch d_model]."""
        return activations @ self.decoder + self.decoder_bias


def sae_loss(
    stream: Float[Tensor, "example d_model"],
    reconstruction: Float[Tensor, "example d_model"],
    activations: Float[Tensor, "example feature"],
    penalty: float,
) -> Float[Tensor, ""]:
    """The training loss of an autoencoder: mean of ‖x − x̂‖² + penalty · Σ f over examples.

    Activations are not negative, so their sum is the L1 norm (Bricken et al. 2023).
    """
    error = (stream - reconstruction).square().sum(dim=-1)
    return (error + penalty * activations.sum(dim=-1)).mean()


def train_autoencoder(
    stream: Float[Tensor, "example d_model"],
    *,
    penalty: float = 0.0,
    k: int | None = None,
    n_features: int = 192,
    seed: int = 0,
    steps: int = 600,
    learning_rate: float = 1e-2,
    batch: int = 256,
) -> SparseAutoencoder:
    """An autoencoder of these vectors, sparse by an L1 penalty, by `k`, or by both.

    Adam, with a learning rate that falls to zero over the last 30 % of the steps. The directions
    are scaled back to length 1 after every step: else activations could be small and directions
    long, and the penalty would mean nothing. About one CPU-second with these settings for 64
    dimensions. Raises ValueError without a penalty and without k, or unless 1 ≤ k ≤ n_features.
    """
    if penalty <= 0 and k is None:
        raise ValueError("Nothing makes the features sparse: give a penalty above 0, or k.")
    if k is not None and not 1 <= k <= n_features:
        raise ValueError(f"k={k} of {n_features} features: use 1 to {n_features}.")
    generator = torch.Generator().manual_seed(seed)
    d_model = stream.shape[1]
    directions = F.normalize(torch.randn(n_features, d_model, generator=generator), dim=-1)
    weights = [
        directions.T.clone(),
        torch.zeros(n_features),
        directions.clone(),
        stream.mean(dim=0),
    ]
    model = SparseAutoencoder(*(weight.requires_grad_() for weight in weights), k=k)
    optimizer = torch.optim.Adam(weights, lr=learning_rate, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1.0, (steps - step) / (0.3 * steps))
        x = stream[torch.randint(len(stream), (batch,), generator=generator)]
        activations = model.activations(x)
        loss = sae_loss(x, model.reconstruction(activations), activations, penalty)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.decoder.copy_(F.normalize(model.decoder, dim=-1))
    return SparseAutoencoder(*(weight.detach() for weight in weights), k=k)


def dead_features(activations: Float[Tensor, "example feature"]) -> Int[Tensor, " dead"]:
    """The indices of the features that are 0 on every example, in ascending order."""
    return (activations == 0).all(dim=0).nonzero().flatten()


def feature_detection_scores(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    threshold: float = 0.5,
) -> tuple[Float[Tensor, "feature label"], Float[Tensor, "feature label"]]:
    """Precision and recall of every feature as a detector of every label.

    A feature is on where its activation is above `threshold` times its own largest one. Precision
    of feature j for label x: of the examples where j is on, the share that has label x. Recall: of
    the examples with label x, the share where j is on. Both are 0 where there is nothing to divide
    by: a dead feature, a label that does not occur.
    """
    on = (activations > threshold * activations.amax(dim=0)).float()
    has = F.one_hot(labels, n_labels).float()
    both = on.T @ has
    precision = both / on.sum(dim=0)[:, None].clamp_min(1)
    recall = both / has.sum(dim=0).clamp_min(1)
    return precision, recall


def best_f1(
    precision: Float[Tensor, "feature label"], recall: Float[Tensor, "feature label"]
) -> tuple[Float[Tensor, " label"], Int[Tensor, " label"]]:
    """For each label the best F1 of any feature, and which feature that is.

    F1 is the harmonic mean of precision and recall: high only if both are.
    """
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-9)
    best = f1.max(dim=0)
    return best.values, best.indices


def matched_share(
    first: Float[Tensor, "feature d_model"],
    second: Float[Tensor, "other d_model"],
    cosine: float = 0.9,
) -> float:
    """The share of the rows of `first` with a row of `second` in nearly the same direction."""
    cosines = F.normalize(first, dim=-1) @ F.normalize(second, dim=-1).T
    return (cosines.max(dim=1).values >= cosine).float().mean().item()


def chance_cosine(d_model: int, n_features: int, *, samples: int = 1000, seed: int = 0) -> float:
    """The mean best cosine of a random direction with `n_features` other random directions."""
    generator = torch.Generator().manual_seed(seed)
    mine = F.normalize(torch.randn(samples, d_model, generator=generator), dim=-1)
    others = F.normalize(torch.randn(n_features, d_model, generator=generator), dim=-1)
    return (mine @ others.T).max(dim=1).values.mean().item()
