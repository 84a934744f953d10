"""The hand-built n-gram head in two layers of one head each, against the plain definition."""

from collections import Counter
from typing import Any

import pytest
import torch

from induction_heads.data.tokens import with_bos
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.match_length import prefix_length_curves
from induction_heads.models.any_order import hand_built_any_order
from induction_heads.models.loading import load_lightest, load_model

IDS = 3  # Besides BOS. Few ids, so that long matches are frequent.


def rows(batch: int = 24, n_pos: int = 63, ids: int = IDS):
    generator = torch.Generator().manual_seed(ids)
    return with_bos(torch.randint(1, ids + 1, (batch, n_pos), generator=generator), 0)


def followers(row: list[int], query: int, n: int) -> list[int]:
    """The keys that followed earlier copies of the last n tokens, by comparing them one by one."""
    last = row[query - n + 1 : query + 1]
    return [key for key in range(n, query + 1) if row[key - n : key] == last]


def beside_the_rule(n: int, tokens, dtype=torch.float32, **options) -> tuple[float, float]:
    """Over the queries with a match: the share whose best key is right, the most attention beside.

    The rule is to look evenly at all followers.
    """
    model = hand_built_any_order(n, d_vocab=tokens.max().item() + 1, **options).to(dtype)
    right, worst = [], 0.0
    pattern = attention_patterns(model, tokens)[1, :, 0].tolist()
    for row, weights in zip(tokens.tolist(), pattern, strict=True):
        for query in range(n, len(row)):
            keys = followers(row, query, n)
            if keys:
                seen = weights[query]
                right.append(seen.index(max(seen)) in keys)
                missing = [max(0.0, 1 / len(keys) - seen[key]) for key in keys]
                worst = max(worst, sum(missing))
    assert len(right) > 40
    return sum(right) / len(right), worst


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_attention_is_that_of_the_rule_in_single_precision(n: int):
    share, worst = beside_the_rule(n, rows())
    assert share == 1
    assert worst < 0.01


@pytest.mark.parametrize("n", [5, 6])
def test_the_best_key_is_right_in_single_precision_up_to_six(n: int):
    assert beside_the_rule(n, rows(80))[0] == 1


@pytest.mark.parametrize("n", [5, 6, 7, 8])
def test_double_precision_reaches_eight_tokens(n: int):
    share, worst = beside_the_rule(n, rows(200, ids=2), torch.float64)
    assert share == 1
    assert worst < 0.01


@pytest.mark.parametrize("n", [2, 3, 4])
def test_without_layer_norm_other_keys_win(n: int):
    assert beside_the_rule(n, rows(), normalization=None)[0] < 0.5


def test_a_ninth_of_the_sharpness_is_too_little():
    assert beside_the_rule(3, rows(), sharpness=150 / 9)[1] > 0.05


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_logits_order_the_next_tokens_as_counts_do(n: int):
    tokens = rows(8)
    logits = hand_built_any_order(n, d_vocab=IDS + 1)(tokens)
    asked = 0
    for row, scores in zip(tokens.tolist(), logits.tolist(), strict=True):
        for query in range(n, len(row)):
            counts = Counter(row[key] for key in followers(row, query, n))
            if counts:
                asked += 1
                said = scores[query].index(max(scores[query]))
                assert counts[said] == max(counts.values())
    assert asked > 100


def test_a_query_without_a_match_looks_behind_the_longest_shorter_one():
    tokens = rows(8, ids=6)
    pattern = attention_patterns(hand_built_any_order(3, d_vocab=7), tokens)[1, :, 0]
    shorter = 0
    for row, weights in zip(tokens.tolist(), pattern.tolist(), strict=True):
        for query in range(3, len(row)):
            keys = next((k for n in (3, 2, 1) if (k := followers(row, query, n))), None)
            if keys:
                shorter += not followers(row, query, 3)
                assert weights[query].index(max(weights[query])) in keys
    assert shorter > 100


def test_it_loads_by_name_and_runs_where_other_models_do():
    model: Any = load_lightest("hand-built:any_order")
    bridge = load_model("hand-built:any_order")
    assert (model.config.n_layers, model.config.n_heads) == (2, 1)
    tokens = rows(4, ids=20)
    torch.testing.assert_close(bridge(tokens), model(tokens), atol=0.05, rtol=0)
    curve = prefix_length_curves(model, batch=16)[:, 1, 0]
    assert curve[0] < 0.2
    assert curve[1:].min() > 0.99  # Alone in the row, a match of one token is the longest.


def test_an_order_below_one_is_an_error():
    with pytest.raises(ValueError, match="at least one token"):
        hand_built_any_order(0)
