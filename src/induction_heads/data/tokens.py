"""Token sequences with known statistics: repeats, controls that never repeat, and Markov chains.

Every function takes a seed or a generator of its own. None touches PyTorch's global seed.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def seeded(seed: int | torch.Generator) -> torch.Generator:
    """A generator started from `seed`, or the generator that was passed in."""
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)


def distinct_tokens(
    d_vocab: int,
    length: int,
    batch: int,
    seed: int | torch.Generator = 0,
    exclude: tuple[int, ...] = (),
) -> Int[Tensor, "batch pos"]:
    """Rows of `length` tokens drawn without replacement, so that no row repeats a token.

    Ids in `exclude` (a BOS token, say) are never drawn. Raises ValueError if too few ids are left.
    """
    allowed = torch.tensor([token for token in range(d_vocab) if token not in exclude])
    if not 1 <= length <= len(allowed):
        raise ValueError(
            f"{length} distinct tokens were asked for and {len(allowed)} ids can be drawn. "
            "Ask for between 1 and that many."
        )
    order = torch.rand(batch, len(allowed), generator=seeded(seed)).argsort(dim=-1)
    return allowed[order[:, :length]]


def repeated_tokens(
    d_vocab: int,
    period: int,
    *,
    batch: int = 8,
    repeats: int = 2,
    gap: int = 0,
    bos_token: int | None = None,
    seed: int | torch.Generator = 0,
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + gap + block + …` with a block of `period` distinct random tokens.

    Tokens in a gap are drawn fresh for each gap and never occur in the block. Without a gap the
    length is `period * repeats`, plus one with a BOS token. The gap moves the second copy away from
    the first, so that a head with a fixed offset cannot pass for an induction head at every gap.
    Raises ValueError for no copy, a negative gap, or a vocabulary that is too small.

    >>> repeated_tokens(d_vocab=9, period=3, batch=1).shape
    torch.Size([1, 6])
    """
    if repeats < 1 or gap < 0:
        raise ValueError(f"repeats={repeats} and gap={gap}: use repeats ≥ 1 and gap ≥ 0.")
    generator = seeded(seed)
    exclude = () if bos_token is None else (bos_token,)
    drawn = distinct_tokens(d_vocab, period + gap * (repeats - 1), batch, generator, exclude)
    block, fillers = drawn[:, :period], drawn[:, period:]
    pieces = [block]
    for copy in range(repeats - 1):
        pieces += [fillers[:, copy * gap : (copy + 1) * gap], block]
    return with_bos(torch.cat(pieces, dim=1), bos_token)


def bos_token(model: Any) -> int | None:
    """The id this model expects before every sequence, or None if it was trained without one.

    Takes an `AttentionOnly` or a `TransformerBridge`. A model that `load_model` loaded carries the
    answer in its config. Any other bridge is asked what its `to_tokens` puts in front of a text.
    """
    config = model.cfg if hasattr(model, "cfg") else model.config
    if hasattr(config, "bos_token"):
        return config.bos_token
    tokenizer = getattr(model, "tokenizer", None)
    return tokenizer.bos_token_id if tokenizer and config.default_prepend_bos else None


