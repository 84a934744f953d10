"""Rows of several lags, and which head compares the rules."""

import pytest
import torch

from induction_heads.data.matching_rows import lag_rows, lag_table
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.loading import load_model
from induction_heads.training import lag_runs
from induction_heads.training.experiments import stored_experiment
from induction_heads.training.run import Settings


def test_each_row_follows_one_of_three_lags():
    best = lag_table().argmax(dim=-1)
    rows = lag_runs.held_out_lag_rows((1, 2, 3), batch=200)
    for lag, tokens in rows.items():
        for other in (1, 2, 3):
            share = (tokens[:, 3:] == best[tokens[:, 3 - other : -other]]).float().mean()
            assert (share > 0.65) if other == lag else (share < 0.2)
    mixed = lag_rows(torch.Generator().manual_seed(0), lags=(1, 2, 3), batch=300)
    follows = lag_runs.followed_lags(mixed, (1, 2, 3)).float().mean(dim=-1)
    assert sorted(follows.argmax(dim=0).unique().tolist()) == [0, 1, 2]


def test_marks_by_plain_loops():
    tokens = lag_rows(torch.Generator().manual_seed(1), lags=(1, 3), batch=4, n_pos=9)
    best, marks = lag_table().argmax(dim=-1).tolist(), lag_runs.followed_lags(tokens, (1, 3))
    for index, lag in enumerate((1, 3)):
        for row, ids in enumerate(tokens.tolist()):
            follows = [ids[at] == best[ids[at - lag]] for at in range(3, 9)]
            assert marks[index, row].tolist() == follows


def test_attention_to_confirmations_by_plain_loops():
    model = load_model("matching/lags")
    rows = lag_runs.held_out_lag_rows((1, 2), batch=3)
    tokens = torch.cat(list(rows.values())).tolist()
    best, sums = lag_table().argmax(dim=-1).tolist(), {True: [0.0, 0], False: [0.0, 0]}
    pattern = attention_patterns(model, torch.tensor(tokens))[1, :, 0]
    for row, ids in enumerate(tokens):
        for query in range(16, 32):
            for key in range(2, query - 2):
                n_rules = sum(ids[key] == best[ids[key - lag]] for lag in (1, 2))
                if n_rules < 2:
                    sums[n_rules == 1][0] += float(pattern[row, query, key])
                    sums[n_rules == 1][1] += 1
    ratio = (sums[True][0] / sums[True][1]) / (sums[False][0] / sums[False][1])
    assert lag_runs.attention_to_confirmations(model, rows)[1, 0] == pytest.approx(ratio, rel=1e-4)


def test_the_shipped_model_is_the_first_run_and_has_its_numbers():
    stored = stored_experiment("lags")["runs"]["2-lags-2-layers-s0"]
    model, rows = load_model("matching/lags"), lag_runs.held_out_lag_rows((1, 2))
    found = {
        "evidence": lag_runs.evidence_by_head(model, rows),
        "confirmations": lag_runs.attention_to_confirmations(model, rows),
        "control": lag_runs.attention_to_confirmations(model, rows, of_other_rows=True),
    }
    for name, value in found.items():
        torch.testing.assert_close(value, torch.tensor(stored[name]), atol=0.03, rtol=0.03)


def test_a_model_that_does_not_choose_has_no_shares():
    result = lag_runs.lag_result("3-lags-1-layer-s0", Settings(steps=3, learning_rate=1e-2))
    assert result["evidence"] is None
    assert result["control"][0] == pytest.approx([1.0] * 4, abs=0.05)
