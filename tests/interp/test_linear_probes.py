"""Linear probes: the ridge minimum, ranks with ties, and a label erased."""

import math

import pytest
import torch
import torch.nn.functional as F

from induction_heads.interp.linear_probes import (
    best_feature_auc,
    detection_auc,
    probe_auc,
    ridge_probe,
    without_flag,
)

GENERATOR = torch.Generator().manual_seed(0)
STREAM = torch.randn(60, 5, generator=GENERATOR, dtype=torch.float64) + 2
LABELS = torch.randint(3, (60,), generator=GENERATOR)


def objective(weights: torch.Tensor, bias: torch.Tensor, penalty: float) -> float:
    total = 0.0
    for x, label in zip(STREAM, LABELS.tolist(), strict=True):
        for which in range(3):
            total += float(x @ weights[:, which] + bias[which] - float(which == label)) ** 2
    return total / len(STREAM) + penalty * float(weights.square().sum())


def test_no_step_away_from_the_ridge_probe_lowers_the_objective():
    weights, bias = ridge_probe(STREAM, LABELS, 3, penalty=0.2)
    lowest = objective(weights, bias, 0.2)
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        step = 0.01 * torch.randn(5, 3, generator=generator, dtype=torch.float64)
        shift = 0.01 * torch.randn(3, generator=generator, dtype=torch.float64)
        assert objective(weights + step, bias + shift, 0.2) > lowest


def test_a_shifted_stream_changes_the_bias_only():
    weights, bias = ridge_probe(STREAM, LABELS, 3, penalty=0.2)
    moved, other = ridge_probe(STREAM + 7, LABELS, 3, penalty=0.2)
    torch.testing.assert_close(moved, weights)
    torch.testing.assert_close(other, bias - 7 * weights.sum(dim=0))


def test_a_probe_without_a_penalty_is_refused():
    with pytest.raises(ValueError, match="above 0"):
        ridge_probe(STREAM, LABELS, 3, penalty=0.0)


def test_auc_is_the_share_of_pairs_that_are_in_the_right_order():
    activations = torch.randint(4, (60, 2), generator=GENERATOR).float()
    found = detection_auc(activations, LABELS, 4)
    for feature in range(2):
        for label in range(3):
            wins = pairs = 0.0
            for i, j in ((i, j) for i in range(60) for j in range(60)):
                if LABELS[i] == label != LABELS[j]:
                    a, b = activations[i, feature], activations[j, feature]
                    wins += 1.0 if a > b else 0.5 if a == b else 0.0
                    pairs += 1
            assert found[feature, label].item() == pytest.approx(wins / pairs, abs=1e-6)
        assert math.isnan(found[feature, 3])


def test_a_dead_feature_says_nothing_and_a_monotone_map_changes_nothing():
    dead = torch.zeros(60, 1)
    assert detection_auc(dead, LABELS, 3)[0].tolist() == [0.5, 0.5, 0.5]
    activations = torch.rand(60, 3, generator=GENERATOR)
    first, second = (
        detection_auc(activations, LABELS, 3),
        detection_auc(activations.exp(), LABELS, 3),
    )
    torch.testing.assert_close(first, second)


def test_after_erasing_both_groups_have_the_same_mean_and_no_probe_can_tell_them():
    flag = STREAM[:, 0] + STREAM[:, 3] > 4
    edited = without_flag(STREAM, STREAM, flag)
    torch.testing.assert_close(edited[flag].mean(dim=0), edited[~flag].mean(dim=0))
    weights, _ = ridge_probe(edited, flag.long(), 2, penalty=1e-6)
    assert weights.abs().max() < 1e-6
    assert torch.linalg.matrix_rank(STREAM - edited) == 1


def test_erasing_changes_less_than_removing_the_difference_of_the_means():
    mixed = STREAM @ torch.randn(5, 5, generator=GENERATOR, dtype=torch.float64)
    flag = mixed[:, 0] > mixed[:, 0].mean()
    edited = without_flag(mixed, mixed, flag)
    direction = F.normalize(mixed[flag].mean(dim=0) - mixed[~flag].mean(dim=0), dim=0)
    centered = mixed - mixed.mean(dim=0)
    oblique = (mixed - edited).square().sum()
    assert oblique > 0
    # Both edits make the means equal; the plain projection also removes what is not the flag.
    projected = centered - (centered @ direction)[:, None] * direction
    torch.testing.assert_close(
        projected[flag].mean(dim=0), projected[~flag].mean(dim=0), atol=1e-9, rtol=0
    )
    inverse = torch.linalg.inv(centered.T @ centered)

    def cost(change: torch.Tensor) -> float:
        return float(torch.einsum("nx,xy,ny->", change, inverse, change))

    assert cost(mixed - edited) <= cost(centered - projected) + 1e-9


def test_a_flag_that_does_not_vary_is_refused():
    with pytest.raises(ValueError, match="the same on all examples"):
        without_flag(STREAM, STREAM, torch.ones(60, dtype=torch.bool))


def test_the_best_feature_is_chosen_on_one_half_and_measured_on_the_other():
    labels = torch.tensor([0, 0, 1, 1])
    first = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [2.0, 1.0]])  # The second is perfect.
    second = torch.tensor([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])  # Now it is useless.
    assert best_feature_auc((first, labels), (second, labels), 2)[1] == 0.0
    assert best_feature_auc((second, labels), (first, labels), 2)[1] == 0.875


def test_a_probe_is_measured_on_the_examples_that_it_did_not_see():
    x, flag = STREAM.float(), (STREAM[:, 1] > 2).long()
    found = probe_auc((x[:40], flag[:40]), (x[40:], flag[40:]), 2)
    weights, bias = ridge_probe(x[:40], flag[:40], 2, 1e-3)
    outputs = x[40:] @ weights + bias
    expected = [detection_auc(outputs[:, [k]], flag[40:], 2)[0, k].item() for k in (0, 1)]
    assert found.tolist() == expected
    assert found[1] > 0.9
