"""Token sequences have the statistics they promise, and leave the global seed alone."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from induction_heads.data.tokens import (
    bigram_entropy,
    bos_token,
    distinct_tokens,
    follows_earlier_copy,
    make_repeated_tokens,
    markov_table,
    markov_tokens,
    prefix_match_rows,
    repeated_tokens,
    repeats_earlier_token,
    tiled_blocks,
)


@given(
    period=st.integers(1, 12),
    repeats=st.integers(1, 4),
    gap=st.integers(0, 5),
    bos=st.sampled_from([None, 0, 7]),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, deadline=None)
def test_repeated_tokens_are_copies_of_one_block(period, repeats, gap, bos, seed):
    tokens = repeated_tokens(
        40, period, batch=3, repeats=repeats, gap=gap, bos_token=bos, seed=seed
    )
    start = bos is not None
    assert tokens.shape == (3, start + period * repeats + gap * (repeats - 1))
    if bos is not None:
        assert (tokens[:, 0] == bos).all()
        assert not (tokens[:, 1:] == bos).any()
    block = tokens[:, start : start + period]
    for copy in range(repeats):
        first = start + copy * (period + gap)
        assert torch.equal(tokens[:, first : first + period], block)
    for row in tokens[:, start:].tolist():
        assert len(set(row)) == period + gap * (repeats - 1)


def test_the_same_seed_gives_the_same_tokens_and_another_seed_others():
    first, again, other = (repeated_tokens(64, 8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_global_seed_is_left_alone():
    before = torch.random.get_rng_state()
    repeated_tokens(64, 8)
    markov_tokens(markov_table(16), 20)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_block_longer_than_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="Asked for 9 distinct tokens, but 8 ids are available"):
        distinct_tokens(8, 9, 1)


def test_negative_gap_is_refused():
    with pytest.raises(ValueError, match="gap=-1"):
        repeated_tokens(8, 2, gap=-1)


def test_tiled_blocks_repeat_three_times_and_then_move_on():
    source = torch.arange(40).expand(2, 40)
    rows = tiled_blocks(source, 20, torch.Generator().manual_seed(0), periods=(4, 4), copies=3)
    expected = [0, 1, 2, 3] * 3 + [4, 5, 6, 7] * 2
    assert rows.tolist() == [expected, expected]


def test_a_source_that_runs_out_is_refused():
    with pytest.raises(ValueError, match="too short"):
        tiled_blocks(
            torch.zeros(1, 4, dtype=torch.long), 20, torch.Generator(), periods=(4, 4), copies=2
        )


def test_markov_rows_sum_to_one_and_have_zipf_peaks():
    table = markov_table(32, successors=4, uniform=0.5)
    torch.testing.assert_close(table.sum(dim=1), torch.ones(32))
    peaks = (table - 0.5 / 32).sort(dim=1, descending=True).values
    expected = 0.5 * torch.tensor([1, 1 / 2, 1 / 3, 1 / 4]) / (25 / 12)
    torch.testing.assert_close(peaks[:, :4], expected.expand(32, 4), atol=1e-5, rtol=1e-4)


def test_markov_tokens_follow_the_table():
    table = markov_table(8, successors=2, uniform=0.2)
    tokens = markov_tokens(table, 4000, batch=4, seed=3)
    counts = torch.zeros(8, 8)
    for row in tokens:
        counts.index_put_((row[:-1], row[1:]), torch.ones(1), accumulate=True)
    frequencies = counts / counts.sum(dim=1, keepdim=True)
    assert (frequencies - table).abs().max() < 0.05


def test_entropy_of_a_uniform_table_is_log_of_its_size():
    assert bigram_entropy(torch.full((8, 8), 1 / 8)) == pytest.approx(2.0794415, abs=1e-5)


def test_targets_of_a_small_sequence_by_hand():
    tokens = torch.tensor([[5, 6, 7, 5, 6]])
    follows, repeats = follows_earlier_copy(tokens)[0], repeats_earlier_token(tokens)[0]
    assert follows.nonzero().tolist() == [[3, 1], [4, 2]]
    assert repeats.nonzero().tolist() == [[3, 0], [4, 1]]


@pytest.mark.parametrize("bos", [None, 0])
@pytest.mark.parametrize("last_differs", [False, True])
def test_only_the_last_tokens_of_a_prefix_row_repeat(bos: int | None, last_differs: bool):
    options = {"longest": 3, "gap": 5, "batch": 4, "bos_token": bos, "seed": 2}
    control = prefix_match_rows(20, 0, **options)
    start = int(bos is not None)
    assert all(len(set(row)) == len(row) for row in control.tolist())
    for length in range(4):
        rows = prefix_match_rows(20, length, last_differs=last_differs, **options)
        assert rows.shape == (4, start + 3 + 1 + 5 + 3)
        assert torch.equal(rows[:, : start + 9], control[:, : start + 9])
        for back in range(3):  # B is at start + 3, so A is right before it.
            repeats = rows[:, -1 - back] == rows[:, start + 2 - back]
            matches = back < length and not (last_differs and back == 0)
            assert repeats.tolist() == [matches] * 4
            if not matches:
                assert torch.equal(rows[:, -1 - back], control[:, -1 - back])


@pytest.mark.parametrize(
    "wrong", [{"length": 4}, {"length": -1}, {"length": 0, "gap": 0}, {"length": 0, "longest": 0}]
)
def test_prefix_rows_that_make_no_sense_are_refused(wrong: dict):
    with pytest.raises(ValueError, match="Use a length from 0 to `longest`"):
        prefix_match_rows(30, **({"longest": 3} | wrong))


def model_with(**config) -> SimpleNamespace:
    return SimpleNamespace(config=SimpleNamespace(**config))


def test_tokens_for_a_model_start_with_its_bos():
    model = model_with(d_vocab=30, n_ctx=21, bos_token=4)
    tokens = make_repeated_tokens(model, period=10, batch=2)
    assert tokens.shape == (2, 21)
    assert (tokens[:, 0] == 4).all()
    assert torch.equal(tokens[:, 1:11], tokens[:, 11:])


def test_two_copies_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="make 20 tokens; this model has a context of 19"):
        make_repeated_tokens(model_with(d_vocab=30, n_ctx=19, bos_token=None), period=10)


def test_a_foreign_model_is_asked_for_its_tokenizers_bos():
    config = SimpleNamespace(default_prepend_bos=True)
    tokenizer = SimpleNamespace(bos_token_id=11)
    assert bos_token(SimpleNamespace(cfg=config, tokenizer=tokenizer)) == 11
    config.default_prepend_bos = False
    assert bos_token(SimpleNamespace(cfg=config, tokenizer=tokenizer)) is None


def test_entropy_weighs_each_token_by_how_often_it_comes():
    # Five steps in six are spent on token 0: 0.1 leaves it as often as 0.5 leaves token 1.
    table = torch.tensor([[0.9, 0.1], [0.5, 0.5]])
    rows = [-(0.9 * math.log(0.9) + 0.1 * math.log(0.1)), math.log(2)]
    assert bigram_entropy(table) == pytest.approx(5 / 6 * rows[0] + 1 / 6 * rows[1], abs=1e-5)
