"""Token sequences with known statistics: repeats, controls that never repeat, and Markov chains.

Every function takes a seed or a generator. None uses PyTorch's global seed.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.token_ranks import token_ranks

Sampler = Callable[[torch.Generator], Int[Tensor, "batch pos"]]
"""Draws one batch of token ids from a generator."""


def seeded(seed: int | torch.Generator) -> torch.Generator:
    """A generator seeded with `seed`, or `seed` itself if it is a generator."""
    return seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)


def distinct_tokens(
    d_vocab: int,
    length: int,
    batch: int,
    seed: int | torch.Generator = 0,
    exclude: tuple[int, ...] = (),
) -> Int[Tensor, "batch pos"]:
    """Rows of `length` tokens drawn without replacement, so that no row repeats a token.

    Ids in `exclude` (a BOS token, for example) are never drawn. Raises ValueError if too few ids
    are left.

    >>> rows = distinct_tokens(d_vocab=5, length=3, batch=2, exclude=(0,))
    >>> rows.shape
    torch.Size([2, 3])
    >>> [len(set(row)) for row in rows.tolist()]
    [3, 3]
    >>> 0 in rows
    False
    """
    is_allowed = torch.ones(d_vocab, dtype=torch.bool)
    is_allowed[[token for token in set(exclude) if 0 <= token < d_vocab]] = False
    allowed = is_allowed.nonzero().flatten()
    if not 1 <= length <= len(allowed):
        raise ValueError(
            f"Asked for {length} distinct tokens, but {len(allowed)} ids are available. Ask for "
            f"between 1 and {len(allowed)}."
        )
    drawn = torch.rand(batch, len(allowed), generator=seeded(seed))
    return allowed[_lowest(drawn, length)]


def _lowest(values: Float[Tensor, "batch id"], length: int) -> Int[Tensor, "batch place"]:
    """`values.argsort(dim=-1)[:, :length]`, without sorting a large vocabulary.

    Of equal values the lower id comes first. A few more than `length` are taken, because a tie may
    lie on the border.
    """
    few = min(length + 16, values.shape[1])
    places = values.topk(few, largest=False, sorted=False).indices.sort(dim=-1).values
    order = values.gather(1, places).argsort(dim=-1, stable=True)
    return places.gather(1, order)[:, :length]


def repeated_tokens(
    d_vocab: int,
    period: int,
    *,
    batch: int = 8,
    repeats: int = 2,
    gap: int = 0,
    bos_token: int | None = None,
    exclude: tuple[int, ...] = (),
    seed: int | torch.Generator = 0,
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + gap + block + …` with a block of `period` distinct random tokens.

    The tokens of each gap are drawn anew and never occur in the block. Without a gap the length is
    `period * repeats`, plus one with a BOS token. A gap moves the copies apart, so that a head with
    a fixed offset does not look like an induction head at every gap. Neither the BOS token nor ids
    in `exclude` are drawn. Raises ValueError for no copy, a negative gap, or a vocabulary that is
    too small.

    >>> rows = repeated_tokens(d_vocab=9, period=3, batch=2)
    >>> rows.shape
    torch.Size([2, 6])
    >>> torch.equal(rows[:, :3], rows[:, 3:])
    True
    >>> repeated_tokens(d_vocab=9, period=3, batch=2, gap=1, bos_token=0).shape
    torch.Size([2, 8])
    """
    if repeats < 1 or gap < 0:
        raise ValueError(f"repeats={repeats} and gap={gap}: use repeats ≥ 1 and gap ≥ 0.")
    generator = seeded(seed)
    exclude = (*exclude, *(() if bos_token is None else (bos_token,)))
    drawn = distinct_tokens(d_vocab, period + gap * (repeats - 1), batch, generator, exclude)
    block, fillers = drawn[:, :period], drawn[:, period:]
    pieces = [block]
    for copy in range(repeats - 1):
        pieces += [fillers[:, copy * gap : (copy + 1) * gap], block]
    return with_bos(torch.cat(pieces, dim=1), bos_token)


