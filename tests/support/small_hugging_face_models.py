"""Random causal models in Hugging Face format: small enough to make and save in a test."""

import json
from pathlib import Path
from typing import Any

import torch

D_VOCAB, N_CTX = 60, 64
_SIZES = {
    "vocab_size": D_VOCAB,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": N_CTX,
    "bos_token_id": 1,
    "eos_token_id": 1,
}
_GPT2_SIZES = {
    "n_positions": N_CTX,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "bos_token_id": 1,
    "eos_token_id": 1,
}


def small_model(kind: str, seed: int = 0, **settings: Any) -> Any:
    """A model of an architecture, with weights large enough for sharp patterns and full biases.

    `settings` are those of its config that differ.
    """
    import transformers

    if kind == "gpt2":
        config = transformers.GPT2Config(
            **{"vocab_size": D_VOCAB} | _GPT2_SIZES | settings,
        )
    else:
        shared = {} if kind == "gpt_neox" else {"num_key_value_heads": 2}
        name = {"gpt_neox": "GPTNeoX", "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2"}
        config = getattr(transformers, f"{name[kind]}Config")(**_SIZES | shared | settings)
    return with_random_weights(config, seed)


def with_random_weights(config: Any, seed: int = 0) -> Any:
    """The causal model of a config of transformers with sharp random weights."""
    import transformers

    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            size = 0.2 if weight.ndim == 1 else 0.3
            base = weight if weight.ndim == 1 else torch.zeros_like(weight)
            weight.copy_(base + size * torch.randn(weight.shape, generator=generator))
    return model.eval()


def save_tokenizer(folder: Path, *, puts_bos: bool, config: bool = True) -> None:
    """A tokenizer of one-letter words: `<s>` is id 1, letters follow, other text is `<unk>`."""
    vocabulary = {"<unk>": 0, "<s>": 1} | {chr(97 + n): n + 2 for n in range(26)}
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    template = {
        "type": "TemplateProcessing",
        "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    written = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "normalizer": None,
        "added_tokens": [
            {
                "id": 1,
                "content": "<s>",
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            },
        ],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": template if puts_bos else None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(written))
    if config:
        (folder / "tokenizer_config.json").write_text(
            json.dumps(
                {
                    "tokenizer_class": "PreTrainedTokenizerFast",
                    "bos_token": "<s>",
                    "eos_token": "<s>",
                    "unk_token": "<unk>",
                }
            )
        )
