"""Each owner has three models of their own."""

from types import SimpleNamespace

import pytest

from induction_heads.models.loading import load_attention_only
from induction_heads.models.planted import SIZES
from induction_heads.training import unseen_models as module
from induction_heads.training.unseen_models import unseen_models, worked_example


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """The shipped toy in place of one that is trained, and the seeds that were asked for."""
    seeds = []

    def shipped(recipe, *, seed, progress):
        seeds.append(seed)
        return SimpleNamespace(model=load_attention_only("toy-2l"))

    monkeypatch.setattr(module, "run_recipe", shipped)
    return seeds


def weights(models):
    return {name: model.W_E.sum().item() for name, model in models.items()}


def test_a_name_gives_the_same_three_models_in_upper_and_lower_case(no_training):
    one, other = unseen_models("Ada"), unseen_models(" ada")
    assert list(one) == ["A", "B", "C"]
    assert weights(one) == weights(other)
    assert no_training[0] == no_training[1]
    assert all(model.config == SIZES for model in one.values())


def test_other_names_give_other_models(no_training):
    names = ("ada", "bob", "cyd", "dee")
    sums = [value for name in names for value in weights(unseen_models(name)).values()]
    assert len(set(sums)) == 12
    assert len(set(no_training)) == 4


def test_an_empty_name_is_rejected():
    with pytest.raises(ValueError, match="Pass your own"):
        unseen_models("  ")


def test_the_worked_example_has_the_same_sizes():
    assert worked_example().config == SIZES
