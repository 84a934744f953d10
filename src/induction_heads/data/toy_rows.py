"""Rows to train a toy on, kind by kind: what repeats, how often, at which distance, in which order.

Every function draws one batch [batch pos] from the generator that it is given and keeps nothing, so
the same generator state gives the same rows. Token ids run from 0 to `D_VOCAB` − 1.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.tokens import distinct_tokens, seeded, tiled_blocks
from induction_heads.training import Sampler

D_VOCAB = 64
"""The toys have so many token ids."""

Rows = Int[Tensor, "batch pos"]


@dataclass(frozen=True)
class Data:
    """What a model is trained on: rows of `n_pos` tokens from `sample`, and the same in words."""

    n_pos: int
    batch: int
    sample: Sampler
    words: str


def zipf_tokens(
    d_vocab: int,
    n_pos: int,
    *,
    exponent: float,
    batch: int = 8,
    seed: int | torch.Generator = 0,
) -> Rows:
    """Rows of independent tokens, the token of rank r with probability in proportion to 1 / r^s.

    s is the `exponent`: 0 makes all tokens equally frequent, 1 is Zipf's law. Token id r − 1 has
    rank r in every row. Raises ValueError for a negative exponent.

    >>> zipf_tokens(64, 32, exponent=1.0, batch=2).shape
    torch.Size([2, 32])
    """
    if exponent < 0:
        raise ValueError(f"exponent={exponent}: use 0 (all alike) or more (few are frequent).")
    weights = torch.arange(1, d_vocab + 1) ** -float(exponent)
    drawn = torch.multinomial(weights, batch * n_pos, replacement=True, generator=seeded(seed))
    return drawn.reshape(batch, n_pos)


def bursty_tokens(
    d_vocab: int, n_pos: int, *, few: int, batch: int = 8, seed: int | torch.Generator = 0
) -> Rows:
    """Rows of independent draws from `few` tokens, which each row chooses for itself.

    A token that is rare over all rows comes back within its row; its order tells nothing. Raises
    ValueError unless 1 ≤ few ≤ d_vocab.
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
    """Rows of a block three times, then the next block three times; some rows and tokens spoilt.

    A block has between `periods` tokens: distinct ones, or with an `exponent` those of
    `zipf_tokens`. The first `share` of the rows are like that, the others independent random
    tokens. Then a share `noise` of all tokens is replaced by random ones.
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
    """The rows with each token replaced, with probability `share`, by a random one."""
    flipped = torch.rand(tokens.shape, generator=generator) < share
    return torch.where(flipped, torch.randint(D_VOCAB, tokens.shape, generator=generator), tokens)


def random_rows(generator: torch.Generator, *, n_pos: int = 32, batch: int = 32) -> Rows:
    """Independent random tokens: what repeats, repeats by chance."""
    return torch.randint(D_VOCAB, (batch, n_pos), generator=generator)


def one_copy_rows(generator: torch.Generator) -> Rows:
    """A block of 8 to 16 distinct tokens, once more the same, then tokens that do not repeat."""
    source = distinct_tokens(D_VOCAB, 32, 32, generator)
    period = torch.randint(8, 17, (32, 1), generator=generator)
    position = torch.arange(32)
    return source.gather(1, torch.where(position < period, position, position - period))


def reordered_rows(generator: torch.Generator, *, mirrored: bool = False) -> Rows:
    """A block of 4 to 16 distinct tokens over and over, each time in another order.

    `mirrored` turns every second copy around instead: A B C C B A A B C.
    """
    source = distinct_tokens(D_VOCAB, 16, 32, generator)
    period = torch.randint(4, 17, (32, 1), generator=generator)
    position = torch.arange(32)
    copy, place = position // period, position % period
    if mirrored:
        return source.gather(1, torch.where(copy % 2 == 0, place, period - 1 - place))
    lots = torch.rand(32, 8, 16, generator=generator)
    lots = lots.masked_fill(torch.arange(16) >= period[:, :, None], 2.0)
    orders = lots.argsort(dim=-1)  # [batch copy place]: the places of one copy in random order
    return source.gather(1, orders[torch.arange(32)[:, None], copy, place])


def fixed_period_rows(generator: torch.Generator, *, period: int = 10) -> Rows:
    """A block of `period` distinct tokens over and over: the distance to its copy never varies."""
    source = distinct_tokens(D_VOCAB, period, 32, generator)
    return source[:, torch.arange(32) % period]


def ring_rows(
    generator: torch.Generator, *, size: int = 8, shared: bool = False, jumps: float = 0.2
) -> Rows:
    """Each row walks round a ring of a few tokens and, one time in five, jumps to any of them.

    Each row draws a ring of its own. `shared` rings are consecutive ids, 0 to `size` − 1, and so
    on, the same for all rows: then what follows a token can be learned by heart.
    """
    if shared:
        all_rings = torch.arange(D_VOCAB).reshape(-1, size)
        rings = all_rings[torch.randint(len(all_rings), (32,), generator=generator)]
    else:
        rings = distinct_tokens(D_VOCAB, size, 32, generator)
    jumped = torch.rand(32, 32, generator=generator) < jumps
    anywhere = torch.randint(size, (32, 32), generator=generator)
    return rings.gather(1, torch.where(jumped, anywhere, 1).cumsum(dim=1) % size)
