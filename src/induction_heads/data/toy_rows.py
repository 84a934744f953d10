"""Rows to train a toy on, and the kinds of data made of them.

Every function draws one batch [batch pos] from the generator it gets, so the same state of the
generator gives the same rows. Token ids run from 0 to `D_VOCAB` − 1.
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.tokens import (
    Sampler,
    distinct_tokens,
    markov_table,
    markov_tokens,
    seeded,
    tiled_blocks,
)

D_VOCAB = 64
"""The size of the vocabulary of the toys."""

Rows = Int[Tensor, "batch pos"]


def zipf_tokens(
    d_vocab: int,
    n_pos: int,
    *,
    exponent: float,
    batch: int = 8,
    seed: int | torch.Generator = 0,
) -> Rows:
    """Rows of independent tokens whose frequency falls with their rank: P(rank r) ∝ 1 / r^exponent.

    With exponent 0 all tokens are equally frequent; 1 is Zipf's law. Token id r − 1 has rank r in
    every row. Raises ValueError for a negative exponent.

    >>> zipf_tokens(64, 32, exponent=1.0, batch=2).shape
    torch.Size([2, 32])
    """
    if exponent < 0:
        raise ValueError(
            f"exponent={exponent}: use 0 for equal frequencies, or more for a few frequent tokens."
        )
    frequencies = torch.arange(1, d_vocab + 1) ** -float(exponent)
    drawn = torch.multinomial(frequencies, batch * n_pos, replacement=True, generator=seeded(seed))
    return drawn.reshape(batch, n_pos)


def bursty_tokens(
    d_vocab: int, n_pos: int, *, few: int, batch: int = 8, seed: int | torch.Generator = 0
) -> Rows:
    """Rows of independent draws from `few` tokens, chosen anew for each row.

    A token that is rare over all rows is frequent within its row, but the order of tokens carries
    no information. Raises ValueError unless 1 ≤ few ≤ d_vocab.
    """
    generator = seeded(seed)
    chosen = distinct_tokens(d_vocab, few, batch, generator)
    return chosen.gather(1, torch.randint(few, (batch, n_pos), generator=generator))


def tiled_rows(
    generator: torch.Generator,
    *,
    n_pos: int = 32,
    batch: int = 32,
    periods: tuple[int, int] = (4, 16),
    share: float = 1.0,
    noise: float = 0.0,
    exponent: float | None = None,
) -> Rows:
    """Rows of a block three times, then the next block three times, and so on.

    The length of a block lies between the two `periods`. Its tokens are distinct, or drawn by
    `zipf_tokens` if there is an `exponent`. Only the first `share` of the rows are tiled; the
    others are independent random tokens. Finally each token is replaced by a random one with
    probability `noise`.

    >>> rows = tiled_rows(torch.Generator().manual_seed(0), n_pos=9, batch=1, periods=(2, 2))
    >>> a, b, c, d = rows[0, [0, 1, 6, 7]].tolist()
    >>> rows[0].tolist() == [a, b, a, b, a, b, c, d, c]
    True
    """
    if exponent is None:
        source = distinct_tokens(D_VOCAB, min(n_pos, D_VOCAB), batch, generator)
    else:
        source = zipf_tokens(D_VOCAB, n_pos, exponent=exponent, batch=batch, seed=generator)
    rows = tiled_blocks(source, n_pos, generator, periods=periods, copies=3)
    plain = batch - round(share * batch)
    if plain:
        rows[-plain:] = random_rows(generator, n_pos=n_pos, batch=plain)
    return noisy(rows, noise, generator) if noise else rows


def noisy(tokens: Rows, share: float, generator: torch.Generator) -> Rows:
    """The rows with each token replaced by a random one with probability `share`."""
    flipped = torch.rand(tokens.shape, generator=generator) < share
    return torch.where(flipped, torch.randint(D_VOCAB, tokens.shape, generator=generator), tokens)


def tiled_markov_rows(generator: torch.Generator) -> Rows:
    """16 rows of 64: a block of 8 to 32 tokens of a Markov chain three times, then the next block.

    The chain is that of `markov_table`.
    """
    source = markov_tokens(markov_table(D_VOCAB), 64, batch=16, seed=generator)
    return tiled_blocks(source, 64, generator, periods=(8, 32), copies=3)


def random_rows(generator: torch.Generator, *, n_pos: int = 32, batch: int = 32) -> Rows:
    """Independent random tokens, which repeat only by chance.

    >>> random_rows(torch.Generator().manual_seed(0)).shape
    torch.Size([32, 32])
    >>> random_rows(torch.Generator().manual_seed(0), n_pos=5, batch=2).shape
    torch.Size([2, 5])
    """
    return torch.randint(D_VOCAB, (batch, n_pos), generator=generator)


def one_copy_rows(generator: torch.Generator) -> Rows:
    """A block of 8 to 16 distinct tokens, a copy of it, then tokens that do not repeat."""
    source = distinct_tokens(D_VOCAB, 32, 32, generator)
    period = torch.randint(8, 17, (32, 1), generator=generator)
    position = torch.arange(32)
    return source.gather(1, torch.where(position < period, position, position - period))


def reordered_rows(generator: torch.Generator, *, mirrored: bool = False) -> Rows:
    """A block of 4 to 16 distinct tokens over and over, each time in a new random order.

    With `mirrored` every second copy is reversed instead: A B C C B A A B C.
    """
    source = distinct_tokens(D_VOCAB, 16, 32, generator)
    period = torch.randint(4, 17, (32, 1), generator=generator)
    position = torch.arange(32)
    copy, place = position // period, position % period
    if mirrored:
        return source.gather(1, torch.where(copy % 2 == 0, place, period - 1 - place))
    priorities = torch.rand(32, 8, 16, generator=generator)
    priorities = priorities.masked_fill(torch.arange(16) >= period[:, :, None], 2.0)
    orders = priorities.argsort(dim=-1)  # [batch copy place]: the places of a copy, shuffled.
    return source.gather(1, orders[torch.arange(32)[:, None], copy, place])


def fixed_period_rows(generator: torch.Generator, *, period: int = 10) -> Rows:
    """A block of `period` distinct tokens over and over: every copy is `period` positions back."""
    source = distinct_tokens(D_VOCAB, period, 32, generator)
    return source[:, torch.arange(32) % period]


def ring_rows(
    generator: torch.Generator, *, size: int = 8, shared: bool = False, jumps: float = 0.2
) -> Rows:
    """A walk around a ring of `size` tokens that jumps to any of them with probability `jumps`.

    Each row draws a new ring. `shared` rings are runs of consecutive ids, 0 to `size` − 1 and so
    on, the same in all rows, so that the successor of a token can be memorized.
    """
    if shared:
        all_rings = torch.arange(D_VOCAB).reshape(-1, size)
        rings = all_rings[torch.randint(len(all_rings), (32,), generator=generator)]
    else:
        rings = distinct_tokens(D_VOCAB, size, 32, generator)
    jumped = torch.rand(32, 32, generator=generator) < jumps
    anywhere = torch.randint(size, (32, 32), generator=generator)
    return rings.gather(1, torch.where(jumped, anywhere, 1).cumsum(dim=1) % size)


@dataclass(frozen=True)
class DataKind:
    """A kind of training data: `batch` rows of `n_pos` tokens from `sample`, and a description."""

    n_pos: int
    batch: int
    sample: Sampler
    words: str


CONTEXTS = (16, 24, 48, 64, 96)
"""Row lengths of the kinds that vary the context. Rows of `tiled` have 32 tokens."""


def _noise(percent: int) -> DataKind:
    words = f"as tiled, then {percent} % of the tokens replaced by random ones"
    return DataKind(32, 32, partial(tiled_rows, noise=percent / 100), words)


def _share(percent: int) -> DataKind:
    words = f"{percent} % of the rows as tiled, the others independent random tokens"
    return DataKind(32, 32, partial(tiled_rows, share=percent / 100), words)


def _zipf(tenths: int, tiled: bool) -> DataKind:
    exponent, law = tenths / 10, f"drawn in proportion to 1 / rank^{tenths / 10:g}"
    if tiled:
        words = f"as tiled, with the tokens of a block {law}"
        return DataKind(32, 32, partial(tiled_rows, exponent=exponent), words)
    return DataKind(
        32,
        32,
        lambda generator: zipf_tokens(D_VOCAB, 32, exponent=exponent, batch=32, seed=generator),
        f"independent tokens {law}",
    )


def _bursty(few: int) -> DataKind:
    return DataKind(
        32,
        32,
        lambda generator: bursty_tokens(D_VOCAB, 32, few=few, batch=32, seed=generator),
        f"independent draws from {few} tokens that each row chooses for itself",
    )


def _fixed(period: int) -> DataKind:
    words = f"a block of {period} distinct tokens over and over, in every row"
    return DataKind(32, 32, partial(fixed_period_rows, period=period), words)


def _ring(size: int, shared: bool) -> DataKind:
    whose = "the same for all rows" if shared else "each row has its own"
    words = f"a walk round a ring of {size} tokens ({whose}), with a jump one time in five"
    return DataKind(32, 32, partial(ring_rows, size=size, shared=shared), words)


def _context(n_pos: int, batch: int) -> DataKind:
    periods = (n_pos // 8, n_pos // 2)
    words = f"as tiled, {batch} rows of {n_pos} tokens, blocks of {periods[0]} to {periods[1]}"
    return DataKind(
        n_pos, batch, partial(tiled_rows, n_pos=n_pos, batch=batch, periods=periods), words
    )


DATA_KINDS: dict[str, DataKind] = {
    "tiled": DataKind(
        32,
        32,
        tiled_rows,
        "a block of 4 to 16 distinct tokens three times, then a fresh block three times",
    ),
    "noisy": DataKind(
        32,
        32,
        partial(tiled_rows, noise=0.1),
        "as tiled, then one token in ten replaced by a random one",
    ),
    "one-copy": DataKind(
        32,
        32,
        one_copy_rows,
        "a block of 8 to 16 distinct tokens twice, then tokens that do not repeat",
    ),
    "random": DataKind(
        32,
        32,
        random_rows,
        "independent random tokens: the control that teaches nothing",
    ),
    "markov": DataKind(
        64,
        16,
        tiled_markov_rows,
        "a block of 8 to 32 tokens of a Markov chain three times, then the next block three times",
    ),
    **{f"noise-{percent:02}": _noise(percent) for percent in (5, 15, 20, 30)},
    **{f"rows-{percent}": _share(percent) for percent in (10, 25, 50)},
    **{f"zipf-{tenths:02}": _zipf(tenths, False) for tenths in (5, 10, 15)},
    **{f"zipf-{tenths:02}-tiled": _zipf(tenths, True) for tenths in (0, 5, 10, 15)},
    **{f"bursty-{few}": _bursty(few) for few in (4, 8, 16)},
    "shuffled": DataKind(
        32,
        32,
        reordered_rows,
        "a block of 4 to 16 distinct tokens over and over, each time in another order",
    ),
    "mirrored": DataKind(
        32,
        32,
        partial(reordered_rows, mirrored=True),
        "a block of 4 to 16 distinct tokens over and over, every second time backwards",
    ),
    **{f"fixed-{period}": _fixed(period) for period in (7, 10, 13)},
    **{f"own-ring-{size}": _ring(size, False) for size in (6, 8)},
    **{f"shared-ring-{size}": _ring(size, True) for size in (4, 8, 16)},
    **{f"context-{n_pos}-rows": _context(n_pos, 32) for n_pos in CONTEXTS},
    **{f"context-{n_pos}-tokens": _context(n_pos, round(1024 / n_pos)) for n_pos in CONTEXTS},
}
"""Name → training data. `-rows` has 32 rows a step, `-tokens` about 1,024 tokens a step."""
