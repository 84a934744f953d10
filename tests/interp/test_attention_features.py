"""Features of attention outputs: their heads, their rates by match length, and equal sparsity."""

import math

import pytest
import torch

from induction_heads.interp.attention_features import (
    copied_tokens,
    equally_often,
    feature_rates_by_match_length,
    head_shares,
    mixed_values,
)
from induction_heads.interp.natural_repeats import copying_gain
from induction_heads.models.loading import load_model

TEXT = torch.randint(3, (5, 20), generator=torch.Generator().manual_seed(0))


def test_rates_are_shares_of_the_queries_of_a_length():
    generator = torch.Generator().manual_seed(1)
    activations = (torch.randn(5, 20, 4, generator=generator)).relu()
    found = feature_rates_by_match_length(activations, TEXT, longest=3)
    counts: dict[tuple[str, int], list[list[bool]]] = {}
    for b, row in enumerate(TEXT.tolist()):
        for q in range(19):
            lengths = {0: 0}
            for key in range(1, q + 1):
                k = 0
                while k < key and row[key - 1 - k] == row[q - k]:
                    k += 1
                lengths[key] = k
            longest = min(max(lengths.values()), 3)
            right = any(k and row[key] == row[q + 1] for key, k in lengths.items())
            on = [value > 0 for value in activations[b, q].tolist()]
            counts.setdefault(("all", longest), []).append(on)
            if longest:
                counts.setdefault(("right" if right else "wrong", longest), []).append(on)
    for (name, k), rows in counts.items():
        expected = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        assert found[name][k].tolist() == pytest.approx(expected, abs=1e-6)
    assert found["right"][0].isnan().all()
    assert found["wrong"][0].isnan().all()


def test_shares_of_the_heads_sum_to_one_and_follow_the_norms():
    decoder = torch.randn(7, 12, generator=torch.Generator().manual_seed(2))
    shares = head_shares(decoder, 3)
    assert shares.sum(dim=1).tolist() == pytest.approx([1.0] * 7)
    norms = [
        math.sqrt(sum(x * x for x in decoder[4, 4 * h : 4 * h + 4].tolist())) for h in (0, 1, 2)
    ]
    assert shares[4].tolist() == pytest.approx([n / sum(norms) for n in norms])
    with pytest.raises(ValueError, match="cannot be divided among 5 heads"):
        head_shares(decoder, 5)


def test_the_copied_token_is_the_one_that_copying_gain_takes():
    copied = copied_tokens(TEXT)
    for row, found in zip(TEXT.tolist(), copied.tolist(), strict=True):
        for query, token in enumerate(found):
            earlier = [p for p in range(query) if row[p] == row[query]]
            assert token == (row[earlier[-1] + 1] if earlier else -1)
    silenced = torch.zeros(5, 20, 3)
    clean = silenced.clone()
    clean[:, :-1].scatter_(2, copied.clamp(min=0)[..., None], 1.0)
    assert copying_gain(clean, silenced, TEXT) == pytest.approx(1 - math.log((2 + math.e) / 3))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_columns_are_on_as_often_as_asked(rate):
    projections = torch.randn(40, 3, generator=torch.Generator().manual_seed(3))
    kept = equally_often(projections, torch.full((3,), rate))
    assert ((kept > 0).sum(dim=0) == round(40 * rate)).all()
    on = kept[:, 0] > 0
    if 0 < rate < 1:
        assert projections[on, 0].min() > projections[~on, 0].max()


def test_rates_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="from 0 to 1"):
        equally_often(torch.zeros(4, 1), torch.tensor([1.5]))


def test_mixed_values_are_the_pattern_times_the_values():
    model = load_model("toy-2l")
    tokens = torch.arange(6)[None]
    _, cache = model.run_with_cache(tokens)
    pattern, values = cache["blocks.1.attn.hook_pattern"], cache["blocks.1.attn.hook_v"]
    expected = torch.einsum("bhqk,bkhd->bqhd", pattern, values)
    torch.testing.assert_close(mixed_values(model, tokens, 1), expected, atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="There is no L2H0"):
        mixed_values(model, tokens, 2)
