"""Pairs of rows that differ in one token, for activation patching."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.tokens import bos_token, make_repeated_tokens

CHANGES = {
    "key": "the earlier copy of the query's token",
    "answer": "the token after that copy, which the model should predict",
    "query": "the last token, which becomes another token of the block",
    "before the query": "the token before the query",
    "before the key": "the token before the earlier copy of the query's token",
    "three before the query": "the token three places before the query",
}
"""Which one token `one_token_changed` changes."""


class RowPair(NamedTuple):
    """Clean and corrupted rows, and for each row the right token and a wrong one."""

    clean: Int[Tensor, "batch pos"]
    corrupted: Int[Tensor, "batch pos"]
    right: Int[Tensor, " batch"]
    wrong: Int[Tensor, " batch"]


def one_token_changed(
    model: Any, changed: str, *, period: int = 12, batch: int = 32, seed: int = 0
) -> RowPair:
    """Repeated tokens up to the middle of the second copy, and the same with one token changed.

    `changed` is one of `CHANGES`. The last token of a row is the query, the right token is the one
    after its earlier copy. The new token does not occur in the row, except for "query": there it is
    the block's token at index 1, and the wrong token is the one after it, as for all changes but
    "answer", where it is the new token. Rows are drawn as by `make_repeated_tokens`, with its
    errors; raises ValueError for an unknown change or a period below 8.

    >>> from types import SimpleNamespace
    >>> model = SimpleNamespace(config=SimpleNamespace(d_vocab=20, n_ctx=32, bos_token=None))
    >>> pair = one_token_changed(model, "key", period=8, batch=1)
    >>> (pair.clean != pair.corrupted).nonzero().tolist(), pair.clean.shape
    ([[0, 4]], torch.Size([1, 13]))
    >>> pair.right.item() == pair.clean[0, 5].item()
    True
    """
    if changed not in CHANGES:
        raise ValueError(f"changed={changed!r}: choose one of {', '.join(CHANGES)}.")
    if period < 8:
        raise ValueError(f"period={period}: the blocks must have at least 8 tokens.")
    start = int(bos_token(model) is not None)
    # One token more than the block has: a token that the block does not contain.
    drawn = make_repeated_tokens(model, period + 1, batch, seed)
    block, new = drawn[:, start : start + period], drawn[:, start + period]
    middle = period // 2
    clean = torch.cat([drawn[:, :start], block, block[:, : middle + 1]], dim=1)
    key, query = start + middle, start + period + middle
    corrupted, right, wrong = clean.clone(), block[:, middle + 1], block[:, 2]
    if changed == "query":
        corrupted[:, query] = block[:, 1]
    else:
        place = {
            "key": key,
            "answer": key + 1,
            "before the query": query - 1,
            "before the key": key - 1,
            "three before the query": query - 3,
        }[changed]
        corrupted[:, place] = new
    return RowPair(clean, corrupted, right, new if changed == "answer" else wrong)
