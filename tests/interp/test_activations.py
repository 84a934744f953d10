"""Reading a forward pass: the same patterns and scores by every route, and nothing left behind."""

import pytest
import torch

from induction_heads.data.tokens import make_repeated_tokens
from induction_heads.interp.activations import attention_patterns, head_scores
from induction_heads.interp.scores import first_token_score, induction_score, previous_token_score
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_attention_only, load_model, to_transformer_lens

SCORERS = {
    "previous_token": previous_token_score,
    "first_token": first_token_score,
    "induction": lambda pattern: induction_score(pattern, 12),
}


@pytest.mark.parametrize("name", ["toy-2l", "python-2l"])
def test_both_forms_of_a_trained_model_have_the_same_patterns(name: str):
    model, bridge = load_attention_only(name), load_model(name)
    tokens = make_repeated_tokens(model, 12, batch=3)
    ours, theirs = attention_patterns(model, tokens), attention_patterns(bridge, tokens)
    assert ours.shape == (2, 3, model.config.n_heads, tokens.shape[1], tokens.shape[1])
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_patterns_equal_those_in_the_full_cache():
    bridge = load_model("toy-2l")
    tokens = make_repeated_tokens(bridge, 12)
    _, cache = bridge.run_with_cache(tokens)
    expected = torch.stack([cache["pattern", layer] for layer in range(2)])
    torch.testing.assert_close(attention_patterns(bridge, tokens), expected)


@pytest.mark.parametrize("name", ["toy-2l", "markov-2l", "python-2l"])
def test_scores_on_the_way_equal_scores_of_kept_patterns_on_trained_weights(name: str):
    bridge = load_model(name)
    tokens = make_repeated_tokens(bridge, 12, seed=3)
    patterns = attention_patterns(bridge, tokens)
    fast = head_scores(bridge, tokens, SCORERS)
    for scorer_name, scorer in SCORERS.items():
        plain = torch.stack([scorer(layer).mean(dim=0) for layer in patterns])
        torch.testing.assert_close(fast[scorer_name], plain, atol=1e-6, rtol=1e-6)
    assert fast["induction"].max() > 0.3  # The effect is far above the tolerance.


def test_the_forward_pass_stops_after_the_last_pattern():
    bridge = to_transformer_lens(hand_built("induction"))
    reached = []
    bridge.hook_dict["unembed.hook_out"].add_hook(lambda value, hook: reached.append(hook.name))
    tokens = make_repeated_tokens(bridge, 8)
    head_scores(bridge, tokens, SCORERS | {"induction": lambda p: induction_score(p, 8)})
    assert reached == []
    bridge(tokens)
    assert reached == ["unembed.hook_out"]


def test_no_hook_stays_on_the_model():
    bridge = to_transformer_lens(hand_built("induction"))
    tokens = make_repeated_tokens(bridge, 8)
    attention_patterns(bridge, tokens)
    assert not any(point.fwd_hooks for point in bridge.hook_dict.values())


def test_a_scorer_that_fails_leaves_no_hook_either():
    bridge = to_transformer_lens(hand_built("induction"))
    tokens = make_repeated_tokens(bridge, 8)
    with pytest.raises(ValueError, match="period=40"):
        head_scores(bridge, tokens, {"induction": lambda p: induction_score(p, 40)})
    assert not any(point.fwd_hooks for point in bridge.hook_dict.values())


@pytest.mark.usefixtures("as_for_a_reader")
@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (torch.zeros(5, dtype=torch.long), r"Use tokens\[None\]"),
        (torch.zeros(1, 5), "token ids of shape"),
        (torch.zeros(1, 99, dtype=torch.long), "99 tokens do not fit in a context of 64"),
    ],
)
def test_tokens_of_the_wrong_form_are_refused(tokens: torch.Tensor, says: str):
    with pytest.raises(ValueError, match=says):
        attention_patterns(hand_built("induction"), tokens)
