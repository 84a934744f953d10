"""`tasks-4l`: what is stored is what the weights give; without their loss copies teach nothing."""

import json
from dataclasses import replace
from statistics import mean

import pytest
import torch

from induction_heads.data.few_shot_rows import (
    D_VOCAB,
    arrow_prompts,
    copied_targets,
    few_shot_training_rows,
    random_answers,
)
from induction_heads.interp.ablation import head_hooks, mean_ablation_hook
from induction_heads.interp.few_shot import (
    ALL_TASKS,
    CHOSEN_ON,
    HELD_OUT,
    added_accuracy,
    bare_prompts,
    copying,
    few_shot_accuracy,
    few_shot_effects,
    patched_states,
    ranked,
    task_outputs,
    vector_of,
)
from induction_heads.interp.task_vectors import exclusive_heads, indirect_effects
from induction_heads.models.loading import load_model, zoo_folder
from induction_heads.training.experiments import of_seeds
from induction_heads.training.few_shot_model import (
    NAME,
    SEEDS,
    SETTINGS,
    SomeUncounted,
    card,
    differences_from_shipped,
    left_out_targets,
    shipped_records,
    train_few_shot_model,
)
from induction_heads.training.run import Settings, next_token_loss


@pytest.fixture(scope="module")
def model():
    return load_model(NAME)


def test_mappings_for_the_choice_of_heads_and_for_the_test_share_none():
    assert sorted((*CHOSEN_ON, *HELD_OUT)) == list(ALL_TASKS)


def test_the_shipped_model_answers_and_copies_as_its_record_says(model):
    record = shipped_records()[0]
    assert few_shot_accuracy(model) == pytest.approx(record["examples"][-1], abs=0.03)
    score, loss = copying(model)
    assert score == pytest.approx(record["snapshots"][-1]["score"], abs=0.05)
    assert loss == pytest.approx(record["snapshots"][-1]["copy_loss"], abs=0.05)


def test_effects_of_all_mappings_at_once_are_the_mean_of_those_of_each(model):
    each = []
    for task in (2, 5):
        prompts, _ = arrow_prompts(task, 6, seed=0)
        rows, answers = arrow_prompts(task, 6, seed=1)
        each.append(
            indirect_effects(model, prompts, random_answers(rows, answers, seed=0), answers)
        )
    found = few_shot_effects(model, (2, 5), batch=6)
    assert torch.allclose(found, torch.stack(each).mean(dim=0), atol=1e-5)


def test_the_stored_curve_is_that_of_the_shipped_weights(model):
    stored = shipped_records()[0]["vectors"]
    order = [tuple(head) for head in stored["order"][:4]]
    vectors = vector_of(task_outputs(model, HELD_OUT), order)
    expected = next(row for row in stored["curve"] if row["heads"] == 4)["held_out"]
    found = added_accuracy(model, vectors, HELD_OUT, stored["point"])
    assert found == pytest.approx(expected, abs=0.07)  # Two rows of 32.


def test_the_stored_dissociation_is_that_of_the_shipped_weights(model):
    record = shipped_records()[0]
    last = record["snapshots"][-1]
    effects, costs = torch.tensor(last["effect"]), torch.tensor(last["cost"])
    row = next(row for row in record["dissociation"] if row["heads"] == 4)
    for kind, heads in (
        ("function vector", exclusive_heads(effects, costs, 4)),
        ("copying", exclusive_heads(costs, effects, 4)),
    ):
        (stored,) = row[kind]
        assert few_shot_accuracy(model, without=heads) == pytest.approx(
            stored["accuracy"], abs=0.03
        )
        assert copying(model, heads)[1] == pytest.approx(stored["loss"], abs=0.1)


def test_the_state_at_the_end_of_the_model_brings_the_answer_to_the_other_query(model):
    states = patched_states(model)
    assert states[0]["own"] == pytest.approx(0, abs=0.5)  # The arrow alone: no task is moved.
    assert states[-1]["theirs"] > 0.9
    assert states[-1]["own"] < 0.1


def test_mean_ablation_leaves_nothing_of_the_task_in_a_head(model):
    rows, _ = bare_prompts(ALL_TASKS)
    name, hook = head_hooks([(2, 3)], mean_ablation_hook)[0]
    seen = []

    def read(z, hook):
        seen.append(z[:, :, 3].clone())

    model.run_with_hooks(rows, fwd_hooks=[(name, hook), (name, read)])
    assert (seen[0] - seen[0][:1]).abs().max() == 0