def bos_token(model: Any) -> int | None:
    """The id this model expects before every sequence, or None if it was trained without one.

    Takes an `AttentionOnly` or a `TransformerBridge`. The config of a model from `load_model` has
    this id. For any other bridge it is the token that `to_tokens` prepends to a text.

    >>> from types import SimpleNamespace
    >>> print(bos_token(SimpleNamespace(config=SimpleNamespace(bos_token=0))))
    0
    """
    config = _config(model)
    if hasattr(config, "bos_token"):
        return config.bos_token
    tokenizer = getattr(model, "tokenizer", None)
    return tokenizer.bos_token_id if tokenizer and config.default_prepend_bos else None


def _config(model: Any) -> Any:
    return model.cfg if hasattr(model, "cfg") else model.config


def not_drawn(model: Any) -> tuple[int, ...]:
    """The ids that random tokens for this model leave out: BOS, those without a text, the extremes.

    The vocabulary of a model is often larger than that of its tokenizer, for speed. The embeddings
    of the other ids were never trained. `load_model` stores these ids as `without_text` in the
    config; without a tokenizer there are none.

    The extremes are the most and the least common ids, as in Olsson et al. 2022: what is outside
    `DRAWN` of `data/token_ranks.py`, which gives the reason. Where ranks are not known (the toys,
    which see all ids alike) nothing more is left out; `drawn_in_words` says which it is.

    >>> from types import SimpleNamespace
    >>> not_drawn(SimpleNamespace(config=SimpleNamespace(bos_token=3, d_vocab=9)))
    (3,)
    """
    config = _config(model)
    bos, ranks = bos_token(model), token_ranks(model)
    left_out: set[int] = set(getattr(config, "without_text", ()))
    if ranks is not None:
        left_out |= set(range(config.d_vocab)).difference(ranks.between())
    return tuple(sorted(left_out if bos is None else left_out | {bos}))


def make_repeated_tokens(
    model: Any, period: int = 16, batch: int = 8, seed: int = 0
) -> Int[Tensor, "batch pos"]:
    """`[BOS] + block + block` for this model, or `block + block` if it was trained without a BOS.

    Each row has a different block of `period` distinct random tokens, without the most and the
    least common ids if it is known which those are, and without ids that the tokenizer does not
    have (`not_drawn`). Raises ValueError if two copies do not fit in the model's context or in what
    a query can see of it, or if the vocabulary is too small.

    >>> from types import SimpleNamespace
    >>> config = SimpleNamespace(d_vocab=9, n_ctx=8, bos_token=0)
    >>> tokens = make_repeated_tokens(SimpleNamespace(config=config), period=3, batch=2)
    >>> tokens.shape
    torch.Size([2, 7])
    >>> torch.equal(tokens[:, 1:4], tokens[:, 4:])
    True
    """
    config = _config(model)
    bos = bos_token(model)
    n_pos = 2 * period + (bos is not None)
    if n_pos > visible_positions(config):
        raise ValueError(
            f"Two copies of period={period} make {n_pos} tokens; this model has {_view(config)}. "
            "Use a shorter period."
        )
    return repeated_tokens(
        config.d_vocab,
        period,
        batch=batch,
        bos_token=bos,
        exclude=not_drawn(model),
        seed=seed,
    )


