"""Rows of several mappings, and vectors that carry a mapping to another prompt."""

import json

import pytest
import torch

from induction_heads.data.mapping_rows import (
    FIRST_OUTPUT,
    N_SYMBOLS,
    N_TASKS,
    few_shot_prompts,
    mappings,
    task_rows,
    training_rows,
    with_shuffled_answers,
)
from induction_heads.interp.task_vectors import (
    accuracy_with,
    function_vector,
    indirect_effects,
    mean_outputs,
)
from induction_heads.models.loading import load_model, zoo_folder, zoo_names
from induction_heads.training.tasks_model import (
    NAME,
    SEEDS,
    best_head,
    differences_from_shipped,
    shipped_records,
)


def test_each_mapping_sends_every_input_to_an_output_of_its_own():
    wanted = torch.arange(FIRST_OUTPUT, FIRST_OUTPUT + N_SYMBOLS).expand(N_TASKS, -1)
    assert torch.equal(mappings().sort(dim=1).values, wanted)
    assert len({tuple(row) for row in mappings().tolist()}) == N_TASKS


def test_the_answer_stands_nowhere_in_the_prompt():
    for task in range(N_TASKS):
        prompts, answers = few_shot_prompts(task, 32)
        assert not (prompts == answers[:, None]).any()
        assert not (prompts[:, :-1] == prompts[:, -1:]).any()
        assert torch.equal(mappings()[task][prompts[:, -1] - 1], answers)


def test_shuffling_keeps_the_tokens_and_the_query():
    prompts, _ = few_shot_prompts(3, 32)
    shuffled = with_shuffled_answers(prompts)
    assert torch.equal(shuffled[:, 1::2], prompts[:, 1::2])
    assert torch.equal(shuffled.sort(dim=1).values, prompts.sort(dim=1).values)
    assert not torch.equal(shuffled, prompts)


def test_training_rows_are_of_both_kinds_and_follow_the_generator():
    rows, again = (training_rows(torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(rows, again)
    inputs = rows[:48, 1::2]
    assert (inputs <= N_SYMBOLS).all()
    assert all(len(set(row)) == len(row) for row in inputs.tolist())
    assert all(len(set(row)) < len(row) for row in rows[48:].tolist())
    assert task_rows(torch.tensor([1]), 2).shape == (1, 5)


@pytest.fixture(scope="module")
def model():
    return load_model(NAME)


def test_the_shipped_model_answers_as_its_record_says(model):
    record = shipped_records()[0]["snapshots"][-1]
    right = []
    for task in range(N_TASKS):
        rows, answers = few_shot_prompts(task, 64, seed=1)
        right.append(accuracy_with(model, rows, answers))
    assert sum(right) / N_TASKS == pytest.approx(record["accuracy"], abs=0.03)
    assert NAME not in zoo_names()


@pytest.mark.usefixtures("as_for_a_reader")
def test_a_head_without_effect_has_none_and_shapes_are_checked(model):
    rows, answers = few_shot_prompts(2, 8)
    effects = indirect_effects(model, rows[:1], rows[:1], answers[:1])
    assert effects.abs().max() < 1e-5  # The mean of one row is the row's own value.
    with pytest.raises(ValueError, match="one for each"):
        indirect_effects(model, rows, rows, answers[:3])
    with pytest.raises(ValueError, match="n_heads=9"):
        function_vector(mean_outputs(model, rows), effects, 9)


def test_the_card_and_the_command_name_each_other():
    card = (zoo_folder(NAME) / "card.md").read_text()
    for part in (
        "Data.",
        "License of the data.",
        "Recipe.",
        "Command.",
        "Known heads.",
        "Curve.",
        "Limits.",
    ):
        assert f"**{part}**" in card
    records = shipped_records()
    assert records[0]["command"] in card
    assert [record["seed"] for record in records] == list(SEEDS)
    assert best_head(records[0]["snapshots"][-1]["effect"])[0] in (0, 1)


def test_a_run_that_differs_is_told_so():
    records = shipped_records()
    assert differences_from_shipped(records[1], records) == []
    other = json.loads(json.dumps(records[0]))
    other["snapshots"][-1]["accuracy"] = 0.2
    other["snapshots"][-1]["effect"] = [[1, 0, 0, 0], [0, 0, 0, 0]]
    assert len(differences_from_shipped(other, records)) == 2
