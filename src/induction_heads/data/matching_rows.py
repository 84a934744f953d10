"""Rows on which a head must match or copy in another way than token by token, one task each.

Every row maker draws one batch [batch pos] from the generator that it is given and keeps nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.attention_only import AttentionOnlyConfig
from induction_heads.matching_scores import after, before, earlier_matches
from induction_heads.tokens import distinct_tokens, markov_table
from induction_heads.training import Sampler, Settings
from induction_heads.training_data import tiled_rows

Rows = Int[Tensor, "batch pos"]

N_CONCEPTS, N_FORMS = 16, 4
NGRAM_IDS, NGRAM_TIMES, NGRAM_POSITIONS = 8, 2, 48
LAG_IDS = 16
N_WORDS = 32
GAP = 0


Mask = Bool[Tensor, "batch query key"]


@dataclass(frozen=True)
class Looked:
    """Rows to measure on: the keys at which the task's rule looks, and those of another rule."""

    tokens: Rows
    marked: Mask
    control: Mask


@dataclass(frozen=True)
class MatchingTask:
    """A model of one task: its sizes, its training, its rows, and the rows in words.

    `looked` draws rows with the keys of the rule and of its control; `other_rule` says which that
    is. `ngram` is the n of the hard-coded head that is tried on this task, if one is.
    """

    config: AttentionOnlyConfig
    settings: Settings
    sample: Sampler
    words: str
    looked: Callable[[torch.Generator], Looked]
    other_rule: str
    ngram: int | None = None


def same_concept(n_concepts: int = N_CONCEPTS, n_forms: int = N_FORMS) -> Bool[Tensor, "id id"]:
    """Which ids name the same concept: id t names concept t modulo `n_concepts`."""
    concept = torch.arange(n_concepts * n_forms) % n_concepts
    return concept[:, None] == concept[None, :]


def concept_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 8 to 16 different concepts over and over, in fresh words each time.

    32 positions hold at most four copies and each concept has four words, so no id comes back.
    """
    concepts = distinct_tokens(N_CONCEPTS, N_CONCEPTS, batch, generator)
    period = torch.randint(8, N_CONCEPTS + 1, (batch, 1), generator=generator)
    position = torch.arange(32)
    concept = concepts.gather(1, position % period)
    orders = torch.rand(batch, N_CONCEPTS, N_FORMS, generator=generator).argsort(dim=-1)
    form = orders[torch.arange(batch)[:, None], concept, position // period]
    return concept + N_CONCEPTS * form


def ngram_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block three times, then a fresh block three times; each id stands in its block twice.

    Each row uses three to eight of the ids. An id stands before two different ids, so that one
    token leaves two successors open, and two tokens in a row leave one.
    """
    n_used = torch.randint(3, NGRAM_IDS + 1, (batch, 1), generator=generator)
    blocks = _ambiguous_blocks(generator, n_used.repeat_interleave(3, dim=0)).view(batch, 3, -1)
    position, period = torch.arange(NGRAM_POSITIONS), NGRAM_TIMES * n_used
    number, place = position // (3 * period), position % period
    return blocks[torch.arange(batch)[:, None], number, place]


TRIES = 8
"""How often a block is drawn at a time."""


