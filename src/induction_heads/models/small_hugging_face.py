"""Small models of three architectures of real models, built with transformers.

Once saved, they load in anything that loads GPT-2, Llama or Pythia.
Pythia's architecture is called GPT-NeoX.
"""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.models.attention_only import initial_std, sinusoids

SHARED_BY = 2
"""The number of query heads of the small Llama that share one head of keys and values."""

BOS_TOKEN = {"gpt2": 0, "llama": 0, "neox": None}
"""Architecture → the token before every row. Pythia was trained without one."""


def _gpt2(n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int) -> tuple[Any, Any]:
    """Learned positions, layer norm, biases; the unembedding is the embedding."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel, GPT2Config(
        vocab_size=d_vocab,
        n_positions=n_ctx,
        n_embd=d_model,
        n_layer=n_layers,
        n_head=n_heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )


def _llama(n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int) -> tuple[Any, Any]:
    """Rotary positions, RMS norm, gated MLPs, two query heads to one head of keys and values."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM, LlamaConfig(
        vocab_size=d_vocab,
        max_position_embeddings=n_ctx,
        hidden_size=d_model,
        intermediate_size=3 * d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        num_key_value_heads=n_heads // SHARED_BY,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )


def _neox(n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int) -> tuple[Any, Any]:
    """Rotary positions in a quarter of each head, attention and MLP side by side, biases.

    The config names a BOS token, as that of Pythia does, although no row begins with one.
    """
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    rotary = {"rope_type": "default", "rope_theta": 10_000.0, "partial_rotary_factor": 0.25}
    return GPTNeoXForCausalLM, GPTNeoXConfig(
        vocab_size=d_vocab,
        max_position_embeddings=n_ctx,
        hidden_size=d_model,
        intermediate_size=4 * d_model,
        num_hidden_layers=n_layers,
        num_attention_heads=n_heads,
        rope_parameters=rotary,
        use_parallel_residual=True,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )


_ARCHITECTURES = {"gpt2": _gpt2, "llama": _llama, "neox": _neox}

_WRITES = {
    "gpt2": "hf.transformer.h.{}.attn.c_proj.weight",
    "llama": "hf.model.layers.{}.self_attn.o_proj.weight",
    "neox": "hf.gpt_neox.layers.{}.attention.dense.weight",
}
"""Architecture → the weights by which a layer of heads writes to the residual stream."""


class SmallHuggingFace(nn.Module):
    """A Hugging Face model behind the interface of this course: token ids to logits."""

    def __init__(
        self, architecture: str, n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int
    ):
        super().__init__()
        kind, config = _ARCHITECTURES[architecture](n_layers, n_heads, d_model, d_vocab, n_ctx)
        self.architecture = architecture
        self.hf = kind._from_config(config, attn_implementation="eager")

    def forward(self, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        """Logits for the next token at every position."""
        return self.hf(input_ids=tokens, use_cache=False).logits

    def patterns(
        self, tokens: Int[Tensor, "batch pos"]
    ) -> Float[Tensor, "layer batch head query key"]:
        """The attention pattern of every head."""
        with torch.inference_mode():
            seen = self.hf(input_ids=tokens, use_cache=False, output_attentions=True)
        return torch.stack(seen.attentions).clone()

    def heads(self) -> tuple[int, int]:
        """The number of layers, and of (query) heads in each."""
        return self.hf.config.num_hidden_layers, self.hf.config.num_attention_heads

    def written_by(self, layer: int, head: int) -> Tensor:
        """The weights by which a head writes what it mixed to the residual stream, as a view."""
        weight = self.get_parameter(_WRITES[self.architecture].format(layer))
        # GPT-2 stores [in, out], the others [out, in].
        rows = weight if self.architecture == "gpt2" else weight.T
        return rows.unflatten(0, (self.heads()[1], -1))[head]


def new_small_model(
    architecture: str,
    n_layers: int,
    n_heads: int,
    d_model: int,
    d_vocab: int,
    n_ctx: int,
    *,
    seed: int,
) -> SmallHuggingFace:
    """A model before training: `architecture` is one of `gpt2`, `llama` and `neox`.

    Token embeddings start from N(0, .1²), other matrices from N(0, .64 / d_model), learned
    positions as sinusoids. Raises ValueError for another architecture.
    """
    if architecture not in _ARCHITECTURES:
        known = ", ".join(_ARCHITECTURES)
        raise ValueError(f"No architecture called {architecture!r}. Architectures: {known}.")
    model = SmallHuggingFace(architecture, n_layers, n_heads, d_model, d_vocab, n_ctx)
    generator = torch.Generator().manual_seed(seed)
    embedding = model.hf.get_input_embeddings().weight
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".wpe." in name:
                weight.copy_(sinusoids(n_ctx, d_model))
            elif weight is embedding:
                weight.normal_(std=0.1, generator=generator)
            elif weight.ndim == 2:
                weight.normal_(std=initial_std(d_model), generator=generator)
    return model
