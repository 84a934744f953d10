"""A small model of the GPT-2 architecture, with MLPs, biases and tied embeddings, from its library.

It is the Hugging Face class (`transformers.GPT2LMHeadModel`), so what is saved can be loaded by
anything that loads GPT-2.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.attention_only import sinusoids


class SmallGPT2(nn.Module):
    """`GPT2LMHeadModel` behind the interface of this course: token ids to logits."""

    def __init__(self, n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int):
        from transformers import GPT2Config, GPT2LMHeadModel

        super().__init__()
        config = GPT2Config(
            vocab_size=d_vocab, n_positions=n_ctx, n_embd=d_model, n_layer=n_layers,
            n_head=n_heads, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            bos_token_id=0, eos_token_id=0,
        )  # fmt: skip
        self.hf = GPT2LMHeadModel._from_config(config, attn_implementation="eager")

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


def new_small_gpt2(
    n_layers: int, n_heads: int, d_model: int, d_vocab: int, n_ctx: int, *, seed: int
) -> SmallGPT2:
    """A model before training. Positions start as sinusoids, token embeddings from N(0, .1²)."""
    model = SmallGPT2(n_layers, n_heads, d_model, d_vocab, n_ctx)
    generator = torch.Generator().manual_seed(seed)
    std = 0.8 / d_model**0.5
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".wpe." in name:
                weight.copy_(sinusoids(n_ctx, d_model))
            elif ".wte." in name:
                weight.normal_(std=0.1, generator=generator)
            elif name.endswith("weight") and ".ln_" not in name:
                weight.normal_(std=std, generator=generator)
    return model
