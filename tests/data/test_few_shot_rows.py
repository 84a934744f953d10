"""Rows with arrows hold what they promise, and copied targets are what induction predicts."""

import torch

from induction_heads.data.few_shot_rows import (
    ARROW,
    D_VOCAB,
    FIRST_INPUT,
    FIRST_OUTPUT,
    N_OF_TASKS,
    N_SYMBOLS,
    N_TASKS,
    arrow_prompts,
    copied_targets,
    few_shot_mappings,
    few_shot_training_rows,
    random_answers,
    shuffled_answers,
)


def test_each_mapping_sends_every_input_to_an_output_of_its_own():
    expected = torch.arange(FIRST_OUTPUT, FIRST_OUTPUT + N_SYMBOLS).expand(N_TASKS, -1)
    assert torch.equal(few_shot_mappings().sort(dim=1).values, expected)
    assert len({tuple(row) for row in few_shot_mappings().tolist()}) == N_TASKS


def test_the_answer_is_nowhere_in_the_prompt_and_follows_from_the_mapping():
    for task in range(N_TASKS):
        prompts, answers = arrow_prompts(task, 16)
        assert not (prompts == answers[:, None]).any()
        assert (prompts[:, 2::3] == ARROW).all()
        assert torch.equal(few_shot_mappings()[task][prompts[:, -2] - FIRST_INPUT], answers)


def test_shuffling_moves_outputs_only():
    prompts, _ = arrow_prompts(6, 16)
    shuffled = shuffled_answers(prompts)
    kept = [place for place in range(prompts.shape[1]) if place == 0 or place % 3]
    assert torch.equal(shuffled[:, kept], prompts[:, kept])
    assert torch.equal(shuffled.sort(dim=1).values, prompts.sort(dim=1).values)
    assert not torch.equal(shuffled, prompts)


def test_random_answers_differ_from_each_other_and_from_the_answer():
    prompts, answers = arrow_prompts(6, 200)
    changed = random_answers(prompts, answers)
    outputs = changed[:, 3::3]
    assert all(len(set(row)) == 5 for row in outputs.tolist())
    assert not (outputs == answers[:, None]).any()
    assert set(outputs.unique().tolist()) == set(range(FIRST_OUTPUT, D_VOCAB))
    kept = [place for place in range(prompts.shape[1]) if place == 0 or place % 3]
    assert torch.equal(changed[:, kept], prompts[:, kept])
    # As often right as chance has it: the examples say nothing about the mapping.
    assert abs((outputs == prompts[:, 3::3]).float().mean().item() - 1 / 8) < 0.03


def test_training_rows_follow_the_generator_and_only_the_repeated_ones_have_copied_targets():
    rows, again = (few_shot_training_rows(torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(rows, again)
    assert rows.max() < D_VOCAB
    marked = copied_targets(rows)
    assert not marked[:N_OF_TASKS].any()
    assert marked[N_OF_TASKS:].any(dim=1).all()


def test_the_latest_copy_decides():
    marked = copied_targets(torch.tensor([[5, 7, 5, 8, 5, 7], [5, 7, 5, 8, 5, 8]]))
    assert marked.int().tolist() == [[0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 1, 0]]
