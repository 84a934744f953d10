"""Codes of n-grams."""

import pytest
import torch

from induction_heads.data.tokens import earlier_matches
from induction_heads.models.ngram_code import ngram_code


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


@pytest.mark.parametrize(("n", "ratio"), [(0, 0.3), (2, 0.5), (2, 0.0)])
def test_codes_that_are_not_unique_are_refused(n: int, ratio: float):
    with pytest.raises(ValueError, match="ratio"):
        ngram_code(random_rows(), 3, n, ratio)
