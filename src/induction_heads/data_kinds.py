"""The kinds of training data of the family `data`: which question each group of them asks."""

from functools import partial

from induction_heads.training_data import (
    D_VOCAB,
    Data,
    bursty_tokens,
    fixed_period_rows,
    reordered_rows,
    ring_rows,
    tiled_rows,
    zipf_tokens,
)

_TILED = "a block of 4 to 16 distinct tokens three times, then a fresh block three times"
CONTEXTS = (16, 24, 48, 64, 96)
"""Tokens in a row of the kinds that vary the context; `tiled` has 32."""


def _noise(percent: int) -> Data:
    words = f"as tiled, then {percent} % of the tokens replaced by random ones"
    return Data(32, 32, partial(tiled_rows, noise=percent / 100), words)


def _share(percent: int) -> Data:
    words = f"{percent} % of the rows as tiled, the others independent random tokens"
    return Data(32, 32, partial(tiled_rows, share=percent / 100), words)


def _zipf(tenths: int, tiled: bool) -> Data:
    exponent, law = tenths / 10, f"drawn in proportion to 1 / rank^{tenths / 10:g}"
    if tiled:
        words = f"as tiled, with the tokens of a block {law}"
        return Data(32, 32, partial(tiled_rows, exponent=exponent), words)
    return Data(
        32, 32, lambda generator: zipf_tokens(D_VOCAB, 32, exponent=exponent, batch=32,
                                              seed=generator),
        f"independent tokens {law}",
    )  # fmt: skip


def _bursty(few: int) -> Data:
    return Data(
        32, 32, lambda generator: bursty_tokens(D_VOCAB, 32, few=few, batch=32, seed=generator),
        f"independent draws from {few} tokens that each row chooses for itself",
    )  # fmt: skip


def _fixed(period: int) -> Data:
    words = f"a block of {period} distinct tokens over and over, in every row"
    return Data(32, 32, partial(fixed_period_rows, period=period), words)


def _ring(size: int, shared: bool) -> Data:
    whose = "the same for all rows" if shared else "each row has its own"
    words = f"a walk round a ring of {size} tokens ({whose}), with a jump one time in five"
    return Data(32, 32, partial(ring_rows, size=size, shared=shared), words)


def _context(n_pos: int, batch: int) -> Data:
    periods = (n_pos // 8, n_pos // 2)
    words = f"as tiled, {batch} rows of {n_pos} tokens, blocks of {periods[0]} to {periods[1]}"
    return Data(n_pos, batch, partial(tiled_rows, n_pos=n_pos, batch=batch, periods=periods), words)


KINDS: dict[str, Data] = {
    **{f"noise-{percent:02}": _noise(percent) for percent in (5, 15, 20, 30)},
    **{f"rows-{percent}": _share(percent) for percent in (10, 25, 50)},
    **{f"zipf-{tenths:02}": _zipf(tenths, False) for tenths in (5, 10, 15)},
    **{f"zipf-{tenths:02}-tiled": _zipf(tenths, True) for tenths in (0, 5, 10, 15)},
    **{f"bursty-{few}": _bursty(few) for few in (4, 8, 16)},
    "shuffled": Data(
        32, 32, reordered_rows,
        "a block of 4 to 16 distinct tokens over and over, each time in another order",
    ),
    "mirrored": Data(
        32, 32, partial(reordered_rows, mirrored=True),
        "a block of 4 to 16 distinct tokens over and over, every second time backwards",
    ),
    **{f"fixed-{period}": _fixed(period) for period in (7, 10, 13)},
    **{f"own-ring-{size}": _ring(size, False) for size in (6, 8)},
    **{f"shared-ring-{size}": _ring(size, True) for size in (4, 8, 16)},
    **{f"context-{n_pos}-rows": _context(n_pos, 32) for n_pos in CONTEXTS},
    **{f"context-{n_pos}-tokens": _context(n_pos, round(1024 / n_pos)) for n_pos in CONTEXTS},
}  # fmt: skip
"""Name → training data. `-rows` keeps 32 rows a step, `-tokens` about 1,024 tokens a step."""

STEPS = {
    "noise-15": 1200, "rows-50": 1200, "zipf-15-tiled": 1200, "context-48-tokens": 800,
    "context-64-rows": 800, "context-64-tokens": 1200,
}  # fmt: skip
"""Kinds that train for longer than 400 steps, to see whether 400 were only too few."""
