"""Every architecture of TransformerLens on a small random checkpoint: right, or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from architectures import rises_of_the_library, small_checkpoint

from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.analysis import analyze
from induction_heads.interp.norms import final_norm, layer_norm_of, post_norm_of
from induction_heads.models.architectures import ARCHITECTURES
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.loading import load_model

PAGE = Path(__file__).parents[2] / "book" / "architectures.md"
TOKENS = torch.randint(2, 60, (2, 20), generator=torch.Generator().manual_seed(1))
CHEAP = ("gemma2", "opt", "mixtral")
"""These three stand for the rest in `make test`: a norm behind attention, offsets, experts."""


@dataclass
class Result:
    """How one architecture compares with its own library."""

    patterns: float
    ablation: float
    left_out: str


def tried(model_type: str, folder: Path) -> Result:
    """Save, load and compare. Raises UnknownModel if it is refused."""
    module = small_checkpoint(model_type)
    module.save_pretrained(folder)
    bridge = load_model(str(folder))
    with torch.no_grad():
        answer = module(input_ids=TOKENS, output_attentions=True, use_cache=False)
    patterns = attention_patterns(bridge, TOKENS)
    expected = torch.stack(answer.attentions).detach()
    rises = rises_of_the_library(module, TOKENS, patterns.shape[2])
    assert rises.abs().max() > 1e-3
    report = analyze(bridge, seeds=2, batch=2)
    numbers = torch.tensor([[h.repeat_copying, h.olsson_copying, h.copying] for h in report.heads])
    assert numbers.isfinite().all()
    assert numbers.abs().max() <= 1 + 1e-4
    return Result(
        (patterns - expected).abs().max().item(),
        (ablation_scores(bridge, TOKENS) - rises).abs().max().item(),
        left_out(bridge),
    )


def left_out(bridge: Any) -> str:
    """What the copying scores and circuits of this architecture do not contain, for the table."""
    cfg, block = bridge.cfg, bridge.blocks[0]
    parts = {
        "MLPs": hasattr(block, "mlp"),
        "rotary positions": cfg.positional_embedding_type == "rotary",
        "position biases (ALiBi)": cfg.positional_embedding_type == "alibi",
        "norms of queries and keys": hasattr(block.attn, "q_norm"),
        "the gate of the heads": hasattr(block.attn, "gate"),
        "the division of the norm behind the heads": post_norm_of(bridge, 0).gain is not None,
        "the cap on the logits": (getattr(cfg, "output_logits_soft_cap", None) or 0) > 0,
    }
    return ", ".join(name for name, present in parts.items() if present)


def test_three_architectures_equal_their_library(tmp_path):
    for model_type in CHEAP:
        result = tried(model_type, tmp_path / model_type)
        assert result.patterns < 1e-4, model_type
        assert result.ablation < 1e-4, model_type


def test_norms_are_taken_apart_into_what_the_module_computes(tmp_path):
    x = torch.randn(3, 32)
    for model_type in ("gemma2", "olmo", "opt", "llama"):
        module = small_checkpoint(model_type)
        module.save_pretrained(tmp_path / model_type)
        bridge = load_model(str(tmp_path / model_type))
        with torch.no_grad():
            torch.testing.assert_close(
                final_norm(bridge)(x), bridge.ln_final.original_component(x), atol=1e-4, rtol=1e-4
            )
            torch.testing.assert_close(
                layer_norm_of(bridge, 1)(x),
                bridge.blocks[1].ln1.original_component(x),
                atol=1e-4,
                rtol=1e-4,
            )


def causal_architectures() -> dict[str, str]:
    """Class → model type, of all causal models that both libraries have."""
    from transformer_lens.factories.architecture_adapter_factory import SUPPORTED_ARCHITECTURES
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    # Several types have one class. The last is the one it is named after, such as gpt2 and llama.
    return {
        name: model_type
        for model_type, name in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items()
        if name in SUPPORTED_ARCHITECTURES
    }


@pytest.mark.long
def test_the_page_lists_every_architecture_with_what_it_is_worth(tmp_path):
    named = causal_architectures()
    rows = []
    for name in ARCHITECTURES:
        result = tried(named[name], tmp_path / name)
        assert result.patterns < 1e-4, name
        assert result.ablation < 1e-4, name
        rows.append(f"| `{name}` | {result.left_out} |")
    table = "\n".join(rows)
    written = PAGE.read_text(encoding="utf-8")
    assert table in written, f"Put this table into {PAGE.name}:\n{table}"


@pytest.mark.long
def test_the_page_says_why_the_rest_is_refused():
    written = PAGE.read_text(encoding="utf-8")
    rest = sorted({*causal_architectures()} - {*ARCHITECTURES})
    assert [name for name in rest if f"`{name}`" not in written] == []


def test_an_architecture_without_patterns_is_refused_with_its_name(tmp_path):
    (tmp_path / "config.json").write_text(
        '{"model_type": "mamba", "architectures": ["MambaForCausalLM"]}'
    )
    with pytest.raises(UnknownModel, match=r"MambaForCausalLM .* no attention patterns"):
        load_model(str(tmp_path))
