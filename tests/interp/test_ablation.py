"""Heads of any architecture can be silenced: equal to doing it by hand in the library's module."""

import pytest
import torch
from small_hugging_face_models import D_VOCAB, small_model

from induction_heads.interp.ablation import ABLATION_HOOKS, ablation_scores, hooked_ablation_scores
from induction_heads.interp.interventions import logits_without_path, verify_induction_behavior
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_model

TOKENS = torch.randint(D_VOCAB, (3, 16), generator=torch.Generator().manual_seed(1))
OUTPUTS = {
    "gpt2": "transformer.h.{}.attn.c_proj.weight",  # [in, out]
    "gpt_neox": "gpt_neox.layers.{}.attention.dense.weight",
    "llama": "model.layers.{}.self_attn.o_proj.weight",
}


@pytest.mark.parametrize("kind", OUTPUTS)
def test_silencing_a_head_equals_zeroing_its_output_weights(kind: str, tmp_path):
    module = small_model(kind)
    module.save_pretrained(tmp_path)
    bridge = load_model(str(tmp_path))
    found = ablation_scores(bridge, TOKENS)
    weights = dict(module.named_parameters())

    def loss() -> float:
        with torch.inference_mode():
            return per_token_loss(module(input_ids=TOKENS).logits, TOKENS).mean().item()

    clean = loss()
    for layer in range(2):
        weight = weights[OUTPUTS[kind].format(layer)].data
        for head in range(4):
            kept, rows = weight.clone(), slice(8 * head, 8 * head + 8)
            weight[rows if kind == "gpt2" else (slice(None), rows)] = 0
            assert found[layer, head].item() == pytest.approx(loss() - clean, abs=1e-4)
            weight.copy_(kept)
    assert found.abs().max() > 0.01


@pytest.mark.parametrize("method", ABLATION_HOOKS)
def test_both_ways_to_ablate_give_the_same_on_a_toy(method: str):
    bridge = load_model("toy-2l")
    tokens = torch.randint(64, (4, 20))
    torch.testing.assert_close(
        hooked_ablation_scores(bridge, tokens, ABLATION_HOOKS[method], 8),
        ablation_scores(bridge, tokens, method=method, last=8),
        atol=1e-4,
        rtol=1e-3,
    )


@pytest.mark.parametrize("kind", OUTPUTS)
def test_cutting_a_path_from_a_head_that_writes_nothing_changes_nothing(kind: str, tmp_path):
    module = small_model(kind)
    silent = dict(module.named_parameters())[OUTPUTS[kind].format(0)]
    silent.data.zero_()
    module.save_pretrained(tmp_path)
    bridge = load_model(str(tmp_path))
    with torch.inference_mode():
        clean = bridge(TOKENS)
    for side in "Q" if kind == "llama" else "QKV":
        cut = logits_without_path(bridge, TOKENS, (0, 1), (1, 2), side)
        torch.testing.assert_close(cut, clean, atol=1e-4, rtol=1e-4)
    if kind == "llama":
        with pytest.raises(ValueError, match="shared with other heads: only Q can be cut"):
            logits_without_path(bridge, TOKENS, (0, 1), (1, 2), "K")


def test_the_induction_heads_of_the_small_llama_are_needed():
    found = verify_induction_behavior(load_model("llama-4l"), 3, 3)
    assert found["is_induction"], found
    assert not verify_induction_behavior(load_model("llama-4l"), 3, 0)["is_induction"]
