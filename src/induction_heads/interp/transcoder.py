"""Transcoders: sparse features that read what an MLP reads and write what it writes.

Dunefsky, Chlenski and Nanda 2024 train them on language models; Ameisen et al. 2025 put them in
place of the MLPs to draw a graph. The controls are a linear map, the largest neurons of the MLP
itself, and a transcoder of shuffled outputs.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.losses import per_token_loss
from induction_heads.models.interface import HookedModel, require_tokens


@dataclass(frozen=True)
class Transcoder:
    """Two linear maps with a ReLU between them, of which the k largest activations are kept.

    Column j of `encoder` is what feature j reads of the MLP's input, behind its norm. Row j of
    `decoder` is what it writes to the stream, of length 1. In a model both have d_model dimensions.
    """

    encoder: Float[Tensor, "d_model feature"]
    encoder_bias: Float[Tensor, " feature"]
    decoder: Float[Tensor, "feature d_out"]
    decoder_bias: Float[Tensor, " d_out"]
    k: int

    def activations(self, inputs: Float[Tensor, "*batch d_model"]) -> Tensor:
        """How strongly each feature is on, [*batch feature]: at most k of them are above 0."""
        activations = (inputs @ self.encoder + self.encoder_bias).relu()
        largest = activations.topk(self.k, dim=-1)
        return torch.zeros_like(activations).scatter(-1, largest.indices, largest.values)

    def __call__(self, inputs: Float[Tensor, "*batch d_model"]) -> Tensor:
        """What the features write in place of the MLP, [*batch d_model]."""
        return self.activations(inputs) @ self.decoder + self.decoder_bias


@dataclass(frozen=True)
class Neurons(Transcoder):
    """The neurons of an MLP in the place of features, those k that write most at each position.

    What a neuron writes is measured by |activation| · ‖its row of the decoder‖.
    """

    act: torch.nn.Module

    def activations(self, inputs: Float[Tensor, "*batch d_model"]) -> Tensor:
        """What each neuron has, [*batch neuron]: at most k of them are not 0."""
        activations = self.act(inputs @ self.encoder + self.encoder_bias)
        largest = (activations.abs() * self.decoder.norm(dim=-1)).topk(self.k, dim=-1).indices
        return torch.zeros_like(activations).scatter(-1, largest, activations.gather(-1, largest))


def transcoder_parts(
    inputs: Float[Tensor, "example d_model"],
    outputs: Float[Tensor, "example d_out"],
    encoder: Float[Tensor, "d_model feature"],
    encoder_bias: Float[Tensor, " feature"],
    decoder: Float[Tensor, "feature d_out"],
    decoder_bias: Float[Tensor, " d_out"],
    k: int,
) -> tuple[Float[Tensor, "example feature d_out"], Float[Tensor, "example d_out"]]:
    """What each feature writes, and the error node: what the MLP wrote and the features leave out.

    The first sums over features, plus `decoder_bias`, plus the second, to `outputs` exactly.
    """
    f = Transcoder(encoder, encoder_bias, decoder, decoder_bias, k).activations(inputs)
    written = f[..., None] * decoder
    return written, outputs - written.sum(dim=1) - decoder_bias


def train_transcoder(
    inputs: Float[Tensor, "example d_model"],
    outputs: Float[Tensor, "example d_out"],
    *,
    k: int = 8,
    n_features: int = 256,
    seed: int = 0,
    steps: int = 400,
    learning_rate: float = 1e-2,
    batch: int = 256,
) -> Transcoder:
    """A transcoder of these inputs and outputs of an MLP, by mean squared error.

    Adam, with a learning rate that falls to zero over the last 30 % of the steps. Inputs and
    outputs are brought to mean 0 and a mean square of 1 per dimension for the training, and the
    weights are scaled back at the end. About 1.5 CPU-seconds with these settings for 64 dimensions.
    Raises ValueError unless 1 ≤ k ≤ n_features, or if there are not as many outputs as inputs.
    """
    if not 1 <= k <= n_features:
        raise ValueError(f"k={k} of {n_features} features: use 1 to {n_features}.")
    if len(inputs) != len(outputs):
        raise ValueError(
            f"Got {len(inputs)} inputs and {len(outputs)} outputs. Pass both of the same examples."
        )
    generator = torch.Generator().manual_seed(seed)
    (x_mean, x_size, x_all), (y_mean, y_size, y_all) = map(_standardized, (inputs, outputs))
    directions = F.normalize(torch.randn(n_features, x_all.shape[1], generator=generator), dim=-1)
    weights = [
        directions.T.clone(),
        torch.zeros(n_features),
        directions.clone(),
        torch.zeros(y_all.shape[1]),
    ]
    model = Transcoder(*(weight.requires_grad_() for weight in weights), k=k)
    optimizer = torch.optim.Adam(weights, lr=learning_rate, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate * min(1.0, (steps - step) / (0.3 * steps))
        rows = torch.randint(len(x_all), (batch,), generator=generator)
        loss = (model(x_all[rows]) - y_all[rows]).square().sum(dim=-1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            model.decoder.copy_(F.normalize(model.decoder, dim=-1))
    encoder, encoder_bias, decoder, decoder_bias = (weight.detach() for weight in weights)
    encoder = encoder * (y_size / x_size)
    return Transcoder(
        encoder=encoder,
        encoder_bias=y_size * encoder_bias - x_mean @ encoder,
        decoder=decoder,
        decoder_bias=y_size * decoder_bias + y_mean,
        k=k,
    )


def _standardized(vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    mean = vectors.mean(dim=0)
    size = (vectors - mean).square().mean().sqrt().clamp_min(1e-6)
    return mean, size, (vectors - mean) / size


def mlp_vectors(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], layer: int
) -> tuple[Float[Tensor, "batch pos d_model"], Float[Tensor, "batch pos d_model"]]:
    """What the MLP of a layer reads, behind its norm, and what it writes.

    Raises ValueError for a layer that the model does not have, or one without an MLP.
    """
    require_mlp(model, layer)
    require_tokens(model, tokens)
    names = [f"blocks.{layer}.mlp.hook_in", f"blocks.{layer}.mlp.hook_out"]
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    return cache[names[0]].float(), cache[names[1]].float()


def require_mlp(model: HookedModel, layer: int) -> None:
    """Raise ValueError unless the model has a layer of this number, with an MLP."""
    n_layers = model.cfg.n_layers
    if not 0 <= layer < n_layers:
        raise ValueError(f"There is no layer {layer}: this model has layers 0 to {n_layers - 1}.")
    if not hasattr(model.blocks[layer], "mlp"):
        raise ValueError(
            f"Layer {layer} has no MLP to replace. Use a model with MLPs, such as tasks-2l."
        )


@torch.no_grad()
def loss_with_mlp_output(
    model: HookedModel,
    tokens: Int[Tensor, "batch pos"],
    layer: int,
    outputs: Float[Tensor, "#batch #pos d_model"],
) -> float:
    """The mean loss in nats when the MLP of a layer writes these vectors and not its own."""
    require_mlp(model, layer)
    require_tokens(model, tokens)
    hook = (f"blocks.{layer}.mlp.hook_out", lambda own, hook: outputs.to(own).expand_as(own))
    return per_token_loss(model.run_with_hooks(tokens, fwd_hooks=[hook]), tokens).mean().item()


def loss_recovered(
    model: HookedModel,
    tokens: Int[Tensor, "batch pos"],
    layer: int,
    outputs: Float[Tensor, "batch pos d_model"],
) -> float:
    """How much of the MLP's work these vectors do: 1 for its own outputs, 0 for their mean.

    (L_mean − L) / (L_mean − L_own), with mean losses L when the MLP of this layer writes
    `outputs`, its own mean over these rows and positions, or what it writes itself. Below 0 if
    `outputs` are worse than the mean.
    """
    _, own = mlp_vectors(model, tokens, layer)
    mean = own.mean(dim=(0, 1), keepdim=True)
    clean, without, replaced = (
        loss_with_mlp_output(model, tokens, layer, vectors) for vectors in (own, mean, outputs)
    )
    return (without - replaced) / (without - clean)


def explained_variance(
    outputs: Float[Tensor, "*batch d_model"], predicted: Float[Tensor, "*batch d_model"]
) -> float:
    """1 − Σ ‖y − ŷ‖² / Σ ‖y − ȳ‖²: 1 for a perfect prediction, 0 for the mean.

    >>> y = torch.tensor([[0.0], [2.0]])
    >>> explained_variance(y, y), explained_variance(y, torch.ones(2, 1))
    (1.0, 0.0)
    """
    y, y_hat = outputs.flatten(0, -2), predicted.flatten(0, -2)
    error, spread = (y - y_hat).square().sum(), (y - y.mean(dim=0)).square().sum()
    return (1 - error / spread).item()


def linear_map(
    inputs: Float[Tensor, "example d_model"],
    outputs: Float[Tensor, "example d_out"],
    new_inputs: Float[Tensor, "*batch d_model"],
) -> Float[Tensor, "*batch d_out"]:
    """What the best linear map of the inputs, with a bias, predicts for new ones."""
    solution = torch.linalg.lstsq(F.pad(inputs, (0, 1), value=1.0), outputs).solution
    return F.pad(new_inputs, (0, 1), value=1.0) @ solution


def top_neurons(model: HookedModel, layer: int, k: int) -> Neurons:
    """The MLP of a layer with k of its neurons at each position, the others at 0.

    Raises ValueError for a layer without an MLP, or a function between its layers not known here.
    """
    require_mlp(model, layer)
    mlp, act = model.blocks[layer].mlp, _activation(model)
    weights = (mlp.W_in, mlp.b_in, mlp.W_out, mlp.b_out)
    return Neurons(*(weight.detach().float() for weight in weights), k=k, act=act)


def _activation(model: HookedModel) -> torch.nn.Module:
    """The function between the two layers of the MLPs. Raises ValueError for one not known here."""
    known = {
        "gelu_new": torch.nn.GELU(approximate="tanh"),
        "gelu": torch.nn.GELU(),
        "relu": torch.nn.ReLU(),
    }
    name = model.cfg.act_fn
    if name not in known:
        raise ValueError(f"The MLPs have {name!r}; neurons are known here for {', '.join(known)}.")
    return known[name]
