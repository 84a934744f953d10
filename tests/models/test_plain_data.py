"""Models that come back from a submission: carried as data, and refused unless every field fits."""

import dataclasses
import io

import pytest
import torch

from induction_heads.grading.wire import read_message, write_message
from induction_heads.models.hand_built import hand_built
from induction_heads.models.plain_data import ModelData, plain, returned_model


def sent(value):
    stream = io.BytesIO()
    write_message(stream, value)
    stream.seek(0)
    return read_message(stream)


def test_a_model_keeps_its_logits_on_the_way():
    model = hand_built("induction", d_vocab=9, n_ctx=12)
    tokens = torch.arange(6).repeat(2)[None]
    back = returned_model(sent(model))
    assert torch.equal(back(tokens), model(tokens))


@pytest.mark.parametrize(
    "change",
    [
        {"d_model": 10**9},
        {"d_model": True},
        {"d_head": 3},
        {"n_layers": 0},
        {"n_layers": 100},
        {"n_heads": 2.0},
        {"normalization": "RMS"},
        {"bos_token": 99},
    ],
)
def test_a_wrong_config_is_refused(change):
    data = plain(hand_built("induction", d_vocab=9, n_ctx=12))
    wrong = dataclasses.replace(data, config={**data.config, **change})
    with pytest.raises(ValueError):
        returned_model(sent(wrong))


@pytest.mark.usefixtures("as_for_a_reader")
@pytest.mark.parametrize("weight", [torch.zeros(1), torch.zeros(9, 39).int(), None, "W_E"])
def test_a_wrong_weight_is_refused(weight):
    data = plain(hand_built("induction", d_vocab=9, n_ctx=12))
    with pytest.raises(ValueError):
        returned_model(ModelData(data.config, {**data.weights, "W_E": weight}))


def test_missing_weights_nan_and_other_values_are_refused():
    data = plain(hand_built("induction", d_vocab=9, n_ctx=12))
    nan = {**data.weights, "W_E": torch.full_like(data.weights["W_E"], float("nan"))}
    wrong = [ModelData(data.config, {}), ModelData({}, data.weights), ModelData(data.config, nan)]
    for value in [*wrong, None, 3, data.weights]:
        with pytest.raises(ValueError):
            returned_model(value)
