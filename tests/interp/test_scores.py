"""Scores are what their names say, stay in [0, 1], keep leading axes and refuse malformed input."""

import pytest
import torch
from drawn import reference_function
from hypothesis import given, settings
from hypothesis import strategies as st

from induction_heads.data.tokens import follows_earlier_copy, repeated_tokens
from induction_heads.interp.scores import (
    attention_on,
    current_token_score,
    duplicate_matching_score,
    duplicate_token_score,
    first_token_score,
    induction_score,
    prefix_matching_per_entry,
    prefix_matching_score,
    previous_token_score,
    uniform_first_token_score,
    uniform_induction_score,
)

PLAIN = {
    "previous_token": previous_token_score,
    "first_token": first_token_score,
    "current_token": current_token_score,
    "induction": lambda pattern: induction_score(pattern, 4),
    "duplicate_token": lambda pattern: duplicate_token_score(pattern, 4),
}


def looking_at(key_of_query, n_pos: int = 8) -> torch.Tensor:
    """A pattern in which every query gives all its attention to one key."""
    pattern = torch.zeros(n_pos, n_pos)
    for query in range(n_pos):
        pattern[query, key_of_query(query)] = 1
    return pattern


PERFECT = {
    "previous_token": looking_at(lambda query: max(query - 1, 0)),
    "first_token": looking_at(lambda query: 0),
    "current_token": looking_at(lambda query: query),
    "induction": looking_at(lambda query: query - 3 if query >= 4 else 0),
    "duplicate_token": looking_at(lambda query: query - 4 if query >= 4 else 0),
}


def random_pattern(*shape: int, seed: int = 0) -> torch.Tensor:
    n_pos = shape[-1]
    scores = 3 * torch.randn(*shape, n_pos, generator=torch.Generator().manual_seed(seed))
    hidden = torch.ones(n_pos, n_pos, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, -torch.inf).softmax(dim=-1)


@pytest.mark.parametrize("name", PLAIN)
def test_a_perfect_head_scores_one(name: str):
    assert PLAIN[name](PERFECT[name]).item() == 1


@pytest.mark.parametrize(
    "name", ["previous_token", "current_token", "induction", "duplicate_token"]
)
def test_the_other_perfect_heads_score_less_than_half(name: str):
    assert all(PLAIN[name](PERFECT[other]) < 0.5 for other in PERFECT if other != name)


@pytest.mark.parametrize("name", PLAIN)
@given(seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_scores_keep_leading_axes_and_stay_between_zero_and_one(name: str, seed: int):
    patterns = random_pattern(2, 3, 8, seed=seed)
    scores = PLAIN[name](patterns)
    assert scores.shape == (2, 3)
    assert ((scores >= 0) & (scores <= 1)).all()
    torch.testing.assert_close(scores[1, 2], PLAIN[name](patterns[1, 2]))


@pytest.mark.parametrize("name", PLAIN)
def test_scores_do_not_change_their_input(name: str):
    pattern = random_pattern(8)
    before = pattern.clone()
    PLAIN[name](pattern)
    assert torch.equal(before, pattern)


@pytest.mark.usefixtures("as_for_a_reader")
@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        (torch.zeros(8, 6), "as many keys as queries"),
        (torch.ones(8, 8, dtype=torch.long), "attention weights are floats"),
        (torch.zeros(8, 8), "does not sum to 1"),
        (torch.ones(1, 1), "no earlier token"),
    ],
)
def test_malformed_patterns_are_refused(name: str, pattern: torch.Tensor, says: str):
    with pytest.raises(ValueError, match=says):
        PLAIN[name](pattern)


@pytest.mark.parametrize("period", [0, 5, 8])
def test_a_period_that_does_not_fit_twice_is_refused(period: int):
    with pytest.raises(ValueError, match=f"period={period} does not fit twice in a pattern of 8"):
        induction_score(random_pattern(8), period)


@pytest.mark.parametrize("bos", [None, 0])
def test_prefix_matching_equals_the_stripe_on_two_copies(bos: int | None):
    tokens = repeated_tokens(20, 5, batch=4, bos_token=bos)
    patterns = random_pattern(4, 3, tokens.shape[1])
    torch.testing.assert_close(
        prefix_matching_score(patterns, tokens), induction_score(patterns, 5)
    )
    torch.testing.assert_close(
        duplicate_matching_score(patterns, tokens), duplicate_token_score(patterns, 5)
    )


def test_prefix_matching_equals_a_loop_on_any_tokens():
    tokens = torch.randint(0, 6, (3, 12), generator=torch.Generator().manual_seed(0))
    pattern = random_pattern(3, 2, 12)
    for b in range(3):
        for h in range(2):
            sums = []
            for q in range(12):
                keys = [k + 1 for k in range(q) if tokens[b, k] == tokens[b, q]]
                if keys:
                    sums.append(sum(pattern[b, h, q, k].item() for k in keys))
            expected = sum(sums) / len(sums)
            assert prefix_matching_score(pattern, tokens)[b, h].item() == pytest.approx(
                expected, abs=1e-5
            )


def test_tokens_that_never_repeat_have_no_prefix_matching_score():
    with pytest.raises(ValueError, match="Do its tokens repeat"):
        prefix_matching_score(random_pattern(1, 8), torch.arange(8)[None])


