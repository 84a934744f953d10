"""The attention-only transformer that this course trains, in plain PyTorch."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.data.token_ranks import TokenRanks
from induction_heads.models.attention import attention_pattern

Vectors = Float[Tensor, "batch head pos d_head"]
"""One vector for each head at each position."""


@dataclass(frozen=True)
class AttentionOnlyConfig:
    """The sizes of an `AttentionOnly` model.

    `bos_token` is the id put before every sequence, or None for models trained without one.
    `normalization` is "LN" (layer norm before each layer and before the unembedding) or None.
    """

    n_layers: int
    n_heads: int
    d_model: int
    d_head: int
    d_vocab: int
    n_ctx: int
    normalization: str | None = None
    bos_token: int | None = None

    def __post_init__(self) -> None:
        for name in ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "n_ctx"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: every size must be at least 1.")
        if self.normalization not in (None, "LN"):
            raise ValueError(f"normalization={self.normalization!r}: use 'LN' or None.")


def normalizer(config: AttentionOnlyConfig) -> nn.Module:
    """Layer norm over d_model, or nothing."""
    return nn.LayerNorm(config.d_model) if config.normalization else nn.Identity()


def _unset(*shape: int) -> nn.Parameter:
    """A weight that makes every output NaN until it is set."""
    return nn.Parameter(torch.full(shape, torch.nan))


class AttentionLayer(nn.Module):
    """All heads of one layer. Weights are named and shaped as in TransformerLens."""

    def __init__(self, config: AttentionOnlyConfig):
        super().__init__()
        shape = (config.n_heads, config.d_model, config.d_head)
        self.W_Q, self.W_K, self.W_V = (_unset(*shape) for _ in range(3))
        self.W_O = _unset(config.n_heads, config.d_head, config.d_model)
        self.norm = normalizer(config)

    def queries_and_keys(self, x: Float[Tensor, "batch pos d_model"]) -> tuple[Vectors, Vectors]:
        """The query and the key of every head at every position."""
        queries = torch.einsum("bpm,hmd->bhpd", x, self.W_Q)
        keys = torch.einsum("bpm,hmd->bhpd", x, self.W_K)
        return queries, keys

    def pattern(
        self, x: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch head query key"]:
        """Where each head looks: see `attention_pattern`."""
        return attention_pattern(*self.queries_and_keys(x))

    def forward(
        self, residual: Float[Tensor, "batch pos d_model"]
    ) -> Float[Tensor, "batch pos d_model"]:
        """What the layer adds to the residual stream: the sum over its heads."""
        x = self.norm(residual)
        v = torch.einsum("bpm,hmd->bhpd", x, self.W_V)
        z = self.pattern(x) @ v
        return torch.einsum("bhpd,hdm->bpm", z, self.W_O)


class AttentionOnly(nn.Module):
    """Token and position embedding, layers of attention heads, unembedding. No MLP, no biases.

    `token_ranks` says how common each token is in the training text, where that is known.
    """

    token_ranks: TokenRanks | None = None

    def __init__(self, config: AttentionOnlyConfig):
        super().__init__()
        self.config = config
        self.W_E = _unset(config.d_vocab, config.d_model)
        self.W_pos = _unset(config.n_ctx, config.d_model)
        self.layers = nn.ModuleList(AttentionLayer(config) for _ in range(config.n_layers))
        self.norm = normalizer(config)
        self.W_U = _unset(config.d_model, config.d_vocab)

    def embed(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream before layer 0. Raises ValueError if there are too many tokens."""
        n_pos, n_ctx = tokens.shape[1], self.config.n_ctx
        if n_pos > n_ctx:
            raise ValueError(f"{n_pos} tokens do not fit in this model's context of {n_ctx}.")
        return F.embedding(tokens, self.W_E) + self.W_pos[:n_pos]

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits for the next token at every position."""
        residual = self.embed(tokens)
        for layer in self.layers:
            residual = residual + layer(residual)
        return self.norm(residual) @ self.W_U


def sinusoids(n_ctx: int, d_model: int, scale: float = 0.3) -> Float[Tensor, "n_ctx d_model"]:
    """Sin and cos of position × frequency, with frequencies from 1 down to 0.03 radians a position.

    The slowest turns once in about 200 positions: slower ones would hardly tell neighbors apart.
    """
    frequencies = torch.exp(-3.5 * torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(n_ctx)[:, None] * frequencies
    return scale * torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model]


def initial_std(d_model: int) -> float:
    """The standard deviation of the initial weights of a model, in training and in the zoo.

    >>> initial_std(64)
    0.1
    """
    return 0.8 / d_model**0.5


def initialize(model: AttentionOnly, *, std: float, seed: int, **special: Tensor) -> AttentionOnly:
    """Draw every weight from N(0, std²) with its own generator; `special` gives W_E or W_pos."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.normal_(std=std, generator=generator)
            if name in special:
                weight.copy_(special[name])
    return model
