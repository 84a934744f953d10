"""Rows to train toys on: each kind has what its words say, and nothing else."""

from collections import Counter

import pytest
import torch

from induction_heads.data.repeats import repeat_statistics
from induction_heads.data.toy_rows import (
    CONTEXTS,
    D_VOCAB,
    DATA_KINDS,
    bursty_tokens,
    fixed_period_rows,
    noisy,
    one_copy_rows,
    random_rows,
    reordered_rows,
    ring_rows,
    tiled_rows,
    zipf_tokens,
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", DATA_KINDS)
def test_a_kind_gives_rows_of_its_shape_from_the_generator_alone(name):
    data = DATA_KINDS[name]
    rows = data.sample(generator())
    assert rows.shape == (data.batch, data.n_pos)
    assert rows.min() >= 0
    assert rows.max() < D_VOCAB
    torch.manual_seed(123)
    assert rows.equal(data.sample(generator()))
    assert not rows.equal(data.sample(generator(1)))
    assert data.words.strip()


@pytest.mark.parametrize("n_pos", CONTEXTS)
def test_contexts_keep_the_rows_or_the_tokens_of_a_step(n_pos):
    assert DATA_KINDS[f"context-{n_pos}-rows"].batch == 32
    tokens = DATA_KINDS[f"context-{n_pos}-tokens"]
    assert abs(tokens.batch * tokens.n_pos - 1024) <= n_pos / 2


def test_frequencies_follow_the_rank():
    counts = zipf_tokens(8, 100, exponent=1.0, batch=800, seed=1).flatten().bincount(minlength=8)
    wanted = 1 / torch.arange(1, 9)
    assert torch.allclose(counts / counts.sum(), wanted / wanted.sum(), atol=0.01)


def test_exponent_zero_makes_all_tokens_alike():
    counts = zipf_tokens(8, 100, exponent=0.0, batch=400, seed=1).flatten().bincount(minlength=8)
    assert torch.allclose(counts / counts.sum(), torch.full((8,), 1 / 8), atol=0.01)


def test_a_negative_exponent_is_refused():
    with pytest.raises(ValueError, match="exponent=-1"):
        zipf_tokens(8, 4, exponent=-1)


def test_bursty_rows_have_few_tokens_each_and_differ_from_row_to_row():
    rows = bursty_tokens(64, 40, few=5, batch=20, seed=2).tolist()
    assert all(len(set(row)) <= 5 for row in rows)
    assert len({token for row in rows for token in row}) > 40


def test_bursty_rows_with_too_many_tokens_are_refused():
    with pytest.raises(ValueError, match="9 distinct tokens"):
        bursty_tokens(8, 4, few=9)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_rows_is_tiled(share):
    rows = tiled_rows(generator(), batch=32, share=share)
    by_row = [repeat_statistics(row[None])["usable"] > 0.3 for row in rows]
    assert sum(by_row) == 32 * share
    assert by_row == sorted(by_row, reverse=True)


def test_noise_replaces_its_share_of_the_tokens():
    clean = tiled_rows(generator(), batch=400)
    spoilt = noisy(clean, 0.2, generator(1))
    assert (clean != spoilt).float().mean().item() == pytest.approx(0.2 * 63 / 64, abs=0.01)
    assert tiled_rows(generator(), noise=0.0).equal(tiled_rows(generator()))


def test_blocks_of_frequent_tokens_repeat_in_order():
    assert repeat_statistics(tiled_rows(generator(), exponent=1.0, batch=100))["usable"] > 0.3


def test_one_copy_is_one_copy():
    for row in one_copy_rows(generator()).tolist():
        assert max(Counter(row).values()) == 2


def test_shuffled_copies_hold_the_same_tokens_in_another_order():
    rows = reordered_rows(generator())
    found = repeat_statistics(rows)
    assert found["repeated"] > 0.6
    assert found["usable"] < 0.12
    for row in rows.tolist():
        period = next(p for p in range(4, 17) if set(row[:p]) == set(row))
        copies = [row[start : start + period] for start in range(0, 33 - period, period)]
        assert all(sorted(copy) == sorted(copies[0]) for copy in copies)


def test_mirrored_copies_turn_around():
    rows = reordered_rows(generator(), mirrored=True)
    for row in rows.tolist():
        period = len(set(row))
        assert row[period : 2 * period] == row[:period][::-1][: 32 - period]
    assert repeat_statistics(rows)["usable"] < 0.02


@pytest.mark.parametrize("period", [7, 10])
def test_a_fixed_period_has_one_distance(period):
    rows = fixed_period_rows(generator(), period=period)
    assert repeat_statistics(rows)["one_distance"] == 1.0
    assert rows[:, period:].equal(rows[:, :-period])


@pytest.mark.parametrize("shared", [False, True])
def test_a_ring_goes_on_unless_it_jumps(shared):
    rows = ring_rows(generator(), shared=shared, jumps=0.0)
    assert rows[:, 8:].equal(rows[:, :-8])
    assert all(len(set(row)) == 8 for row in rows.tolist())
    jumping = ring_rows(generator(), shared=shared, jumps=0.5)
    assert not jumping[:, 8:].equal(jumping[:, :-8])


def test_shared_rings_are_known_by_heart_and_own_rings_are_not():
    many = [
        torch.cat([ring_rows(generator(seed), shared=shared) for seed in range(8)])
        for shared in (True, False)
    ]
    shared, own = map(repeat_statistics, many)
    assert shared["by_heart"] > 0.75
    assert own["by_heart"] < 0.1
    for name in ("repeated", "usable"):
        assert shared[name] == pytest.approx(own[name], abs=0.02)


def test_random_rows_repeat_by_chance_only():
    assert repeat_statistics(random_rows(generator(), batch=400))["usable"] < 0.01
