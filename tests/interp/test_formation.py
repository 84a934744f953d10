"""When a curve changes, and what goes with the induction score."""

import math

import numpy as np
import pytest

from induction_heads.interp.formation import (
    best,
    formation_step,
    induction_formation_correlates,
    log_slopes,
    phase_change_step,
)
from induction_heads.sweeps.stored_results import stored_sweep

BY_HAND = [(10, 4.2), (40, 3.5), (160, 3.3), (640, 2.4), (2560, 2.35)]


def snapshots(best, learning, control):
    return [
        {
            "induction": [[0.0, 0.01], [0.02, score]],
            "in_context_learning": own,
            "control_loss": other,
        }
        for score, own, other in zip(best, learning, control, strict=True)
    ]


def test_slope_is_by_the_logarithm_of_the_step():
    steps, slopes = zip(*log_slopes(BY_HAND), strict=True)
    assert steps == pytest.approx([20, 80, 320, 1280])
    assert slopes == pytest.approx([drop / math.log(4) for drop in (-0.7, -0.2, -0.9, -0.05)])


def test_a_late_fall_beats_a_faster_one_at_the_start():
    assert phase_change_step(BY_HAND) == pytest.approx(math.sqrt(160 * 640))


def test_another_unit_of_time_moves_the_step_by_its_factor():
    tokens = [(1024 * step, loss) for step, loss in BY_HAND]
    assert phase_change_step(tokens) == pytest.approx(1024 * phase_change_step(BY_HAND))


def test_step_0_is_left_out():
    assert phase_change_step([(0, 9.0), *BY_HAND]) == phase_change_step(BY_HAND)


def test_first_of_two_equal_falls_is_taken():
    assert phase_change_step([(1, 3.0), (2, 2.0), (4, 1.0)]) == pytest.approx(math.sqrt(2))


@pytest.mark.parametrize(
    "curve", [[], [(0, 4.0), (5, 3.0)], [(5, 4.0), (5, 3.0)], [(9, 4.0), (5, 3.0)]]
)
def test_a_curve_without_two_later_points_in_order_is_refused(curve):
    with pytest.raises(ValueError, match="two or more above 0"):
        phase_change_step(curve)


def test_correlations_are_those_of_numpy():
    draw = np.random.default_rng(0)
    best, learning, control = draw.uniform(0.1, 1.0, size=(3, 12)).tolist()
    found = induction_formation_correlates(snapshots(best, learning, control))
    assert found == pytest.approx(
        {
            "levels": np.corrcoef(best, learning)[0, 1],
            "changes": np.corrcoef(np.diff(best), np.diff(learning))[0, 1],
            "control": np.corrcoef(np.diff(best), np.diff(control))[0, 1],
        }
    )


def test_two_drifts_agree_as_levels_and_need_not_as_changes():
    best = [0.10, 0.10, 0.20, 0.20, 0.30, 0.30, 0.40]
    learning = [0.0, -0.1, -0.1, -0.2, -0.2, -0.3, -0.3]
    found = induction_formation_correlates(snapshots(best, learning, learning))
    assert found["levels"] < -0.8
    assert found["changes"] > 0.8


def test_what_does_not_vary_has_no_correlation():
    with pytest.raises(ValueError, match="no correlation"):
        induction_formation_correlates(snapshots([0.2] * 4, [0.1, 0.2, 0.1, 0.3], [1, 2, 3, 5]))
    with pytest.raises(ValueError, match="no correlation"):
        induction_formation_correlates([])


def test_changes_tell_the_stored_models_that_formed_from_those_that_did_not():
    changes = {True: [], False: []}
    for variant, record in stored_sweep("replication"):
        if variant.data != "random":
            found = induction_formation_correlates(record["snapshots"])["changes"]
            changes[formation_step(record) is not None].append(found)
    assert max(changes[True]) < -0.4 < min(changes[False])


def test_curves_with_nan_and_records_without_heads_are_refused():
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="The loss at step 40 is"):
            phase_change_step([(10, 4.0), (40, value), (90, 3.0)])
        with pytest.raises(ValueError, match="NaN or infinite"):
            induction_formation_correlates(snapshots([0.1, 0.2, 0.9], [0, value, 1], [3, 2, 1]))
    for heads in ([], [[]], [[0.1], []]):
        with pytest.raises(ValueError, match="There are no heads"):
            best(heads)
