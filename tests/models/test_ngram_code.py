"""Codes of n-grams, and an induction head of any order that compares them."""

import pytest
import torch

from induction_heads.data.tokens import after, earlier_matches
from induction_heads.models.ngram_code import code_scores, ngram_code


def random_rows(seed: int = 0):
    return torch.randint(3, (16, 48), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_codes_are_equal_exactly_where_n_tokens_are(n: int):
    tokens = random_rows()
    code = ngram_code(tokens, 3, n)
    same = (code[:, :, None] - code[:, None]).abs().amax(dim=-1) < 1e-5
    expected = earlier_matches(tokens, n=n)
    later = torch.ones(48, 48, dtype=torch.bool).triu()
    full = torch.arange(48) >= n - 1  # Before that, BOS is among the n tokens.
    assert torch.equal((same & ~later)[:, full], expected[:, full])


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_best_key_follows_a_match_of_n_tokens_if_codes_are_normalized(n: int):
    tokens = random_rows(n)
    right = after(earlier_matches(tokens, n=n))
    asked = right.any(dim=-1)
    scores = code_scores(tokens, 3, n)
    assert right.gather(2, scores.argmax(dim=-1, keepdim=True))[..., 0][asked].all()
    torch.testing.assert_close(scores[right], torch.ones(int(right.sum())))


def test_products_of_codes_prefer_other_keys():
    tokens = random_rows()
    right = after(earlier_matches(tokens, n=3))
    best = code_scores(tokens, 3, 3, normalized=False).argmax(dim=-1, keepdim=True)
    assert right.gather(2, best)[..., 0][right.any(dim=-1)].float().mean() < 0.5


def test_no_query_sees_a_later_key_or_the_first():
    scores = code_scores(random_rows(), 3, 2)
    later = torch.ones(48, 48, dtype=torch.bool).triu(1)
    assert scores[:, later].isinf().all()
    assert scores[:, :, 0].isinf().all()


@pytest.mark.parametrize(("n", "ratio"), [(0, 0.3), (2, 0.5), (2, 0.0)])
def test_codes_that_are_not_unique_are_refused(n: int, ratio: float):
    with pytest.raises(ValueError, match="ratio"):
        ngram_code(random_rows(), 3, n, ratio)
