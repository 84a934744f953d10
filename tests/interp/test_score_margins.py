"""Margins by writers add up to the scores of the model, and paths cut from a pattern are gone."""

import math

import pytest
import torch

from induction_heads.course.random_models import loud_neighbors
from induction_heads.data.row_pairs import one_token_changed
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.composition import decompose_attention_scores
from induction_heads.interp.interventions import pattern_without_path
from induction_heads.interp.score_margins import score_margin_by_writers, writers_before
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens


@pytest.mark.parametrize("normalization", [None, "LN"])
@pytest.mark.parametrize("layer", [0, 1, 2])
def test_margins_add_up_to_the_score_over_the_mean_of_the_others(normalization, layer: int):
    model = loud_neighbors(seed=2, normalization=normalization)
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "norm" in name:
            weight.add_(0.5 * torch.randn(weight.shape, generator=generator))
    tokens = torch.randint(20, (3, 8), generator=generator)
    residual = model.embed(tokens)
    for earlier in model.layers[:layer]:
        residual = residual + earlier(residual)
    q, k = model.layers[layer].queries_and_keys(model.layers[layer].norm(residual))
    scores = (q @ k.mT / math.sqrt(model.config.d_head))[:, 1, 6, :7]
    for key in (0, 4):
        others = [other for other in range(7) if other != key]
        expected = (scores[:, key] - scores[:, others].mean(dim=1)).mean()
        for one in (model, to_transformer_lens(model)):
            margin = score_margin_by_writers(one, tokens, layer, 1, query=6, key=key)
            assert margin.shape == (3 + 3 * layer,) * 2 == (len(writers_before(model, layer)),) * 2
            torch.testing.assert_close(margin.sum(), expected, atol=1e-3, rtol=1e-3)


def test_without_a_norm_margins_are_those_of_the_scores_by_components():
    model = load_model("toy-2l")
    tokens = one_token_changed(model, "key", batch=4).clean
    parts = decompose_attention_scores(model, tokens, 1, 0).mean(dim=0)[:, :, 18, :19]
    others = torch.full((19,), -1 / 18)
    others[7] = 1
    margin = score_margin_by_writers(model, tokens, 1, 0, query=18, key=7)
    torch.testing.assert_close(margin[:-1, :-1], parts @ others, atol=1e-4, rtol=1e-4)
    assert margin[-1].abs().max() == margin[:, -1].abs().max() == 0  # There is no bias.


def test_two_pairs_of_writers_feed_the_long_prefix_head():
    model = load_attention_only("python-2l")
    pair = one_token_changed(model, "before the query", batch=16)
    writers = writers_before(model, 1)
    two, one = (
        score_margin_by_writers(model, rows, 1, 0, query=19, key=8)
        for rows in (pair.clean, pair.corrupted)
    )
    first = writers.index("L0H3"), writers.index("L0H1")
    second = writers.index("L0H1"), writers.index("L0H2")
    assert min(two[first], two[second]) > 5
    assert two.flatten().sort().values[-3] < 2
    assert one[first] > 5 > 1 > one[second]


def test_a_pattern_without_a_path_is_the_pattern_of_the_cut_pass():
    model = load_model("toy-2l")
    tokens = one_token_changed(model, "key", batch=4).clean
    clean = attention_patterns(model, tokens)[1, :, 0]
    for sender, side, changes in (((0, 0), "K", True), ((0, 0), "Q", False)):
        pattern = pattern_without_path(model, tokens, sender, (1, 0), side)
        torch.testing.assert_close(pattern.sum(dim=-1), torch.ones(4, 19))
        stripe = pattern[:, 18, 7].mean()
        assert (stripe < 0.2) if changes else (stripe > 0.8)
    assert clean[:, 18, 7].mean() > 0.8
    with pytest.raises(ValueError, match="Choose Q or K"):
        pattern_without_path(model, tokens, (0, 0), (1, 0), "V")
    with pytest.raises(ValueError, match="earlier layer"):
        pattern_without_path(model, tokens, (1, 0), (1, 1), "K")


def test_positions_and_heads_that_do_not_exist_are_refused():
    model, tokens = loud_neighbors(), torch.arange(1, 9)[None]
    for query, key in ((8, 0), (3, 3), (3, -1)):
        with pytest.raises(ValueError, match="key before the query"):
            score_margin_by_writers(model, tokens, 1, 0, query, key)
    with pytest.raises(ValueError, match="no L3H0"):
        score_margin_by_writers(model, tokens, 3, 0, 3, 1)
    with pytest.raises(ValueError, match="more than plain heads"):
        score_margin_by_writers(load_model("gpt2-2l"), tokens, 1, 0, 3, 1)
