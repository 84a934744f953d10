"""Hidden models: the rule is kept, decoys write nothing, and the places of the heads vary."""

import pytest
import torch
from torch.testing import assert_close

from induction_heads.data.tokens import prefix_match_rows
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.loading import load_attention_only
from induction_heads.models.planted import (
    RULES,
    SIZES,
    hidden_sizes,
    hidden_toy,
    planted,
    planted_with_key,
)

V = SIZES.d_vocab


def rows(match: int):
    return prefix_match_rows(V, match, longest=3, gap=12, batch=8)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_planted_rule_needs_the_match_that_it_says(rule: str, seed: int):
    model = planted(rule, shift=7, seed=seed)
    needed = {"distance": 0, "two tokens": 2}.get(rule, 1)
    for match in range(4):
        tokens = rows(match)
        right = model(tokens)[:, -1].argmax(dim=-1) == (tokens[:, 3] + 7) % V
        assert bool(right.all()) == (match >= needed), match


@pytest.mark.parametrize("rule", ["K", "Q"])
def test_lag_two_copies_the_token_after_the_next(rule: str):
    tokens = rows(1)
    assert_close(planted(rule, lag=2)(tokens)[:, -1].argmax(dim=-1), tokens[:, 4])


def test_negative_gain_lowers_the_token():
    tokens = rows(3)
    assert_close(planted("K", gains=(-4.0,))(tokens)[:, -1].argmin(dim=-1), tokens[:, 3])


def test_hidden_toy_has_the_logits_of_the_toy():
    toy, tokens = load_attention_only("toy-2l"), rows(3)
    assert_close(hidden_toy(toy)(tokens), toy(tokens)[..., :V], atol=1e-3, rtol=1e-3)


def test_seed_changes_the_weights_and_not_what_the_model_does():
    one, other = planted("K", seed=0), planted("K", seed=1)
    assert_close(one(rows(3))[:, -1], other(rows(3))[:, -1], atol=0.05, rtol=0.01)
    assert (one.W_E - other.W_E).abs().max() > 0.1


def test_all_hidden_models_have_the_same_sizes_and_no_empty_heads():
    for model in (*map(planted, RULES), hidden_toy(load_attention_only("toy-2l"))):
        assert model.config == SIZES
        for layer in model.layers:
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                assert layer.get_parameter(name).norm(dim=(1, 2)).min() > 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rule": "V"}, "Use one of 'K', 'Q', 'two tokens', 'distance'"),
        ({"rule": "K", "gains": ()}, "Got 0 gains"),
        ({"rule": "K", "gains": (1.0, 2.0, 3.0)}, "Got 3 gains"),
        ({"rule": "distance", "lag": 2}, "It has only lag=1"),
    ],
)
def test_impossible_rules_are_rejected(arguments: dict, message: str):
    with pytest.raises(ValueError, match=message):
        planted(**arguments)


def test_only_the_toy_can_be_hidden():
    with pytest.raises(ValueError, match="can be hidden"):
        hidden_toy(load_attention_only("toy-1l"))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("seed", [0, 1])
def test_key_names_every_head_once_and_only_its_working_heads_write(rule: str, seed: int):
    model, key = planted_with_key(rule, gains=(5.0, 2.0), d_vocab=24, seed=seed)
    assert model.config == hidden_sizes(24)
    senders = [sender for sender, *_ in key.arrows]
    copiers = [copier[:2] for copier in key.copiers]
    working = [each for index, each in enumerate(senders) if each not in senders[:index]] + copiers
    every = [[layer, head] for layer in range(3) for head in range(4)]
    assert sorted(working + key.doubles + key.idle) == every
    read = torch.cat([model.W_U, *(w for x in model.layers for w in (*x.W_Q, *x.W_K, *x.W_V))], 1)
    for layer, head in every:
        wrote = (model.layers[layer].get_parameter("W_O")[head] @ read).abs().max()
        assert (wrote > 1e-3) == ([layer, head] in working)


def test_doubles_attend_as_working_heads_do():
    model, key = planted_with_key("K", seed=3)
    patterns = attention_patterns(model, rows(3))
    working = [key.arrows[0][0], key.copiers[0][:2]]
    for (layer, head), (of_layer, double) in zip(working, key.doubles, strict=True):
        assert_close(patterns[layer, :, head], patterns[of_layer, :, double], atol=1e-3, rtol=0)
        assert layer == of_layer
    layer, head = key.idle[0]
    assert (patterns[layer, :, head] - patterns[2, :, key.copiers[0][1]]).abs().max() > 0.1


def test_doubles_write_nothing_that_is_read():
    model, tokens = planted("K", seed=3), rows(3)
    read = torch.cat([model.W_U, *(w for x in model.layers for w in (*x.W_Q, *x.W_K, *x.W_V))], 1)
    wrote = [head for layer in model.layers for head in layer.get_parameter("W_O")]
    silent = [head for head in wrote if (head @ read).abs().max() < 1e-3]
    assert len(silent) == len(wrote) - 2
    assert model(tokens).isfinite().all()