def make_repeated_tokens(
    model: Any, period: int = 16, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + block` for this model, or `block + block` if it was trained without a BOS.

    Each row has its own block of `period` distinct random tokens. Raises ValueError if two copies
    do not fit in the model's context or the vocabulary is too small.
    """
    config = model.cfg if hasattr(model, "cfg") else model.config
    bos = bos_token(model)
    n_pos = 2 * period + (bos is not None)
    if n_pos > config.n_ctx:
        raise ValueError(
            f"Two copies of period={period} make {n_pos} tokens; this model has a context of "
            f"{config.n_ctx}. Use a shorter period."
        )
    return repeated_tokens(config.d_vocab, period, batch=batch, bos_token=bos, seed=seed)


def with_bos(tokens: Int[Tensor, "batch pos"], bos_token: int | None) -> Int[Tensor, "batch pos2"]:
    """The same rows with the BOS token in front, or unchanged where there is none."""
    if bos_token is None:
        return tokens
    return torch.cat([torch.full_like(tokens[:, :1], bos_token), tokens], dim=1)


def tiled_blocks(
    source: Int[Tensor, "batch source"],
    n_pos: int,
    generator: torch.Generator,
    *,
    periods: tuple[int, int],
    copies: int,
) -> Int[Tensor, "batch pos"]:
    """Rows that repeat: a block `copies` times, then the next block `copies` times, up to `n_pos`.

    Blocks are cut from `source` one after another. Their length is drawn once a row, uniformly
    between the two `periods`. Raises ValueError if a row of `source` can run out.
    """
    shortest, longest = periods
    periods_drawn = torch.randint(shortest, longest + 1, (len(source), 1), generator=generator)
    position = torch.arange(n_pos)
    place = position // (copies * periods_drawn) * periods_drawn + position % periods_drawn
    if place.max() >= source.shape[1]:
        raise ValueError(
            f"A source of {source.shape[1]} tokens is too short: token {int(place.max())} of it is "
            f"needed to fill {n_pos} positions."
        )
    return source.gather(1, place)


def markov_table(
    d_vocab: int, *, successors: int = 4, uniform: float = 0.5, seed: int = 0
) -> Float[Tensor, "token successor"]:
    """A fixed bigram table: each token has a few Zipf-weighted successors, mixed with uniform.

    Row `a` is the distribution of the token after `a`. The chosen successors share weight
    `1 - uniform` in proportion 1, 1/2, 1/3, …; the rest is spread over the whole vocabulary. Raises
    ValueError for more successors than tokens, or a `uniform` outside [0, 1].
    """
    if not (1 <= successors <= d_vocab and 0 <= uniform <= 1):
        raise ValueError(f"{successors=} of {d_vocab=} and {uniform=} do not make a table.")
    zipf = 1 / torch.arange(1, successors + 1)
    chosen = distinct_tokens(d_vocab, successors, d_vocab, seed)
    peaks = torch.zeros(d_vocab, d_vocab).scatter(
        1, chosen, (zipf / zipf.sum()).expand(d_vocab, -1)
    )
    return (1 - uniform) * peaks + uniform / d_vocab


def markov_tokens(
    table: Float[Tensor, "token successor"],
    n_pos: int,
    *,
    batch: int = 8,
    seed: int | torch.Generator = 0,
) -> Int[Tensor, "batch pos"]:
    """Rows of a Markov chain: the first token is uniform, each next one is drawn from `table`."""
    generator = seeded(seed)
    columns = [torch.randint(len(table), (batch,), generator=generator)]
    while len(columns) < n_pos:
        rows = table[columns[-1]]
        columns.append(torch.multinomial(rows, 1, generator=generator).squeeze(1))
    return torch.stack(columns, dim=1)


def bigram_entropy(table: Float[Tensor, "token successor"]) -> float:
    """Nats per token of the chain in the long run: the best loss that bigrams alone allow."""
    stationary = torch.full((len(table),), 1 / len(table))
    for _ in range(200):
        stationary = stationary @ table
    return -(stationary[:, None] * table * table.clamp_min(1e-12).log()).sum().item()


def follows_earlier_copy(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """True where the key comes right after an earlier copy of the query's token.

    These are the places an induction head attends to (Olsson et al. 2022, with the correction of
    2022-09-20: the tokens that follow the earlier copies, not those that precede them).
    """
    mask = torch.zeros(*tokens.shape, tokens.shape[-1], dtype=torch.bool)
    mask[:, :, 1:] = tokens[:, :, None] == tokens[:, None, :-1]
    return mask.tril()


def repeats_earlier_token(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """True where the key holds an earlier copy of the query's token (duplicate-token heads)."""
    return (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)
