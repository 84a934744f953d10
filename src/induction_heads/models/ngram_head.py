"""A head with a fixed n-gram induction pattern, in place of a learned head.

The idea is that of Akyürek et al. 2024, who put such heads into language models. Here it replaces
one head of the last layer of a small model, with as many parameters as that head had.
"""

from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.data.tokens import after, earlier_matches
from induction_heads.models.attention_only import (
    AttentionLayer,
    AttentionOnly,
    AttentionOnlyConfig,
)


def ngram_induction_layer(
    tokens: Int[Tensor, "batch pos"], n: int
) -> Float[Tensor, "batch query key"]:
    """The pattern of a perfect n-gram induction head, made from the tokens alone.

    A query looks, evenly, at the tokens that followed earlier copies of the last `n` tokens. A
    query without such a copy looks nowhere: its row is zero. Raises ValueError for n below 1.
    """
    keys = after(earlier_matches(tokens, n=n)).float()
    return keys / keys.sum(dim=-1, keepdim=True).clamp_min(1)


class WithNgramHead(AttentionOnly):
    """An `AttentionOnly` model whose last layer has one learned head less and an n-gram head.

    That head has no queries and keys to learn, and a value twice as wide instead: V and O of width
    2 d have as many weights as Q, K, V and O of width d.
    """

    def __init__(self, config: AttentionOnlyConfig, n: int):
        super().__init__(config)
        self.n = n
        self.layers[-1] = AttentionOnly(replace(config, n_heads=config.n_heads - 1)).layers[-1]
        self.W_V = nn.Parameter(torch.empty(config.d_model, 2 * config.d_head))
        self.W_O = nn.Parameter(torch.empty(2 * config.d_head, config.d_model))

    def looked_at(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch query key"]:
        """The pattern of the fixed head."""
        return ngram_induction_layer(tokens, self.n)

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits for the next token at every position."""
        residual = self.embed(tokens)
        for layer in self.layers[:-1]:
            residual = residual + layer(residual)
        last = self.layers[-1]
        assert isinstance(last, AttentionLayer)
        values = self.looked_at(tokens) @ last.norm(residual)
        residual = residual + last(residual) + values @ self.W_V @ self.W_O
        return self.norm(residual) @ self.W_U
