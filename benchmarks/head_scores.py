"""Four scores of every head in the shape of GPT-2 small, compared with four other ways."""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor
from transformer_lens.config import TransformerBridgeConfig
from transformer_lens.head_detector import HEAD_NAMES, detect_head
from transformer_lens.model_bridge import TransformerBridge
from transformers import PreTrainedTokenizerFast

from benchmarks.ratios import Ratio, compare, times_in_turn
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.activations import attention_patterns, head_scores
from induction_heads.interp.scores import (
    duplicate_token_score,
    first_token_score,
    induction_score,
    previous_token_score,
)

PERIOD = 50
QUICK_LAYERS = 2
"""A quick run only shows that everything runs, so two of the twelve layers are enough."""


def n_layers_for(rounds: int) -> int:
    """The twelve layers of GPT-2 small, or a few in a quick run."""
    return 12 if rounds > 2 else QUICK_LAYERS


def only_of_all(demand: float, n_layers: int) -> float | None:
    """The demand, which applies to all 144 heads, or None for a smaller model."""
    return demand if n_layers == 12 else None


def gpt2_small_shape(n_layers: int = 12) -> TransformerBridge:
    """Random weights in the shape of GPT-2 small: layers of 12 heads, d_model 768."""
    return TransformerBridge.boot_native(
        TransformerBridgeConfig(
            d_model=768,
            d_head=64,
            n_heads=12,
            n_layers=n_layers,
            d_mlp=3072,
            n_ctx=1024,
            d_vocab=50257,
            act_fn="gelu_new",
            normalization_type="LN",
            seed=0,
        ),
        tokenizer=word_tokenizer(50257),
    )


def word_tokenizer(d_vocab: int) -> PreTrainedTokenizerFast:
    """Reads "7 12 7" as the ids 7, 12, 7: `detect_head` only accepts text."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {str(token): token for token in range(d_vocab)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="0"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()  # type: ignore[assignment]
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="0",
        eos_token="0",
        name_or_path="words",
        add_bos_token=True,
    )


SCORERS = {
    "previous_token": previous_token_score,
    "first_token": first_token_score,
    "duplicate_token": lambda pattern: duplicate_token_score(pattern, PERIOD),
    "induction": lambda pattern: induction_score(pattern, PERIOD),
}


def naive_triple_loop(model: Any, tokens: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
    """The same four scores, one head and one query at a time, from a full cache."""
    patterns = attention_patterns(model, tokens).mean(dim=1)
    n_layers, n_heads, n_pos, _ = patterns.shape
    scores = {name: torch.zeros(n_layers, n_heads) for name in SCORERS}
    for layer in range(n_layers):
        for head in range(n_heads):
            pattern = patterns[layer, head]
            for query in range(1, n_pos):
                weight = pattern[query, query - 1] / (n_pos - 1)
                scores["previous_token"][layer, head] += weight
                scores["first_token"][layer, head] += pattern[query, 0] / (n_pos - 1)
            for query in range(n_pos - PERIOD, n_pos):
                same = pattern[query, query - PERIOD] / PERIOD
                scores["duplicate_token"][layer, head] += same
                scores["induction"][layer, head] += pattern[query, query - PERIOD + 1] / PERIOD
    return scores


def ratios(rounds: int) -> list[Ratio]:
    """Ours against one plain forward, all patterns kept, the naive loop, and `detect_head`."""
    n_layers = n_layers_for(rounds)
    model = gpt2_small_shape(n_layers)
    tokens = repeated_tokens(50257, PERIOD, batch=2, bos_token=0)
    texts = [" ".join(map(str, row.tolist())) for row in tokens[:, 1:]]
    times = times_in_turn(
        {
            "ours": lambda: head_scores(model, tokens, SCORERS),
            "forward": lambda: model(tokens),
            "all patterns": lambda: attention_patterns(model, tokens),
            "loop": lambda: naive_triple_loop(model, tokens),
            "detect_head": lambda: [detect_head(model, texts, name) for name in HEAD_NAMES],
        },
        rounds,
    )
    work = f"four scores of {12 * n_layers} heads"
    of_forward, of_detection = only_of_all(0.70, n_layers), only_of_all(0.20, n_layers)
    bound = only_of_all(0.65, n_layers)
    ours, forward = times["ours"], times["forward"]
    return [
        compare(work, ours, "one plain bridge forward", forward, of_forward, bound),
        compare(work, ours, "detect_head, three types", times["detect_head"], of_detection),
        compare(work, ours, "attention_patterns kept", times["all patterns"]),
        compare(work, ours, "naive triple loop", times["loop"]),
    ]