def _ambiguous_blocks(
    generator: torch.Generator, n_used: Int[Tensor, "batch 1"]
) -> Int[Tensor, "batch place"]:
    """Blocks in which each of the ids used stands twice and no pair of neighbors comes back.

    They are drawn token by token, `TRIES` at a time; what runs into a dead end is dropped.
    """
    size = NGRAM_IDS * NGRAM_TIMES
    found = torch.full((len(n_used), size), -1)
    missing = torch.arange(len(n_used))
    while len(missing):
        tries = missing.repeat_interleave(TRIES)
        inside = torch.arange(size) < NGRAM_TIMES * n_used[tries]
        drawn = _drawn_blocks(generator, n_used[tries])
        after_it = torch.where(
            inside.roll(-1, dims=1) & inside, drawn.roll(-1, dims=1), drawn[:, :1]
        )
        unlike = torch.arange(size) + NGRAM_IDS**2  # Past the end nothing is alike.
        pairs = torch.where(inside, NGRAM_IDS * drawn + after_it, unlike).sort(dim=1).values
        good = ((drawn >= 0) | ~inside).all(dim=1) & (pairs.diff(dim=1) > 0).all(dim=1)
        # Of several good tries the last: writing all to one place has no fixed order with threads.
        by_row = good.view(-1, TRIES)
        last = TRIES - 1 - by_row.flip(1).int().argmax(dim=1)
        has = by_row.any(dim=1).nonzero().flatten()
        found[missing[has]] = drawn.view(len(missing), TRIES, size)[has, last[has]]
        missing = (found[:, 0] < 0).nonzero().flatten()
    return found


def _drawn_blocks(
    generator: torch.Generator, n_used: Int[Tensor, "batch 1"]
) -> Int[Tensor, "batch place"]:
    """Random rows that use no pair twice and each of `n_used` ids at most twice; −1 after that."""
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
    """The fixed table of the lag task: one likely successor a token, the rest alike."""
    return markov_table(LAG_IDS, successors=1, uniform=0.3)


def lag_rows(
    generator: torch.Generator, *, lag: int | None = None, n_pos: int = 32, batch: int = 32
) -> Rows:
    """Each token follows, by `lag_table`, from the token one or two before it.

    The lag is drawn for each row unless it is given.
    """
    table = lag_table()
    lags = torch.randint(1, 3, (batch,), generator=generator)
    lags = lags if lag is None else torch.full_like(lags, lag)
    columns = list(torch.randint(LAG_IDS, (2, batch), generator=generator))
    while len(columns) < n_pos:
        source = torch.where(lags == 1, columns[-1], columns[-2])
        columns.append(torch.multinomial(table[source], 1, generator=generator).squeeze(1))
    return torch.stack(columns, dim=1)


def word_dictionary() -> Int[Tensor, " id"]:
    """The fixed dictionary from language X, ids 0 to 31, to language Y, ids 32 to 63."""
    return N_WORDS + torch.randperm(N_WORDS, generator=torch.Generator().manual_seed(0))