def test_attention_on_a_single_entry_is_that_entry():
    pattern, mask = random_pattern(1, 8), torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 5, 2] = True
    assert attention_on(pattern, mask).item() == pattern[0, 5, 2].item()


def even_pattern(n_pos: int) -> torch.Tensor:
    return torch.ones(n_pos, n_pos).tril() / torch.arange(1, n_pos + 1)[:, None]


@pytest.mark.parametrize("n_pos", [2, 3, 17])
def test_an_even_head_has_the_uniform_first_token_score(n_pos: int):
    even = even_pattern(n_pos)
    for score in (first_token_score, previous_token_score, current_token_score):
        assert score(even).item() == pytest.approx(uniform_first_token_score(n_pos), abs=1e-6)


@pytest.mark.parametrize("period", [1, 2, 9])
def test_an_even_head_has_the_uniform_induction_score(period: int):
    score = induction_score(even_pattern(2 * period), period).item()
    assert score == pytest.approx(uniform_induction_score(period), abs=1e-6)


@pytest.mark.parametrize("has_bos", [False, True])
@pytest.mark.parametrize("period", [2, 5])
def test_stray_entries_are_the_diagonal_without_the_induction_targets(period: int, has_bos: bool):
    tokens = repeated_tokens(20, period, batch=1, bos_token=0 if has_bos else None)
    n_pos = tokens.shape[1]
    diagonal = {(q, q - period + 1) for q in range(period - 1, n_pos)}
    targets = {
        (q, k)
        for q in range(n_pos)
        for k in range(1, q + 1)
        if tokens[0, k - 1] == tokens[0, q] and k - 1 < q
    }
    stray = reference_function("stray_stripe_entries")(period, has_bos)
    assert sorted(diagonal - targets) == stray


def test_the_two_means_of_prefix_matching_agree_on_two_copies_and_differ_on_four():
    for copies, share in ((2, 1), (4, 1 / 2)):
        tokens = repeated_tokens(20, 5, batch=4, repeats=copies, bos_token=0)
        pattern = random_pattern(4, tokens.shape[1], seed=copies)
        over_queries = prefix_matching_score(pattern, tokens)
        per_entry = prefix_matching_per_entry(pattern, tokens)
        torch.testing.assert_close(per_entry, share * over_queries)


def test_the_mean_per_entry_is_that_of_the_marked_entries():
    tokens = torch.tensor([[7, 1, 7, 2, 7, 1], [3, 3, 4, 5, 4, 5]])  # Unlike numbers of copies.
    pattern = random_pattern(2, 6)
    for row in range(2):
        ids = tokens[row].tolist()
        entries = [
            pattern[row, query, key + 1].item()
            for query in range(6)
            for key in range(query)
            if ids[key] == ids[query]
        ]
        found = prefix_matching_per_entry(pattern, tokens)[row].item()
        assert found == pytest.approx(sum(entries) / len(entries), abs=1e-6)


def test_on_four_copies_a_head_without_a_mistake_scores_one_or_a_half():
    tokens = repeated_tokens(20, 5, batch=2, repeats=4)
    marked = follows_earlier_copy(tokens)
    for latest_only in (False, True):  # It shares its attention, or gives all to the latest copy.
        keys = marked.int().cumsum(-1) == marked.sum(-1, keepdim=True) if latest_only else marked
        pattern = (marked & keys).float() + torch.eye(20) * (~marked.any(-1, keepdim=True))
        pattern /= pattern.sum(dim=-1, keepdim=True)
        assert prefix_matching_score(pattern, tokens).tolist() == pytest.approx([1, 1])
        assert prefix_matching_per_entry(pattern, tokens).tolist() == pytest.approx([0.5, 0.5])


def test_one_row_without_a_repeat_is_enough_to_refuse_a_batch():
    tokens = torch.tensor([[1, 2, 1, 3], [1, 2, 3, 4]])
    with pytest.raises(ValueError, match="no key is marked"):
        prefix_matching_score(random_pattern(2, 4), tokens)


def test_weights_below_zero_and_rows_that_do_not_sum_to_one_are_refused_by_every_score():
    even = torch.ones(8, 8).tril()
    even /= even.sum(dim=-1, keepdim=True)
    negative, short, missing = even.clone(), even.clone(), even.clone()
    negative[5, :2] += torch.tensor([0.5, -0.5])
    short[3] /= 2
    missing[2, 1] = torch.nan
    for name, score in PLAIN.items():
        assert score(even) >= 0, name
        for pattern, says in (
            (negative, "holds the weight -0.333"),
            (short, "Row 3 of this pattern does not sum to 1"),
            (missing, "holds the weight nan"),
            (even.expand(0, 8, 8), "holds no weights"),
        ):
            with pytest.raises(ValueError, match=says):
                score(pattern)


def test_patterns_rounded_to_half_precision_are_accepted():
    pattern = torch.randn(4, 129, 129).masked_fill(torch.ones(129, 129).triu(1).bool(), -torch.inf)
    for dtype in (torch.bfloat16, torch.float16):
        assert previous_token_score(pattern.softmax(dim=-1).to(dtype)).shape == (4,)
