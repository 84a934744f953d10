"""Three models of the zoo with a key, and three for each owner."""

import re
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

import pytest

from induction_heads.interp.claims import (
    Claim,
    copying_gains,
    draw_interventions,
    gain_without_arrow,
    measured_loss,
    predicted_loss,
    prediction_skill,
)
from induction_heads.models.folders import ZOO
from induction_heads.models.loading import load_attention_only, load_model
from induction_heads.models.planted import SIZES
from induction_heads.training import unseen_models as module
from induction_heads.training.unseen_models import (
    ZOO_MODELS,
    ZOO_VOCABULARY,
    differences_from_zoo,
    unseen_models,
    worked_example,
    zoo_model,
)

every_zoo_model = pytest.mark.parametrize("letter", ZOO_MODELS)


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


def claim_of(letter: str) -> Claim:
    key: dict[str, Any] = asdict(zoo_model(letter)[1])
    return Claim(**{name: key[name] for name in Claim.__annotations__})  # pyright: ignore


def test_the_zoo_has_what_was_planted_and_each_circuit_is_another():
    assert differences_from_zoo() == []
    assert len({options["rule"] for options in ZOO_MODELS.values()}) == 3
    sizes = {load_attention_only(f"unseen/{letter}").config for letter in ZOO_MODELS}
    assert len(sizes) == 1
    assert load_model("unseen/X").cfg.d_vocab == ZOO_VOCABULARY


def test_other_weights_than_those_planted_are_noticed(monkeypatch):
    monkeypatch.setitem(ZOO_MODELS, "X", ZOO_MODELS["X"] | {"seed": 1})
    assert differences_from_zoo() == ["unseen/X: other weights than those that were planted."]


@every_zoo_model
def test_the_key_is_what_the_loaded_model_does(letter: str):
    model, claim = load_attention_only(f"unseen/{letter}"), claim_of(letter)
    gains = copying_gains(model, claim["lag"], claim["shift"])
    places = {(layer, head): gain for layer, head, gain in claim["copiers"]}
    for layer in range(3):
        for head in range(4):
            assert gains[layer, head].item() == pytest.approx(
                places.get((layer, head), 0.0), abs=0.05
            )
    for sender, receiver, side in claim["arrows"]:
        left = gain_without_arrow(
            model, claim["lag"], claim["shift"], tuple(sender), tuple(receiver), side
        )
        assert abs(left) < abs(places[tuple(receiver)]) / 2


@every_zoo_model
def test_the_key_predicts_held_out_interventions_and_a_key_with_doubles_does_worse(letter: str):
    model, claim = load_attention_only(f"unseen/{letter}"), claim_of(letter)
    decoys = zoo_model(letter)[1].doubles
    swapped = Claim(**{**claim, "copiers": [[*decoys[-1], claim["copiers"][0][2]]], "arrows": []})
    sizes = {"n_layers": 3, "n_heads": 4, "d_vocab": ZOO_VOCABULARY}
    drawn = draw_interventions(claim, 30, **sizes, seed=11)
    losses = [measured_loss(model, each, batch=16, seed=2) for each in drawn]
    unchanged = {"silent": [], "cut": [], "match": 3, "lag": claim["lag"], "shift": claim["shift"]}
    clean = measured_loss(model, unchanged, batch=16, seed=2)  # pyright: ignore
    skills = []
    for said in (claim, swapped):
        predicted = [predicted_loss(said, each, ZOO_VOCABULARY) for each in drawn]
        skills.append(prediction_skill(predicted, losses, clean))
    # Without a match of two tokens the heads of X rest on near tokens, which no claim can say.
    assert skills[0] > (0.35 if letter == "X" else 0.9)
    assert skills[1] < skills[0] - 0.3


def test_the_card_names_no_head():
    card = (ZOO / "unseen" / "card.md").read_text(encoding="utf-8")
    record = (ZOO / "unseen" / "training.json").read_text(encoding="utf-8")
    found = re.findall(r"\b(gains?|lag|shift|rule|match|L\d+H\d+)\b", card + record)
    assert found == []
