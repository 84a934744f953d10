"""Smeared keys: what they compute, and who refuses them."""

import pytest
import torch

from induction_heads.interp.ablation import ablation_scores
from induction_heads.interp.activations import head_scores
from induction_heads.interp.scores import previous_token_score
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.models.loading import save_model, to_transformer_lens
from induction_heads.models.smeared_keys import smeared_keys, with_smeared_keys


def model() -> AttentionOnly:
    config = AttentionOnlyConfig(2, n_heads=2, d_model=12, d_head=5, d_vocab=17, n_ctx=9)
    return initialize(AttentionOnly(config), std=0.5, seed=0)


def test_a_key_is_mixed_with_the_one_before_it_and_the_first_stays():
    keys = torch.arange(24.0).reshape(1, 2, 4, 3) ** 2
    alpha = torch.tensor([0.3, -2.0])
    smeared = smeared_keys(keys, alpha)
    for head in range(2):
        share = 1 / (1 + torch.exp(-alpha[head]))
        torch.testing.assert_close(smeared[0, head, 0], keys[0, head, 0])
        for pos in range(1, 4):
            expected = share * keys[0, head, pos] + (1 - share) * keys[0, head, pos - 1]
            torch.testing.assert_close(smeared[0, head, pos], expected)


def test_without_any_smearing_the_logits_are_those_of_the_plain_model():
    plain = model()
    tokens = torch.randint(17, (3, 9), generator=torch.Generator().manual_seed(0))
    kept = with_smeared_keys(plain, alpha=100.0)
    torch.testing.assert_close(kept(tokens), plain(tokens), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(with_smeared_keys(plain)(tokens), plain(tokens), atol=1e-3)


def test_a_later_token_changes_no_earlier_logit():
    smeared, tokens = with_smeared_keys(model()), torch.randint(17, (1, 9))
    changed = tokens.clone()
    changed[0, 6] = (changed[0, 6] + 1) % 17
    torch.testing.assert_close(smeared(tokens)[:, :6], smeared(changed)[:, :6])


def test_one_layer_can_match_what_came_before_a_key():
    # With α = −∞ each key is the one before: the same weights that look at the current token then
    # look one place further, at the token after an earlier copy.
    config = AttentionOnlyConfig(1, n_heads=1, d_model=20, d_head=20, d_vocab=20, n_ctx=16)
    plain = AttentionOnly(config)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.zero_()
        plain.W_E.copy_(torch.eye(20))
        plain.layers[0].W_Q[0] = 50 * torch.eye(20)
        plain.layers[0].W_K[0] = torch.eye(20)
    block = torch.randperm(20)[:8]
    tokens = torch.cat([block, block])[None]
    smeared = with_smeared_keys(plain, alpha=-100.0)
    pattern = smeared.layers[0].pattern(smeared.embed(tokens))[0, 0]
    assert pattern[10, 3] > 0.99
    assert plain.layers[0].pattern(plain.embed(tokens))[0, 0, 10, 3] < 0.01


def test_alpha_is_learned():
    smeared, tokens = with_smeared_keys(model()), torch.randint(17, (3, 9))
    smeared(tokens).square().mean().backward()
    assert all((layer.alpha.grad.abs() > 0).all() for layer in smeared.layers)


def test_scores_and_ablations_see_the_smeared_keys():
    smeared, tokens = with_smeared_keys(model(), alpha=-1.0), torch.randint(17, (4, 9))
    pattern = smeared.layers[0].pattern(smeared.embed(tokens))
    scores = head_scores(smeared, tokens, {"previous": previous_token_score})["previous"]
    torch.testing.assert_close(scores[0], previous_token_score(pattern).mean(dim=0))
    silenced = with_smeared_keys(model(), alpha=-1.0)
    with torch.no_grad():
        silenced.layers[1].W_O[0] = 0
        losses = [
            torch.nn.functional.cross_entropy(
                m(tokens)[:, :-1].flatten(0, 1), tokens[:, 1:].flatten()
            )
            for m in (smeared, silenced)
        ]
    rise = ablation_scores(smeared, tokens)[1, 0]
    torch.testing.assert_close(rise, losses[1] - losses[0], atol=1e-5, rtol=0)
    assert rise.abs() > 1e-3


def test_no_other_format_takes_a_model_whose_alpha_it_would_lose(tmp_path):
    smeared = with_smeared_keys(model())
    with pytest.raises(ValueError, match="SmearedKeys cannot be converted to TransformerLens"):
        to_transformer_lens(smeared)
    with pytest.raises(ValueError, match="SmearedKeys cannot be saved"):
        save_model(smeared, tmp_path)
    assert not list(tmp_path.iterdir())
