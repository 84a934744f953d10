"""Rows of tasks in which a head must match or copy something other than single tokens.

Every row function draws one batch [batch pos] from the generator it gets.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens, markov_table

Rows = Int[Tensor, "batch pos"]

N_CONCEPTS, N_FORMS = 16, 4
NGRAM_IDS, NGRAM_TIMES, NGRAM_POSITIONS = 8, 2, 48
LAG_IDS = 16
N_WORDS = 32
GAP = 0
N_ASKED = 16
SWAP_IDS, SWAP_POSITIONS = 2 + 3 * N_ASKED, 49
RING = 64
FARTHEST = 12
"""The largest distance that `ring_probe_rows` can ask for."""

PROBED_KEY = 4
"""The position of the key in `ring_probe_rows` that an induction head attends to."""


def same_concept(n_concepts: int = N_CONCEPTS, n_forms: int = N_FORMS) -> Bool[Tensor, "id id"]:
    """Which ids name the same concept: id t names concept t modulo `n_concepts`.

    >>> same_concept(n_concepts=2, n_forms=2).int()  # Ids 0 and 2 name concept 0.
    tensor([[1, 0, 1, 0],
            [0, 1, 0, 1],
            [1, 0, 1, 0],
            [0, 1, 0, 1]], dtype=torch.int32)
    >>> same_concept().shape
    torch.Size([64, 64])
    """
    concept = torch.arange(n_concepts * n_forms) % n_concepts
    return concept[:, None] == concept[None, :]


def concept_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 8 to 16 distinct concepts over and over, in different words each time.

    32 positions have room for four copies and each concept has four words, so no id repeats.
    """
    concepts = distinct_tokens(N_CONCEPTS, N_CONCEPTS, batch, generator)
    period = torch.randint(8, N_CONCEPTS + 1, (batch, 1), generator=generator)
    position = torch.arange(32)
    concept = concepts.gather(1, position % period)
    orders = torch.rand(batch, N_CONCEPTS, N_FORMS, generator=generator).argsort(dim=-1)
    form = orders[torch.arange(batch)[:, None], concept, position // period]
    return concept + N_CONCEPTS * form


def ring_distance(n_ids: int = RING) -> Int[Tensor, "id id"]:
    """How many steps lead from one id to another on a ring of `n_ids` ids, the shorter way.

    >>> ring_distance(5)[0]
    tensor([0, 1, 2, 2, 1])
    """
    apart = (torch.arange(n_ids)[:, None] - torch.arange(n_ids)).abs()
    return torch.minimum(apart, n_ids - apart)


def neighbor_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 6 to 12 tokens over and over, each time moved by −1, 0 or 1 on the ring of ids.

    Two copies of a token are at most two steps apart. Every id may stand for three tokens, so the
    classes of ids that stand for one token overlap.
    """
    sources = distinct_tokens(RING, 12, batch, generator)
    period = torch.randint(6, 13, (batch, 1), generator=generator)
    moved = torch.randint(-1, 2, (batch, 32), generator=generator)
    return (sources.gather(1, torch.arange(32) % period) + moved) % RING


def ring_probe_rows(generator: torch.Generator, distance: int, *, batch: int = 256) -> Rows:
    """15 different tokens, and at the end one `distance` steps from the token at position 3.

    The token after that one is at `PROBED_KEY`. All other tokens are at least `FARTHEST` steps from
    the last one, so nothing else resembles it. Rows of equally seeded generators differ only in the
    last token. Raises ValueError for a distance that is not between 0 and `FARTHEST`.
    """
    if not 0 <= distance <= FARTHEST:
        raise ValueError(f"distance={distance}: use a whole number from 0 to {FARTHEST}.")
    source = torch.randint(RING, (batch, 1), generator=generator)
    far = distinct_tokens(RING - 4 * FARTHEST + 1, 14, batch, generator) + 2 * FARTHEST
    side = 2 * torch.randint(2, (batch, 1), generator=generator) - 1
    steps = torch.cat([far[:, :3], torch.zeros_like(side), far[:, 3:], side * distance], dim=1)
    return (source + steps) % RING


def ngram_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block three times, then a fresh block three times; each id appears in its block twice.

    Each row uses three to eight of the ids. An id precedes two different ids, so one token leaves
    two possible successors and two consecutive tokens leave one.
    """
    n_used = torch.randint(3, NGRAM_IDS + 1, (batch, 1), generator=generator)
    blocks = _ambiguous_blocks(generator, n_used.repeat_interleave(3, dim=0)).view(batch, 3, -1)
    position, period = torch.arange(NGRAM_POSITIONS), NGRAM_TIMES * n_used
    number, place = position // (3 * period), position % period
    return blocks[torch.arange(batch)[:, None], number, place]


TRIES = 8
"""Attempts per block that are drawn at once."""


def _ambiguous_blocks(
    generator: torch.Generator, n_used: Int[Tensor, "batch 1"]
) -> Int[Tensor, "batch place"]:
    """Blocks in which each used id appears twice and no pair of neighbors repeats.

    They are drawn token by token, `TRIES` at a time; attempts that reach a dead end are dropped.
    """
    size = NGRAM_IDS * NGRAM_TIMES
    blocks = torch.full((len(n_used), size), -1)
    missing = torch.arange(len(n_used))
    while len(missing):
        tries = missing.repeat_interleave(TRIES)
        inside = torch.arange(size) < NGRAM_TIMES * n_used[tries]
        drawn = _drawn_blocks(generator, n_used[tries])
        after_it = torch.where(
            inside.roll(-1, dims=1) & inside, drawn.roll(-1, dims=1), drawn[:, :1]
        )
        unlike = torch.arange(size) + NGRAM_IDS**2  # Past the end all differ.
        pairs = torch.where(inside, NGRAM_IDS * drawn + after_it, unlike).sort(dim=1).values
        good = ((drawn >= 0) | ~inside).all(dim=1) & (pairs.diff(dim=1) > 0).all(dim=1)
        # The last of several good tries: with threads, writes to one place have no fixed order.
        by_row = good.view(-1, TRIES)
        last = TRIES - 1 - by_row.flip(1).int().argmax(dim=1)
        has = by_row.any(dim=1).nonzero().flatten()
        blocks[missing[has]] = drawn.view(len(missing), TRIES, size)[has, last[has]]
        missing = (blocks[:, 0] < 0).nonzero().flatten()
    return blocks


def _drawn_blocks(
    generator: torch.Generator, n_used: Int[Tensor, "batch 1"]
) -> Int[Tensor, "batch place"]:
    """Random rows that use no pair twice and each of `n_used` ids at most twice; then −1."""
    batch = len(n_used)
    every = torch.arange(batch)
    ids = distinct_tokens(NGRAM_IDS, NGRAM_IDS, batch, generator)
    left = torch.zeros(batch, NGRAM_IDS)
    left.scatter_(1, ids, NGRAM_TIMES * (torch.arange(NGRAM_IDS) < n_used).float())
    unused = torch.ones(batch, NGRAM_IDS, NGRAM_IDS)
    now = ids[:, 0]
    columns = [now]
    left[every, now] -= 1
    for _ in range(NGRAM_IDS * NGRAM_TIMES - 1):
        weights = unused[every, now] * left
        dead = weights.sum(dim=1) == 0
        drawn = torch.multinomial(weights + dead[:, None], 1, generator=generator).squeeze(1)
        unused[every, now, drawn] = 0
        left[every, drawn] -= (~dead).float()
        now = drawn
        columns.append(torch.where(dead, -1, drawn))
    return torch.stack(columns, dim=1)


def lag_table() -> Float[Tensor, "token successor"]:
    """The fixed table of the lag task: one likely successor per token, all others equally rare."""
    return markov_table(LAG_IDS, successors=1, uniform=0.3)


def lag_rows(
    generator: torch.Generator,
    *,
    lag: int | None = None,
    lags: tuple[int, ...] = (1, 2),
    n_pos: int = 32,
    batch: int = 32,
) -> Rows:
    """Each token follows, by `lag_table`, from the token one of `lags` places before it.

    The lag is drawn for each row if it is None.
    """
    table = lag_table()
    drawn = torch.tensor(lags)[torch.randint(len(lags), (batch,), generator=generator)]
    drawn = drawn if lag is None else torch.full_like(drawn, lag)
    columns = list(torch.randint(LAG_IDS, (max(lags), batch), generator=generator))
    while len(columns) < n_pos:
        source = torch.stack(columns).gather(0, len(columns) - drawn[None]).squeeze(0)
        columns.append(torch.multinomial(table[source], 1, generator=generator).squeeze(1))
    return torch.stack(columns, dim=1)


def word_dictionary() -> Int[Tensor, " id"]:
    """The fixed dictionary from language X, ids 0 to 31, to language Y, ids 32 to 63."""
    return N_WORDS + torch.randperm(N_WORDS, generator=torch.Generator().manual_seed(0))


def translation_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 4 to 16 words of language X, its translation into Y, then the next block."""
    source = distinct_tokens(N_WORDS, N_WORDS, batch, generator)
    period = torch.randint(4, 17, (batch, 1), generator=generator)
    position = torch.arange(32)
    copy, place = position // period, position % period
    words = source.gather(1, copy // 2 * period + place)
    return torch.where(copy % 2 == 1, word_dictionary()[words], words)


def gap_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 4 to 10 distinct tokens, the same with id 0 after each token, then a fresh block.

    After id 0 the next token depends on the token before it: the query itself has no information.
    """
    source = distinct_tokens(64, 32, batch, generator, exclude=(GAP,))
    period = torch.randint(4, 11, (batch, 1), generator=generator)
    position = torch.arange(32)
    number, inside = position // (3 * period), position % (3 * period)
    spread = (inside - period).clamp(min=0)
    place = torch.where(inside < period, inside, spread // 2)
    rows = source.gather(1, number * period + place)
    return torch.where((inside >= period) & (spread % 2 == 1), GAP, rows)


def swap_rows(generator: torch.Generator, *, batch: int = 32, swapped: bool | None = None) -> Rows:
    """Words, each before one of its two answers, over and over: the same answer or the other one.

    The first id is 0 or 1. Behind 0, a block of 4 to 8 words and answers repeats to the end, so the
    earlier answer is right. Behind 1, a block comes twice and then a fresh one, and in the second
    copy every word has its other answer, so the earlier answer is wrong. Ids 2 … 17 are words; the
    answers of word w are 2 w + 14 and 2 w + 15 (`other_answer`). Half of the rows, or as `swapped`
    says, begin with 1.
    """
    flag = torch.randint(2, (batch,), generator=generator)
    if swapped is not None:
        flag = torch.full((batch,), int(swapped))
    n_words = torch.randint(4, 9, (batch, 1), generator=generator)
    words = torch.stack([distinct_tokens(N_ASKED, N_ASKED, batch, generator) for _ in range(3)], 1)
    answers = torch.randint(2, (batch, 3, N_ASKED), generator=generator)
    place, copy = torch.arange(SWAP_POSITIONS // 2) % n_words, swap_copies(n_words)
    is_swapped = flag[:, None] == 1
    rows, block = torch.arange(batch)[:, None], torch.where(is_swapped, copy // 2, 0)
    word = words[rows, block, place]
    answer = answers[rows, block, place] ^ (is_swapped & (copy % 2 == 1)).long()
    pairs = torch.stack([2 + word, 2 + N_ASKED + 2 * word + answer], dim=-1)
    return torch.cat([flag[:, None], pairs.flatten(1)], dim=1)


def swap_copies(n_words: Int[Tensor, "batch 1"]) -> Int[Tensor, "batch word"]:
    """Which copy of a block of `n_words` words each word of a row is in, counted from 0."""
    return torch.arange(SWAP_POSITIONS // 2) // n_words


def other_answer(tokens: Int[Tensor, "*place"]) -> Int[Tensor, "*place"]:
    """The other answer of the same word, for answers of `swap_rows`.

    >>> other_answer(torch.tensor([18, 19, 20]))
    tensor([19, 18, 21])
    """
    return tokens ^ 1
