"""Models are built once and used again, unless a call has left anything on them."""

from copy import deepcopy
from typing import Any

import pytest
import torch

from induction_heads.grading.calls import model_data
from induction_heads.grading.live_models import LiveModels
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.hand_built import hand_built
from induction_heads.models.plain_data import ModelData
from induction_heads.training.initial_weights import initialized

PATTERN = "blocks.0.attn.hook_pattern"
TOKENS = torch.zeros(1, 5, dtype=torch.long)


@pytest.fixture(scope="module")
def data() -> ModelData:
    return model_data(hand_built("induction", d_vocab=9, n_ctx=12))


@pytest.fixture
def models() -> LiveModels:
    return LiveModels()


def doubled(pattern: torch.Tensor, hook: Any) -> torch.Tensor:
    return 2 * pattern


USES = {
    "a forward pass": lambda model: model(TOKENS),
    "a loss": lambda model: model(TOKENS, return_type="loss"),
    "a cache": lambda model: model.run_with_cache(TOKENS),
    "a hook for one run": lambda model: model.run_with_hooks(
        TOKENS, fwd_hooks=[(PATTERN, doubled)]
    ),
    "a hook that is removed": lambda model: (model.add_hook(PATTERN, doubled), model.reset_hooks()),
    "matrices": lambda model: (model.W_E, model.W_U, model.QK, model.OV),
}

CHANGES = {
    "a weight": lambda model: next(model.parameters()).data.add_(1),
    "a weight that is not finite": lambda model: next(model.parameters()).data.fill_(torch.nan),
    "a gradient": lambda model: model.requires_grad_(True),
    "a hook": lambda model: model.add_hook(PATTERN, doubled),
    "a setting": lambda model: setattr(model.cfg, "d_model", 7),
    "an attribute": lambda model: setattr(model, "seen", True),
    "a method": lambda model: setattr(model, "run_with_cache", None),
    "the mode": lambda model: model.train(),
    "a layer": lambda model: setattr(model, "unembed", torch.nn.Identity()),
    "no config": lambda model: delattr(model, "cfg"),
}


def used(models: LiveModels, data: ModelData, use: Any) -> Any:
    with models.live([data]) as (model,):
        use(model)
    return model


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_model_that_was_only_used_is_lent_again(models, data, use):
    first = used(models, data, use)
    assert used(models, deepcopy(data), use) is first


def test_a_model_is_lent_again_after_another_was_built(models):
    """TransformerLens forgets the names of hooks then, and keeps what a layer norm has read."""
    config = AttentionOnlyConfig(2, 2, 8, 4, d_vocab=9, n_ctx=12, normalization="LN")
    normed = model_data(initialized(AttentionOnly(config), seed=0))
    first = used(models, normed, USES["a cache"])
    used(LiveModels(), model_data(hand_built("previous_token", d_vocab=9, n_ctx=12)), id)
    expected = used(models, normed, lambda model: None)(TOKENS)
    for use in USES.values():
        assert used(models, normed, use) is first
    torch.testing.assert_close(first(TOKENS), expected)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_model_with_anything_left_on_it_is_built_again(models, data, change):
    first = used(models, data, change)
    second = used(models, data, lambda model: None)
    assert second is not first
    torch.testing.assert_close(second(TOKENS), used(LiveModels(), data, id)(TOKENS))


def test_an_error_in_a_call_gives_the_model_back(models, data):
    with pytest.raises(ZeroDivisionError), models.live([data]) as (first,):
        raise ZeroDivisionError
    assert used(models, data, id) is first


def test_one_call_gets_each_model_for_itself(models, data):
    other = ModelData(data.config, {name: 2 * value for name, value in data.weights.items()})
    with models.live({"a": data, "b": [data, other]}) as live:
        built = [live["a"], *live["b"]]
        assert len(set(map(id, built))) == 3
        built[2].W_U.data.zero_()
        next(built[2].parameters()).data.zero_()
        assert [models.has_own_weights(model) for model in built] == [True, True, False]


def test_building_a_model_draws_no_random_numbers(models, data):
    before = torch.get_rng_state()
    used(models, data, id)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_model_that_is_changed_after_its_call_is_forgotten(models, data, change):
    kept = used(models, data, lambda model: model(TOKENS))
    models.forget_changed()
    assert used(models, data, lambda model: model(TOKENS)) is kept
    change(kept)
    models.forget_changed()
    assert used(models, data, lambda model: model(TOKENS)) is not kept
