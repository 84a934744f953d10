"""Every measure that takes a model, on GPT-2 with its biases and Llama with its RMS norms."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_hugging_face_models import D_VOCAB, small_model

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.ablation import ablation_scores, joint_ablation_gap
from induction_heads.interp.activations import attention_patterns, visit_values
from induction_heads.interp.circuits import (
    logit_attribution,
    logit_copying_score,
    ov_circuit,
    positional_pattern,
    previous_token_readout,
    qk_circuit,
)
from induction_heads.interp.composition import composition_scores, virtual_head
from induction_heads.interp.copying import olsson_copying_scores, repeat_copying
from induction_heads.interp.interventions import logits_without_path, pattern_preserving_ablation
from induction_heads.interp.logit_lens import logit_lens
from induction_heads.interp.suppression import head_effects, measured_repair
from induction_heads.interp.sycophancy import logits_without_heads
from induction_heads.models.loading import load_attention_only, load_model

TOKENS = torch.randint(D_VOCAB, (2, 12), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Callable[..., tuple[Any, Any]]:
    """The module and the bridge of an architecture, in a number type."""
    folders = {}

    def get(kind: str, dtype: str = "float32") -> tuple[Any, Any]:
        if kind not in folders:
            module = small_model(kind)
            folders[kind] = module, tmp_path_factory.mktemp(kind)
            module.save_pretrained(folders[kind][1])
        module, folder = folders[kind]
        return module, load_model(str(folder), dtype=dtype)

    return get


def test_positions_are_compared_with_the_biases_of_queries_and_keys(loaded):
    module, bridge = loaded("gpt2")
    block = module.transformer.h[1]
    with torch.no_grad():
        q, k, _ = block.attn.c_attn(block.ln_1(module.transformer.wpe.weight)).split(32, dim=1)
    assert block.attn.c_attn.bias.abs().max() > 0.1
    for head in range(4):
        own = slice(8 * head, 8 * head + 8)
        scores = q[:, own] @ k[:, own].T / math.sqrt(8)
        hidden = torch.ones_like(scores).triu(1).bool()
        expected = scores.masked_fill(hidden, -math.inf).softmax(dim=-1)
        torch.testing.assert_close(positional_pattern(bridge, 1, head), expected, atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="rotary positions: none are added"):
        positional_pattern(loaded("llama")[1], 0, 0)


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_effects_of_all_parts_sum_to_the_logits(loaded, kind: str):
    module, bridge = loaded(kind)
    before, first = head_effects(bridge, TOKENS, 1, 0)
    heads = first + sum(head_effects(bridge, TOKENS, 1, head)[1] for head in (1, 2, 3))
    block = (module.model.layers if kind == "llama" else module.transformer.h)[1]
    rest: dict[str, torch.Tensor] = {}
    norm = module.model.norm if kind == "llama" else module.transformer.ln_f
    hooks = [
        block.mlp.register_forward_hook(lambda *args: rest.update(mlp=args[2])),
        norm.register_forward_pre_hook(lambda _, args: rest.update(last=args[0])),
    ]
    with torch.no_grad():
        logits = module(TOKENS).logits
        for hook in hooks:
            hook.remove()
        written = rest["mlp"] if kind == "llama" else rest["mlp"] + block.attn.c_proj.bias
        last = rest["last"]
        centered = last if kind == "llama" else last - last.mean(dim=-1, keepdim=True)
        eps = norm.variance_epsilon if kind == "llama" else norm.eps
        scale = (centered.square().mean(dim=-1, keepdim=True) + eps).sqrt()
        part = written if kind == "llama" else written - written.mean(dim=-1, keepdim=True)
        unembed = module.get_output_embeddings().weight
        other = part / scale * norm.weight @ unembed.T
    torch.testing.assert_close(before + heads + other, logits, atol=2e-3, rtol=1e-3)
    assert heads.abs().max() > 0.1


def test_a_cut_path_equals_a_changed_query_in_the_library(loaded):
    module, bridge = loaded("llama")
    first, second = (layer.self_attn for layer in module.model.layers)
    store: dict[str, torch.Tensor] = {}
    hooks = [
        first.o_proj.register_forward_pre_hook(lambda _, args: store.update(z=args[0])),
        module.model.layers[1].input_layernorm.register_forward_pre_hook(
            lambda _, args: store.update(x=args[0])
        ),
    ]
    with torch.no_grad():
        module(TOKENS)
        for hook in hooks:
            hook.remove()
        written = store["z"][..., 8:16] @ first.o_proj.weight[:, 8:16].T
        without = second.q_proj(module.model.layers[1].input_layernorm(store["x"] - written))

        def swap(_: Any, args: Any, out: torch.Tensor) -> torch.Tensor:
            return torch.cat([out[..., :16], without[..., 16:24], out[..., 24:]], dim=-1)

        hook = second.q_proj.register_forward_hook(swap)
        expected = module(TOKENS).logits
        hook.remove()
    found = logits_without_path(bridge, TOKENS, (0, 1), (1, 2), "Q")
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_circuits_and_scores_of_half_precision_are_computed_in_float32(loaded):
    half, full = loaded("gpt2", "bfloat16")[1], loaded("gpt2")[1]
    for circuit in (qk_circuit, ov_circuit):
        found, exact = circuit(half, 1, 2).AB, circuit(full, 1, 2).AB
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, exact, atol=0.05 * exact.abs().max().item(), rtol=0)
    assert virtual_head(half, (0, 1), (1, 2)).AB.dtype == torch.float32
    assert composition_scores(half)["K"].dtype == torch.float32
    tokens = make_repeated_tokens(half, 6, batch=2)
    for scores in (
        repeat_copying(half, tokens, 6).rank,
        olsson_copying_scores(half, tokens),
        logit_attribution(half, tokens),
        head_effects(half, tokens, 1, 0)[1],
        positional_pattern(half, 0, 0),
        ablation_scores(half, tokens),
    ):
        assert scores.dtype == torch.float32
        assert scores.isfinite().all()
    assert math.isfinite(logit_copying_score(half, 1, 0, tokens))
    assert 0 <= previous_token_readout(half, 0, 0) <= 1
    toy = load_attention_only("toy-2l")
    found = ablation_scores(toy.bfloat16(), make_repeated_tokens(toy, 8, batch=4))
    exact = ablation_scores(load_attention_only("toy-2l"), make_repeated_tokens(toy, 8, batch=4))
    torch.testing.assert_close(found, exact, atol=0.3, rtol=0.1)


RESULTS: dict[str, Callable[[Any, torch.Tensor], Any]] = {
    "attention_patterns": attention_patterns,
    "ablation_scores": ablation_scores,
    "visit_values": lambda model, tokens: visit_values(model, tokens, lambda *_: None),
    "logit_attribution": logit_attribution,
    "logit_lens": logit_lens,
    "pattern_preserving_ablation": lambda m, t: pattern_preserving_ablation(m, t, 0, 1),
    "logits_without_path": lambda m, t: logits_without_path(m, t, (0, 1), (1, 1), "Q"),
    "head_effects": lambda m, t: head_effects(m, t, 1, 1)[1],
    "logits_without_heads": lambda m, t: logits_without_heads(m, t, [(0, 1)]),
}


def test_results_may_be_changed_in_place(loaded):
    bridge = load_model("toy-2l")
    for name, function in RESULTS.items():
        result = function(bridge, TOKENS)
        assert not result.is_inference(), name
        result[..., 0] = 0.0
    assert not ablation_scores(load_attention_only("toy-2l"), TOKENS).is_inference()
    assert not ablation_scores(loaded("llama")[1], TOKENS).is_inference()


@pytest.mark.usefixtures("as_for_a_reader")
def test_tokens_outside_the_vocabulary_and_empty_ones_are_refused_everywhere():
    bridge = load_model("toy-2l")
    takes = RESULTS | {
        "logit_copying_score": lambda m, t: logit_copying_score(m, 0, 0, t),
        "measured_repair": lambda m, t: measured_repair(m, t, 1, 0, 1),
        "joint_ablation_gap": lambda m, t: joint_ablation_gap(m, t, [(0, 0), (1, 0)]),
    }
    del takes["logits_without_heads"]  # The tokens of a dialogue, made by this package.
    wrong = (torch.tensor([[1, 999]]), torch.tensor([[1, -1]]), torch.zeros(1, 0).long())
    offenders = []
    for name, function in takes.items():
        for tokens, says in zip(wrong, ("999", "-1", "there are none"), strict=True):
            try:
                function(bridge, tokens)
                offenders.append(f"{name} takes {tokens.tolist()}")
            except ValueError as error:
                if says not in str(error):
                    offenders.append(f"{name}: {error}")
    assert not offenders
