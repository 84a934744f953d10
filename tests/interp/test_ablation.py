"""Heads of any architecture can be silenced: equal to doing it by hand in the library's module."""

import pytest
import torch
from small_hugging_face_models import D_VOCAB, small_model

from induction_heads.interp import ablation
from induction_heads.interp.ablation import (
    ABLATION_HOOKS,
    ablation_attribution,
    ablation_scores,
    hooked_ablation_scores,
)
from induction_heads.interp.interventions import logits_without_path, verify_induction_behavior
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.replay import Replay
from induction_heads.models.loading import load_attention_only, load_model

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


@pytest.fixture(scope="module")
def bridges(tmp_path_factory):
    """Architecture → a random bridge: MLPs after and beside the heads, and shared keys."""
    found = {}
    for kind in OUTPUTS:
        folder = tmp_path_factory.mktemp(kind)
        small_model(kind).save_pretrained(folder)
        found[kind] = load_model(str(folder))
    return found


@pytest.mark.parametrize("method", ABLATION_HOOKS)
@pytest.mark.parametrize("kind", OUTPUTS)
def test_replayed_blocks_give_the_rises_of_whole_passes(bridges, kind, method, monkeypatch):
    bridge = bridges[kind]
    plain = hooked_ablation_scores(bridge, TOKENS, ABLATION_HOOKS[method], 6)
    assert plain.abs().max() > 0.02
    monkeypatch.delattr(ablation, "hooked_ablation_scores")  # No way back to whole passes.
    for at_once in (1, 3, 4):
        monkeypatch.setattr(Replay, "copies_at_once", lambda self, n=at_once: n)
        found = ablation_scores(bridge, TOKENS, method=method, last=6)
        torch.testing.assert_close(found, plain, atol=1e-5, rtol=1e-4)


def test_the_blocks_are_whole_again_after_a_replay_and_after_an_error(bridges):
    bridge = bridges["gpt2"]
    with torch.inference_mode():
        clean, replay = bridge(TOKENS), Replay(bridge, TOKENS, 5)
        torch.testing.assert_close(replay.logits, clean[:, -6:-1], atol=1e-4, rtol=1e-4)

        def broken(z, hook):
            raise RuntimeError("broken")

        with pytest.raises(RuntimeError, match="broken"):
            replay.logits_from(1, 2, [("blocks.1.attn.hook_z", broken)])
        torch.testing.assert_close(bridge(TOKENS), clean)


def test_a_model_whose_end_cannot_be_replayed_takes_whole_passes(bridges, monkeypatch):
    bridge = bridges["llama"]
    plain = hooked_ablation_scores(bridge, TOKENS, ABLATION_HOOKS["zero"], 15)
    monkeypatch.setattr(Replay, "logits_from", lambda self, *_: torch.zeros_like(self.logits))
    assert not Replay(bridge, TOKENS, 15).is_faithful()
    torch.testing.assert_close(ablation_scores(bridge, TOKENS), plain)


@pytest.mark.parametrize("method", ABLATION_HOOKS)
@pytest.mark.parametrize("kind", OUTPUTS)
def test_attribution_is_the_slope_of_the_loss_toward_the_ablation(bridges, kind, method):
    bridge = bridges[kind]
    found = ablation_attribution(bridge, TOKENS, method=method, last=6)
    step = 1e-2
    for layer, head in ((0, 1), (1, 2)):

        def toward(share: float, layer: int = layer, head: int = head) -> float:
            def hook(z, hook):
                ablated = ABLATION_HOOKS[method](z, hook, head)
                return z + share * (ablated - z)

            with torch.inference_mode():
                logits = bridge.run_with_hooks(
                    TOKENS, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)]
                )
                return per_token_loss(logits.double(), TOKENS)[:, -6:].mean().item()

        slope = (toward(step) - toward(-step)) / (2 * step)
        assert found[layer, head].item() == pytest.approx(slope, abs=1e-3, rel=0.02)
    assert found.abs().max() > 0.01
    assert not found.requires_grad


def test_attribution_takes_every_kind_of_model_and_is_too_small_where_a_softmax_saturates():
    tokens = torch.randint(64, (8, 12), generator=torch.Generator().manual_seed(0)).repeat(1, 2)
    toy = load_attention_only("toy-2l")
    ours, theirs = (
        ablation_attribution(model, tokens, last=11) for model in (toy, load_model("toy-2l"))
    )
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
    # Its induction heads are needed, and the first order sees no more than half of how much.
    exact = ablation_scores(toy, tokens, last=11)[1]
    assert ((ours[1] > 0.05) & (ours[1] < exact / 2)).all()
    with pytest.raises(ValueError, match="choose one of zero"):
        ablation_attribution(toy, tokens, method="nothing")
    with pytest.raises(ValueError, match="choose from 1 to 23"):
        ablation_attribution(toy, tokens, last=24)