def prefix_match_rows(
    d_vocab: int,
    length: int,
    *,
    longest: int = 4,
    last_differs: bool = False,
    gap: int = 20,
    batch: int = 8,
    bos_token: int | None = None,
    exclude: tuple[int, ...] = (),
    seed: int | torch.Generator = 0,
) -> Int[Tensor, "batch pos"]:
    """`[BOS] p4 p3 p2 A B + gap + q4 q3 q2 A`, in which only the last `length` tokens repeat.

    The row ends after the second A. For length 1 only A occurs twice, for 2 also the token before
    it, and so on up to `longest`; for 0, the control, nothing does. With `last_differs`, a second
    control, the tokens before A repeat and A itself does not. All other tokens are distinct, and B
    is at position `longest`, one later with a BOS token. With the same seed, rows of different
    `length` differ only in the tokens that start or stop matching. Raises ValueError for a length
    outside 0 … `longest`, a gap below 1, or a vocabulary that is too small.

    >>> [prefix_match_rows(64, n, longest=2, gap=1, batch=1).tolist() for n in (0, 1, 2)]
    [[[12, 35, 43, 27, 2, 57]], [[12, 35, 43, 27, 2, 35]], [[12, 35, 43, 27, 12, 35]]]
    """
    if not 0 <= length <= longest or longest < 1 or gap < 1:
        raise ValueError(
            f"Got {length=}, {longest=} and {gap=}. Use a length from 0 to `longest`, which is at "
            "least 1, and a gap of at least 1."
        )
    exclude = (*exclude, *(() if bos_token is None else (bos_token,)))
    rows = distinct_tokens(d_vocab, 2 * longest + 1 + gap, batch, seed, exclude)
    end = rows.shape[1]
    for back in range(int(last_differs), length):
        rows[:, end - 1 - back] = rows[:, longest - 1 - back]
    return with_bos(rows, bos_token)


def visible_positions(config: Any) -> int:
    """The length of the longest row in which every query sees the first token.

    `config` is that of a model. This is its context, or its attention window if that is shorter.
    """
    return min(config.n_ctx, getattr(config, "attention_window", None) or config.n_ctx)


def _view(config: Any) -> str:
    if visible_positions(config) < config.n_ctx:
        return f"an attention window of {config.attention_window}"
    return f"a context of {config.n_ctx}"


