"""States moved between rows, sets of heads without those of another kind, and their controls."""

import pytest
import torch

from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.task_vectors import (
    effects_of_values,
    exclusive_heads,
    indirect_effects,
    last_mixed,
    patched_logits,
    same_layer_heads,
)
from induction_heads.models.loading import load_model

ROWS = repeated_tokens(64, 8, batch=3, seed=0)[:, :-2]
SOURCE = repeated_tokens(64, 9, batch=3, seed=1)[:, :-1]


@pytest.fixture(scope="module")
def toy():
    return load_model("toy-2l")


def test_a_state_at_the_end_of_the_model_brings_all_logits_of_its_row(toy):
    moved = patched_logits(toy, ROWS, SOURCE, "blocks.1.hook_resid_post")
    assert torch.allclose(moved, toy(SOURCE)[:, -1], atol=1e-4)


def test_a_row_patched_with_itself_does_not_change(toy):
    for name in ("blocks.0.hook_resid_pre", "blocks.1.hook_resid_pre"):
        assert torch.allclose(patched_logits(toy, ROWS, ROWS, name), toy(ROWS)[:, -1], atol=1e-4)


def test_a_state_in_front_of_a_layer_leaves_the_rest_of_the_row(toy):
    moved = patched_logits(toy, ROWS, SOURCE, "blocks.1.hook_resid_pre")
    assert not torch.allclose(moved, toy(SOURCE)[:, -1], atol=0.1)
    assert not torch.allclose(moved, toy(ROWS)[:, -1], atol=0.1)


@pytest.mark.usefixtures("as_for_a_reader")
def test_as_many_source_rows_as_rows_are_needed(toy):
    with pytest.raises(ValueError, match="3 rows and 2 source rows"):
        patched_logits(toy, ROWS, SOURCE[:2], "blocks.1.hook_resid_pre")


def test_effects_of_one_value_for_all_rows_are_those_of_the_same_value_for_each(toy):
    answers = torch.tensor([1, 2, 3])
    prompts = SOURCE[:, : ROWS.shape[1]]
    means = last_mixed(toy, prompts).mean(dim=1, keepdim=True)
    each = effects_of_values(toy, means.expand(-1, 3, -1, -1), ROWS, answers)
    assert torch.allclose(each, indirect_effects(toy, prompts, ROWS, answers), atol=1e-6)


def test_exclusive_sets_of_two_kinds_share_no_head():
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, 4, 8, generator=generator)
    for n_heads in (1, 3, 8):
        sets = exclusive_heads(first, second, n_heads), exclusive_heads(second, first, n_heads)
        assert [len(heads) for heads in sets] == [n_heads, n_heads]
        assert not set(sets[0]) & set(sets[1])


@pytest.mark.usefixtures("as_for_a_reader")
def test_scores_of_other_shapes_and_too_many_heads_are_refused():
    with pytest.raises(ValueError, match=r"\[2, 3\] and \[3, 2\]"):
        exclusive_heads(torch.zeros(2, 3), torch.zeros(3, 2), 1)
    with pytest.raises(ValueError, match="n_heads=4: choose between 1 and 3"):
        exclusive_heads(torch.zeros(2, 3), torch.zeros(2, 3), 4)


def test_random_heads_are_of_the_same_layers_and_not_the_same():
    heads = [(1, 0), (1, 5), (3, 2)]
    for seed in range(5):
        drawn = same_layer_heads(heads, 8, seed=seed)
        assert sorted(layer for layer, _ in drawn) == [1, 1, 3]
        assert not set(drawn) & set(heads)
    assert same_layer_heads([(0, 0), (0, 1), (0, 2)], 4) == [(0, 3)]
