"""The stored runs on facts and copies: the first run made again, and what the measures mean."""

import pytest
import torch

from induction_heads.data.relation_rows import FIRST_TAIL, N_SUBJECTS, tail_of
from induction_heads.training import relation_runs
from induction_heads.training.experiments import stored_experiment
from induction_heads.training.relation_runs import (
    CONFIG,
    by_relation,
    measured,
    measured_copies,
    measured_facts,
    train_relation_model,
    without_head,
)
from induction_heads.training.run import Settings


@pytest.fixture(scope="module")
def model():
    return train_relation_model("facts", 0, Settings(steps=150))


def test_a_short_run_on_facts_has_a_head_with_a_relation_index_and_no_stripe(model):
    found = measured(model)
    index = torch.tensor(found["index"]).mean(dim=0)
    shuffled = torch.tensor(found["shuffled"]).mean(dim=0)
    assert index.max() > 0.05
    assert index.max() > 3 * shuffled.flatten()[index.argmax()]
    assert torch.tensor(found["stripe"]).max() < 0.2


def test_the_record_of_a_run_has_the_keys_and_shapes_of_the_stored_ones(model):
    found, stored = measured(model), stored_experiment("relations")["runs"]["facts-s0"]
    assert list(found) == list(stored)
    for name, values in found.items():
        if isinstance(values, list):
            assert torch.tensor(values).shape == torch.tensor(stored[name]).shape


def test_the_index_with_another_table_is_another(model):
    assert not torch.allclose(by_relation(model), by_relation(model, tail_table(seed=5)))


def tail_table(seed: int):
    return relation_runs.fact_table(seed)


def test_a_model_without_a_head_is_a_copy(model):
    before = model.state_dict()["layers.0.W_O"].clone()
    after = without_head(model, 0, 1).state_dict()["layers.0.W_O"]
    assert (after[1] == 0).all()
    assert torch.equal(after[0], before[0])
    assert torch.equal(model.state_dict()["layers.0.W_O"], before)


def test_all_models_are_measured_on_the_same_rows():
    assert measured_facts() is measured_facts()
    assert measured_copies().shape == (256, 24)
    assert CONFIG.d_vocab == int(tail_of(1).max()) + 1 == FIRST_TAIL + 2 * N_SUBJECTS
