"""Training on rows of exemplars and labels: what learns, and that stored runs repeat."""

from dataclasses import replace

import pytest
import torch

from induction_heads.data.exemplar_rows import RowKind
from induction_heads.models.with_mlp import WithMLP
from induction_heads.training.experiments import stored_experiment
from induction_heads.training.in_weights_runs import (
    GROUPS,
    SETTINGS,
    labels_of,
    measured,
    measured_rows,
    new_exemplar_model,
    train_exemplar_model,
)

KIND = RowKind(n_classes=12)
SHORT = replace(SETTINGS, steps=3)


def test_the_embedding_stays_as_it_was_and_everything_else_learns():
    before = new_exemplar_model(KIND, 4).state_dict()
    after = train_exemplar_model(KIND, 4, SHORT).model.state_dict()
    fixed = [name for name in before if torch.equal(before[name], after[name])]
    assert fixed == ["W_E"]
    assert before["W_E"].norm(dim=1).mean().item() == pytest.approx(1)


def test_the_seed_decides_the_run():
    losses = [train_exemplar_model(KIND, seed, SHORT).losses for seed in (4, 4, 5)]
    assert losses[0] == losses[1] != losses[2]
    assert not torch.equal(labels_of(KIND, 4), labels_of(KIND, 5))


def test_a_model_has_an_mlp_unless_its_width_is_zero():
    assert isinstance(new_exemplar_model(KIND, 0), WithMLP)
    assert not isinstance(new_exemplar_model(KIND, 0, width=0), WithMLP)


def test_a_snapshot_holds_the_weights_of_its_step():
    run = train_exemplar_model(KIND, 4, SHORT, snapshots_at=(0, 3))
    start, end = run.snapshots[0], run.snapshots[3]
    assert all(torch.equal(end[name], w) for name, w in run.model.state_dict().items())
    assert all(
        torch.equal(start[n], w) for n, w in new_exemplar_model(KIND, 4).state_dict().items()
    )


def test_shares_of_the_sources_add_up_and_heads_can_be_left_out():
    model = new_exemplar_model(KIND, 4)
    whole = measured(model, KIND, 4)
    assert sum(whole["follows"]) == pytest.approx(1, abs=1e-3)
    without = measured(model, KIND, 4, without=[(0, 0), (0, 1), (1, 0), (1, 1)])
    assert without != whole
    # Without heads the last exemplar is all that is read, so held-out labels are a guess.
    assert without["context"] < 0.15


def test_rows_to_measure_on_are_the_same_at_each_snapshot():
    first, again = measured_rows(KIND, 4), measured_rows(KIND, 4)
    assert all(torch.equal(first[name], again[name]) for name in first)


@pytest.mark.parametrize("name", ["few-classes", "base"])
def test_the_first_snapshots_are_the_stored_ones(name):
    kind, settings = GROUPS[name]
    stored = stored_experiment("in-weights")["runs"][f"{name}-s1"]["snapshots"]
    short = replace(settings, steps=stored[1]["step"])
    run = train_exemplar_model(kind, 1, short, snapshots_at=(0, short.steps))
    for (_, weights), expected in zip(run.snapshots.items(), stored, strict=False):
        run.model.load_state_dict(weights)
        found = measured(run.model, kind, 1)
        for key in ("train", "context", "weights"):
            assert found[key] == pytest.approx(expected[key], abs=0.05)
