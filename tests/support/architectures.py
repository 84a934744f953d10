"""A small random checkpoint of every architecture that transformers builds from a config."""

import inspect
from typing import Any

import torch
from small_hugging_face_models import with_random_weights

SIZES = {
    "vocab_size": 60,
    "hidden_size": 32,
    "n_embd": 32,
    "d_model": 32,
    "num_hidden_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_layers": 2,
    "num_attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "kv_channels": 8,
    "intermediate_size": 48,
    "ffn_dim": 48,
    "word_embed_proj_dim": 32,
    "max_position_embeddings": 64,
    "n_positions": 64,
    "max_seq_len": 64,
    "rotary_dim": 4,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 16,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 16,
    "sliding_window": 16,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
"""Every name that an architecture gives to its sizes, and a small value."""


def small_checkpoint(model_type: str) -> Any:
    """A model with the sizes above, as far as its config knows them."""
    from transformers import CONFIG_MAPPING

    kind = CONFIG_MAPPING[model_type]
    known = {*inspect.signature(kind.__init__).parameters} | {
        *getattr(kind, "__dataclass_fields__", {})
    }
    config = kind(**{name: value for name, value in SIZES.items() if name in known})
    return with_random_weights(config)


def output_projections(model: Any, n_heads: int, d_model: int) -> list[Any]:
    """The modules through which the heads of each layer write, in order of the layers."""
    names = ("o_proj", "c_proj", "out_proj", "dense", "wo", "Wo")
    return [
        module
        for path, module in model.named_modules()
        if path.rpartition(".")[2] in names
        and any(part in path for part in ("attn", "attention"))
        and hasattr(module, "weight")
        and module.weight.numel() % (n_heads * d_model) == 0
    ]


def rises_of_the_library(model: Any, tokens: torch.Tensor, n_heads: int) -> torch.Tensor:
    """The rise of the loss without each head: its share of what enters the projection is zero."""
    projections = output_projections(model, n_heads, model.config.hidden_size)

    def loss() -> torch.Tensor:
        logits = model(input_ids=tokens, use_cache=False).logits[:, :-1]
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())

    rises = torch.zeros(len(projections), n_heads)
    with torch.no_grad():
        clean = loss()
        for layer, projection in enumerate(projections):
            for head in range(n_heads):

                def silence(module: Any, inputs: tuple, head: int = head) -> tuple:
                    x = inputs[0].clone().unflatten(-1, (n_heads, -1))
                    x[..., head, :] = 0
                    return (x.flatten(-2),)

                hook = projection.register_forward_pre_hook(silence)
                rises[layer, head] = loss() - clean
                hook.remove()
    return rises