def test_ranked_heads_begin_with_the_largest():
    assert ranked(torch.tensor([[0.1, 0.9], [0.5, 0.2]])) == [(0, 1), (1, 0), (1, 1), (0, 0)]


def test_copied_targets_have_no_gradient():
    model = train_few_shot_model(0, settings=Settings(steps=1)).model
    tokens = few_shot_training_rows(torch.Generator().manual_seed(0))
    inner = []

    def kept(logits):
        logits.retain_grad()
        inner.append(logits)
        return logits

    class Watched(torch.nn.Module):
        def forward(self, rows):
            return kept(model(rows))

    next_token_loss(SomeUncounted(Watched(), "copies"), tokens).backward()
    marked = copied_targets(tokens)
    assert inner[0].grad[marked].abs().max() == 0
    assert (inner[0].grad[:, :-1][~marked[:, :-1]].abs().sum(dim=-1) > 0).all()


def test_a_run_without_the_loss_on_copies_differs_from_the_first_step_and_keeps_its_snapshots():
    runs = [
        train_few_shot_model(0, left_out=which, settings=Settings(steps=2, learning_rate=1e-2))
        for which in ("", "copies")
    ]
    assert runs[0].losses != runs[1].losses
    for run in runs:
        assert list(run.snapshots) == [0]
        run.model.load_state_dict(run.snapshots[0])
    first, second = (run.model.state_dict() for run in runs)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert runs[0].model.hf.config.vocab_size == D_VOCAB


def test_the_first_steps_of_a_run_are_the_stored_ones():
    settings = replace(SETTINGS, steps=12, decay=0.0)
    losses = train_few_shot_model(1, settings=settings).losses
    curve = shipped_records()[1]["curve"]
    assert curve[0][0] == 6
    assert [mean(losses[:6]), mean(losses[6:])] == pytest.approx(
        [point[1] for point in curve[:2]], abs=0.01
    )


def test_both_kinds_of_runs_begin_with_the_same_weights_and_end_apart():
    for record, run in zip(shipped_records(), of_seeds("hapax", "without-copies"), strict=True):
        first, other = record["snapshots"][0], run["snapshots"][0]
        assert {name: first[name] for name in other} == other
        last, other = record["snapshots"][-1], run["snapshots"][-1]
        assert other["copy_loss"] - last["copy_loss"] > 3


def test_the_control_leaves_out_as_many_targets_of_each_row():
    tokens = few_shot_training_rows(torch.Generator().manual_seed(3))
    generator = torch.Generator().manual_seed(0)
    copies, one, two = (
        left_out_targets(tokens, which, generator) for which in ("copies", "random", "random")
    )
    assert torch.equal(copies, copied_targets(tokens))
    assert copies.sum() > 100
    for drawn in (one, two):
        assert torch.equal(drawn.sum(dim=1), copies.sum(dim=1))
        assert not drawn[:, -1].any()
    assert not torch.equal(one, two)
    assert not left_out_targets(tokens, "", generator).any()


def test_without_random_targets_copying_is_learned_late():
    stored = zip(
        shipped_records(),
        of_seeds("hapax", "without-copies"),
        of_seeds("hapax", "without-random"),
        strict=True,
    )
    for runs in stored:
        losses = [run["snapshots"][-1]["copy_loss"] for run in runs]
        assert losses[0] + 1 < losses[2] < losses[1] - 1


def test_each_seed_has_a_card_and_a_command():
    for seed, record in zip(SEEDS, shipped_records(), strict=True):
        folder = zoo_folder(NAME if seed == 0 else f"{NAME}/seed-{seed}")
        assert record["seed"] == seed
        assert (folder / "card.md").read_text(encoding="utf-8") == card(record)
        assert record["command"] in card(record)


def test_a_run_that_differs_is_reported():
    records = shipped_records()
    assert differences_from_shipped(records[1], records) == []
    other = json.loads(json.dumps(records[0]))
    other["snapshots"][-1]["accuracy"] = 0.2
    other["snapshots"][-1]["effect"] = [[1, *[0] * 7], *([0] * 8 for _ in range(3))]
    assert len(differences_from_shipped(other, records)) == 2