def translation_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 4 to 16 words of language X, its translation, then the next block."""
    source = distinct_tokens(N_WORDS, N_WORDS, batch, generator)
    period = torch.randint(4, 17, (batch, 1), generator=generator)
    position = torch.arange(32)
    copy, place = position // period, position % period
    words = source.gather(1, copy // 2 * period + place)
    return torch.where(copy % 2 == 1, word_dictionary()[words], words)


def gap_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 4 to 10 distinct tokens, then the same with id 0 after each, then a fresh block.

    At id 0 the token to come depends on the token before: the query itself says nothing.
    """
    source = distinct_tokens(64, 32, batch, generator, exclude=(GAP,))
    period = torch.randint(4, 11, (batch, 1), generator=generator)
    position = torch.arange(32)
    number, inside = position // (3 * period), position % (3 * period)
    spread = (inside - period).clamp(min=0)
    place = torch.where(inside < period, inside, spread // 2)
    rows = source.gather(1, number * period + place)
    return torch.where((inside >= period) & (spread % 2 == 1), GAP, rows)


# The rules


def _copies(generator: torch.Generator) -> Looked:
    tokens = tiled_rows(generator, batch=N_ROWS)
    return Looked(tokens, after(earlier_matches(tokens)), earlier_matches(tokens))


def _concepts(generator: torch.Generator) -> Looked:
    tokens = concept_rows(generator, batch=N_ROWS)
    group = torch.arange(N_CONCEPTS * N_FORMS) // N_FORMS
    other = (group[:, None] == group[None, :]) & ~same_concept()
    marked, control = (after(earlier_matches(tokens, similar=s)) for s in (same_concept(), other))
    return Looked(tokens, marked, control & ~marked)


def _pairs(generator: torch.Generator) -> Looked:
    tokens = ngram_rows(generator, batch=N_ROWS)
    one, two = (after(earlier_matches(tokens, n=n)) for n in (1, 2))
    return Looked(tokens, two, one & ~two & two.any(dim=-1, keepdim=True))


def _lags(generator: torch.Generator) -> Looked:
    """Half of the rows with each lag, at the later half of the positions."""
    tokens = torch.cat([lag_rows(generator, lag=lag, batch=N_ROWS // 2) for lag in (1, 2)])
    here, back = (torch.diag(torch.ones(32 - k), diagonal=-k).bool() for k in (0, 1))
    here[:16], back[:16] = False, False
    right, wrong = (here, back), (back, here)
    marked, control = (
        torch.stack(masks).repeat_interleave(N_ROWS // 2, dim=0) for masks in (right, wrong)
    )
    return Looked(tokens, marked, control)


def _gaps(generator: torch.Generator) -> Looked:
    tokens = gap_rows(generator, batch=N_ROWS)
    right = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    right[:, 1:] = after(earlier_matches(tokens))[:, :-1]  # By the token before the query.
    right &= ((tokens == GAP)[:, :, None] & (tokens != GAP)[:, None, :]).tril()
    return Looked(tokens, right, before(right))


def _translation(generator: torch.Generator) -> Looked:
    tokens = translation_rows(generator, batch=N_ROWS)
    size, words = 2 * N_WORDS, torch.arange(N_WORDS)
    masks = []
    for dictionary in (word_dictionary(), word_dictionary().roll(1)):
        translates = torch.zeros(size, size, dtype=torch.bool)
        translates[dictionary, words] = True
        masks.append(after(earlier_matches(tokens, similar=translates)))
    return Looked(tokens, *masks)


N_ROWS = 128
"""Rows on which a model is measured."""


def _sizes(n_heads: int, d_vocab: int, n_ctx: int) -> AttentionOnlyConfig:
    return AttentionOnlyConfig(2, n_heads, 64, 64 // n_heads, d_vocab, n_ctx)


TASKS: dict[str, MatchingTask] = {
    "copies": MatchingTask(
        _sizes(2, 64, 32), Settings(steps=400), tiled_rows,
        "a block of 4 to 16 tokens three times, then a fresh block (as for `toy-2l`)",
        _copies, "the earlier copy itself", ngram=1,
    ),
    "concepts": MatchingTask(
        _sizes(2, N_CONCEPTS * N_FORMS, 32), Settings(steps=500), concept_rows,
        "a block of 8 to 16 concepts over and over, each time in words not used before",
        _concepts, "after a word that another grouping calls similar", ngram=1,
    ),
    "pairs": MatchingTask(
        _sizes(2, NGRAM_IDS, NGRAM_POSITIONS), Settings(steps=500), ngram_rows,
        "a block of 6 to 16 tokens three times, each id in it before two others, then a fresh one",
        _pairs, "after a copy of the last token alone", ngram=2,
    ),
    "lags": MatchingTask(
        _sizes(4, LAG_IDS, 32), Settings(steps=1200, learning_rate=1e-2), lag_rows,
        "each token follows by one fixed table from the token one or two before it",
        _lags, "the token at the other lag",
    ),
    "gaps": MatchingTask(
        _sizes(2, 64, 32), Settings(steps=600), gap_rows,
        "a block of 4 to 10 tokens, then the same with id 0 after each, then a fresh block",
        _gaps, "the earlier copy itself",
    ),
    "translation": MatchingTask(
        _sizes(2, 2 * N_WORDS, 32), Settings(steps=400), translation_rows,
        "a block of 4 to 16 words of one language, then its translation into the other",
        _translation, "after the word by another dictionary",
    ),
}  # fmt: skip
"""Name → task."""