def with_bos(tokens: Int[Tensor, "batch pos"], bos_token: int | None) -> Int[Tensor, "batch pos2"]:
    """The rows with the BOS token prepended, or unchanged if it is None.

    >>> with_bos(torch.tensor([[3, 4]]), 0).tolist()
    [[0, 3, 4]]
    """
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

    Blocks are consecutive pieces of `source`. Their length is drawn once for each row, uniformly
    between the two `periods`. Raises ValueError if a row of `source` is too short.

    >>> source = torch.arange(1, 7).reshape(1, 6)
    >>> generator = torch.Generator().manual_seed(0)
    >>> tiled_blocks(source, 9, generator, periods=(2, 2), copies=3).tolist()
    [[1, 2, 1, 2, 1, 2, 3, 4, 3]]
    """
    shortest, longest = periods
    periods_drawn = torch.randint(shortest, longest + 1, (len(source), 1), generator=generator)
    position = torch.arange(n_pos)
    place = position // (copies * periods_drawn) * periods_drawn + position % periods_drawn
    if place.max() >= source.shape[1]:
        raise ValueError(
            f"A source of {source.shape[1]} tokens is too short: filling {n_pos} positions takes "
            f"{int(place.max()) + 1}. Use a longer source or shorter periods."
        )
    return source.gather(1, place)


def markov_table(
    d_vocab: int, *, successors: int = 4, uniform: float = 0.5, seed: int = 0
) -> Float[Tensor, "token successor"]:
    """A fixed bigram table: each token has a few Zipf-weighted successors, mixed with uniform.

    Row `a` is the distribution of the token after `a`. The chosen successors share weight
    `1 - uniform` in proportion 1, 1/2, 1/3, …; the rest is spread over the whole vocabulary. Raises
    ValueError for more successors than tokens, or a `uniform` outside [0, 1].

    >>> table = markov_table(6, successors=2, uniform=0.0)
    >>> table.shape
    torch.Size([6, 6])
    >>> [round(p, 2) for p in sorted(table[0].tolist())]
    [0.0, 0.0, 0.0, 0.0, 0.33, 0.67]
    """
    if not (1 <= successors <= d_vocab and 0 <= uniform <= 1):
        raise ValueError(
            f"Got {successors=} and {uniform=} for {d_vocab=}. Use between 1 and {d_vocab} "
            "successors and a share from 0 to 1."
        )
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
    """Rows of a Markov chain: the first token is uniform, each next one is drawn from `table`.

    >>> always_next = torch.eye(4).roll(1, dims=1)
    >>> row = markov_tokens(always_next, 5, batch=1)[0]
    >>> ((row[1:] - row[:-1]) % 4).tolist()
    [1, 1, 1, 1]
    """
    generator = seeded(seed)
    columns = [torch.randint(len(table), (batch,), generator=generator)]
    while len(columns) < n_pos:
        rows = table[columns[-1]]
        columns.append(torch.multinomial(rows, 1, generator=generator).squeeze(1))
    return torch.stack(columns, dim=1)


def bigram_entropy(table: Float[Tensor, "token successor"]) -> float:
    """The entropy rate of the chain in nats per token: the lowest loss that bigrams alone allow.

    >>> round(bigram_entropy(torch.full((4, 4), 0.25)), 4)  # log 4
    1.3863
    >>> abs(round(bigram_entropy(torch.eye(4).roll(1, dims=1)), 4))
    0.0
    """
    stationary = torch.full((len(table),), 1 / len(table))
    for _ in range(200):
        stationary = stationary @ table
    return -(stationary[:, None] * table * table.clamp_min(1e-12).log()).sum().item()


def follows_earlier_copy(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """True where the key comes right after an earlier copy of the query's token.

    These are the keys that an induction head attends to (Olsson et al. 2022, with the correction of
    2022-09-20: the tokens that follow the earlier copies, not those that precede them).

    >>> follows_earlier_copy(torch.tensor([[5, 7, 5]])).int().tolist()  # The last 5 attends to 7.
    [[[0, 0, 0], [0, 0, 0], [0, 1, 0]]]
    """
    mask = torch.zeros(*tokens.shape, tokens.shape[-1], dtype=torch.bool)
    mask[:, :, 1:] = tokens[:, :, None] == tokens[:, None, :-1]
    return mask.tril()


def repeats_earlier_token(tokens: Int[Tensor, "batch pos"]) -> Bool[Tensor, "batch query key"]:
    """True where the key holds an earlier copy of the query's token (duplicate-token heads)."""
    return (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)


def earlier_matches(
    tokens: Int[Tensor, "batch pos"],
    *,
    n: int = 1,
    similar: Bool[Tensor, "id id"] | None = None,
) -> Bool[Tensor, "batch query key"]:
    """True where the `n` tokens that end at an earlier key match those that end at the query.

    Two tokens match if they are equal, or if `similar[query id, key id]` is true. Raises ValueError
    for n below 1.
    """
    if n < 1:
        raise ValueError(f"Got n={n}. A match is at least one token long.")
    if similar is None:
        same = tokens[:, :, None] == tokens[:, None, :]
    else:
        same = similar[tokens[:, :, None], tokens[:, None, :]]
    matched = same.clone()
    for back in range(1, n):
        matched[:, back:, back:] &= same[:, :-back, :-back]
        matched[:, :, :back] = False
    return matched.tril(diagonal=-1)


def after(matched: Bool[Tensor, "batch query key"]) -> Bool[Tensor, "batch query key"]:
    """True at the keys right after the marked ones."""
    moved = torch.zeros_like(matched)
    moved[:, :, 1:] = matched[:, :, :-1]
    return moved


def before(matched: Bool[Tensor, "batch query key"]) -> Bool[Tensor, "batch query key"]:
    """True at the keys right before the marked ones."""
    moved = torch.zeros_like(matched)
    moved[:, :, :-1] = matched[:, :, 1:]
    return moved
