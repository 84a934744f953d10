"""Rows of several lags, and which head compares the rules."""

import math

import pytest
import torch

from induction_heads.data.matching_rows import lag_rows, lag_table
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.attention import causal_softmax
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


@pytest.fixture
def patterns_by(monkeypatch):
    """Lets a test say where the only head looks, instead of training it."""

    def set_to(key_score):
        def patterns(_, tokens):
            scores = key_score(tokens)[:, None].expand(-1, tokens.shape[1], -1)
            return causal_softmax(scores)[None, :, None]

        monkeypatch.setattr(lag_runs, "attention_patterns", patterns)

    return set_to


def test_the_controls_tell_heads_for_tokens_and_for_confirmations_apart(patterns_by):
    model, rows = load_model("matching/lags"), lag_runs.held_out_lag_rows((1, 2), batch=400)
    best = lag_table().argmax(dim=-1)
    often = 1.0 * torch.bincount(best, minlength=len(best))  # Of how many tokens it is the next.

    def ratios():
        ask = lag_runs.attention_to_confirmations
        return [
            float(ask(model, rows, **control))
            for control in ({}, {"of_other_rows": True}, {"within_tokens": True})
        ]

    patterns_by(lambda tokens: often[tokens])  # Prefers tokens that often follow, everywhere.
    plain, _, within = ratios()
    assert plain > 1.5
    assert within == pytest.approx(1, abs=0.05)
    confirms = lambda tokens: lag_runs.followed_lags(tokens, (1, 2)).sum(dim=0) == 1  # noqa: E731
    patterns_by(lambda tokens: torch.cat([torch.zeros(len(tokens), 2), 2.0 * confirms(tokens)], 1))
    plain, other, within = ratios()  # Prefers confirmations: e² times as much.
    assert plain == pytest.approx(within, rel=0.05)
    assert plain > 6
    assert other == pytest.approx(1, abs=0.1)


def test_a_head_that_looks_by_position_keeps_its_ratio_with_the_marks_of_other_rows(patterns_by):
    model, rows = load_model("matching/lags"), lag_runs.held_out_lag_rows((1, 2), batch=400)
    tokens, share = torch.cat(list(rows.values())), torch.zeros(32)
    share[2:] = (lag_runs.followed_lags(tokens, (1, 2)).sum(dim=0) == 1).float().mean(dim=0)
    patterns_by(lambda tokens: (60 * share).expand(len(tokens), -1))
    plain, other = (
        float(lag_runs.attention_to_confirmations(model, rows, of_other_rows=of_other))
        for of_other in (False, True)
    )
    assert plain > 1.05
    assert other == pytest.approx(plain, rel=0.05)


def test_within_tokens_by_plain_loops():
    model, lags = load_model("matching/lags"), (1, 2)
    rows = lag_runs.held_out_lag_rows(lags, batch=6)
    tokens = torch.cat(list(rows.values()))
    best, sums = lag_table().argmax(dim=-1).tolist(), {}
    pattern = attention_patterns(model, tokens)[1, :, 0]
    for row, ids in enumerate(tokens.tolist()):
        for query in range(16, 32):
            for key in range(2, query - 2):
                n_rules = sum(ids[key] == best[ids[key - lag]] for lag in lags)
                if n_rules < 2:
                    total = sums.setdefault((ids[key], n_rules), [0.0, 0])
                    total[0] += float(pattern[row, query, key])
                    total[1] += 1
    shared = [i for i in {i for i, _ in sums} if (i, 0) in sums and (i, 1) in sums]
    weights = {i: sums[i, 1][1] for i in shared}
    confirmed = sum(sums[i, 1][0] for i in shared)
    other = sum(weights[i] * sums[i, 0][0] / sums[i, 0][1] for i in shared)
    found = lag_runs.attention_to_confirmations(model, rows, within_tokens=True)[1, 0]
    assert found == pytest.approx(confirmed / other, rel=1e-4)


def test_rulers_by_plain_loops():
    table, lags = lag_table().tolist(), (1, 2)
    losses = {"Bayes": 0.0, "never chooses": 0.0}
    rows = torch.cat(list(lag_runs.held_out_lag_rows(lags).values())).tolist()
    for ids in rows:
        belief = [0.5, 0.5]
        for at in range(2, 32):
            chances = [table[ids[at - lag]][ids[at]] for lag in lags]
            if at >= 16:
                losses["Bayes"] -= math.log(belief[0] * chances[0] + belief[1] * chances[1])
                losses["never chooses"] -= math.log(sum(chances) / 2)
            belief = [b * c for b, c in zip(belief, chances, strict=True)]
            belief = [b / sum(belief) for b in belief]
    for name, found in lag_runs.ruler_losses(lags).items():
        assert found == pytest.approx(losses[name] / (16 * len(rows)), rel=1e-4)
    assert lag_runs.ruler_losses(lags)["Bayes"] < lag_runs.ruler_losses(lags)["never chooses"] - 0.3


def test_the_shipped_model_is_the_first_run_and_has_its_numbers():
    stored = stored_experiment("lags")["runs"]["2-lags-2-layers-s0"]
    model, rows = load_model("matching/lags"), lag_runs.held_out_lag_rows((1, 2))
    found = {
        "evidence": lag_runs.evidence_by_head(model, rows),
        "confirmations": lag_runs.attention_to_confirmations(model, rows),
        "other_rows": lag_runs.attention_to_confirmations(model, rows, of_other_rows=True),
        "within_tokens": lag_runs.attention_to_confirmations(model, rows, within_tokens=True),
    }
    for name, value in found.items():
        torch.testing.assert_close(value, torch.tensor(stored[name]), atol=0.03, rtol=0.03)


def test_a_model_that_does_not_choose_has_no_shares():
    result = lag_runs.lag_result("3-lags-1-layer-s0", Settings(steps=3, learning_rate=1e-2))
    assert result["evidence"] is None
    assert result["other_rows"][0] == pytest.approx([1.0] * 4, abs=0.05)


def test_the_mean_pattern_of_one_row_is_its_own_and_of_two_is_not():
    model = load_model("matching/lags")
    rows = lag_runs.held_out_lag_rows((1, 2), batch=1)
    tokens = torch.cat(list(rows.values()))
    clean = per_token_loss(model(tokens), tokens)[:, -16:].mean().item()
    found = lag_runs.losses_with_mean_patterns(model, rows)
    assert found["rows of the same lag"] == pytest.approx([clean, clean], abs=1e-4)
    assert abs(found["all rows"][1] - clean) > 0.02


def test_rows_that_are_equal_have_the_mean_pattern_of_each():
    model, (row, *_) = load_model("matching/lags"), lag_runs.held_out_lag_rows((1, 2), 1).values()
    clean = per_token_loss(model(row), row)[:, -16:].mean().item()
    found = lag_runs.losses_with_mean_patterns(model, {1: row, 2: row})
    assert found["all rows"] == pytest.approx([clean, clean], abs=1e-4)
