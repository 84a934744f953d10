"""The matching tasks: a model, its training and rows, and the keys of the rule of each."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from induction_heads.data.matching_rows import (
    GAP,
    LAG_IDS,
    N_ASKED,
    N_CONCEPTS,
    N_FORMS,
    N_WORDS,
    NGRAM_IDS,
    NGRAM_POSITIONS,
    RING,
    SWAP_IDS,
    SWAP_POSITIONS,
    Rows,
    concept_rows,
    gap_rows,
    lag_rows,
    neighbor_rows,
    ngram_rows,
    ring_distance,
    same_concept,
    swap_rows,
    translation_rows,
    word_dictionary,
)
from induction_heads.data.tokens import (
    Sampler,
    after,
    before,
    earlier_matches,
)
from induction_heads.data.toy_rows import tiled_rows
from induction_heads.models.attention_only import AttentionOnlyConfig
from induction_heads.training.run import Settings

Mask = Bool[Tensor, "batch query key"]


@dataclass(frozen=True)
class MeasuredRows:
    """Rows to measure on, with the keys of the task's rule and the keys of another rule."""

    tokens: Rows
    marked: Mask
    control: Mask


@dataclass(frozen=True)
class MatchingTask:
    """A model of one task: its sizes, its training, its rows and their description.

    `measured_rows` draws rows with the keys of the rule and of its control, which `other_rule`
    describes. `ngram` is the n of the hard-coded head of this task, if it has one.
    """

    config: AttentionOnlyConfig
    settings: Settings
    sample: Sampler
    words: str
    measured_rows: Callable[[torch.Generator], MeasuredRows]
    other_rule: str
    ngram: int | None = None


def _copies(generator: torch.Generator) -> MeasuredRows:
    tokens = tiled_rows(generator, batch=N_ROWS)
    return MeasuredRows(tokens, after(earlier_matches(tokens)), earlier_matches(tokens))


def _concepts(generator: torch.Generator) -> MeasuredRows:
    tokens = concept_rows(generator, batch=N_ROWS)
    group = torch.arange(N_CONCEPTS * N_FORMS) // N_FORMS
    other = (group[:, None] == group[None, :]) & ~same_concept()
    marked, control = (after(earlier_matches(tokens, similar=s)) for s in (same_concept(), other))
    return MeasuredRows(tokens, marked, control & ~marked)


def _neighbors(generator: torch.Generator) -> MeasuredRows:
    """The rule: after a token as near as two copies can be. The control: three to six steps."""
    tokens, steps = neighbor_rows(generator, batch=N_ROWS), ring_distance()
    near, not_near = steps <= 2, (steps > 2) & (steps <= 6)
    marked, control = (after(earlier_matches(tokens, similar=s)) for s in (near, not_near))
    return MeasuredRows(tokens, marked, control & ~marked)


def _pairs(generator: torch.Generator) -> MeasuredRows:
    tokens = ngram_rows(generator, batch=N_ROWS)
    one, two = (after(earlier_matches(tokens, n=n)) for n in (1, 2))
    return MeasuredRows(tokens, two, one & ~two & two.any(dim=-1, keepdim=True))


def _lags(generator: torch.Generator) -> MeasuredRows:
    """Half of the rows have each lag. Only the later half of the positions is marked."""
    tokens = torch.cat([lag_rows(generator, lag=lag, batch=N_ROWS // 2) for lag in (1, 2)])
    here, back = (torch.diag(torch.ones(32 - k), diagonal=-k).bool() for k in (0, 1))
    here[:16], back[:16] = False, False
    right, wrong = (here, back), (back, here)
    marked, control = (
        torch.stack(masks).repeat_interleave(N_ROWS // 2, dim=0) for masks in (right, wrong)
    )
    return MeasuredRows(tokens, marked, control)


def _gaps(generator: torch.Generator) -> MeasuredRows:
    tokens = gap_rows(generator, batch=N_ROWS)
    right = torch.zeros(*tokens.shape, tokens.shape[1], dtype=torch.bool)
    right[:, 1:] = after(earlier_matches(tokens))[:, :-1]  # By the token before the query.
    right &= ((tokens == GAP)[:, :, None] & (tokens != GAP)[:, None, :]).tril()
    return MeasuredRows(tokens, right, before(right))


def _translation(generator: torch.Generator) -> MeasuredRows:
    tokens = translation_rows(generator, batch=N_ROWS)
    size, words = 2 * N_WORDS, torch.arange(N_WORDS)
    masks = []
    for dictionary in (word_dictionary(), word_dictionary().roll(1)):
        translates = torch.zeros(size, size, dtype=torch.bool)
        translates[dictionary, words] = True
        masks.append(after(earlier_matches(tokens, similar=translates)))
    return MeasuredRows(tokens, *masks)


def _swaps(generator: torch.Generator) -> MeasuredRows:
    """Half of the rows are swapped. The rule: the answer after the latest copy of the word."""
    tokens = torch.cat(
        [swap_rows(generator, batch=N_ROWS // 2, swapped=swapped) for swapped in (False, True)]
    )
    is_word = (tokens >= 2) & (tokens < 2 + N_ASKED)
    copies = after(earlier_matches(tokens)) & is_word[:, :, None]
    latest = copies & (copies.flip(-1).cumsum(-1).flip(-1) == 1)
    latest[N_ROWS // 2 :] &= (copies.sum(dim=-1) % 2 == 1)[N_ROWS // 2 :, :, None]
    return MeasuredRows(tokens, latest, before(latest))


N_ROWS = 128
"""The number of rows that a model is measured on."""


def _sizes(n_heads: int, d_vocab: int, n_ctx: int) -> AttentionOnlyConfig:
    return AttentionOnlyConfig(2, n_heads, 64, 64 // n_heads, d_vocab, n_ctx)


TASKS: dict[str, MatchingTask] = {
    "copies": MatchingTask(
        _sizes(2, 64, 32),
        Settings(steps=400),
        tiled_rows,
        "a block of 4 to 16 tokens three times, then a fresh block (as for `toy-2l`)",
        _copies,
        "the earlier copy itself",
        ngram=1,
    ),
    "concepts": MatchingTask(
        _sizes(2, N_CONCEPTS * N_FORMS, 32),
        Settings(steps=500),
        concept_rows,
        "a block of 8 to 16 concepts over and over, each time in words not used before",
        _concepts,
        "after a word that is similar by another grouping",
        ngram=1,
    ),
    "neighbors": MatchingTask(
        _sizes(2, RING, 32),
        Settings(steps=800),
        neighbor_rows,
        "a block of 6 to 12 tokens over and over, each time moved by −1, 0 or 1 on a ring of ids",
        _neighbors,
        "after a token three to six steps away",
    ),
    "pairs": MatchingTask(
        _sizes(2, NGRAM_IDS, NGRAM_POSITIONS),
        Settings(steps=500),
        ngram_rows,
        "a block of 6 to 16 tokens three times, each id in it before two others, then a fresh one",
        _pairs,
        "after a copy of the last token alone",
        ngram=2,
    ),
    "lags": MatchingTask(
        _sizes(4, LAG_IDS, 32),
        Settings(steps=1200, learning_rate=1e-2),
        lag_rows,
        "each token follows by one fixed table from the token one or two before it",
        _lags,
        "the token at the other lag",
    ),
    "gaps": MatchingTask(
        _sizes(2, 64, 32),
        Settings(steps=600),
        gap_rows,
        "a block of 4 to 10 tokens, then the same with id 0 after each, then a fresh block",
        _gaps,
        "the earlier copy itself",
    ),
    "translation": MatchingTask(
        _sizes(2, 2 * N_WORDS, 32),
        Settings(steps=400),
        translation_rows,
        "a block of 4 to 16 words of one language, then its translation into the other",
        _translation,
        "after the word by another dictionary",
    ),
    "swaps": MatchingTask(
        AttentionOnlyConfig(3, 2, 64, 32, SWAP_IDS, SWAP_POSITIONS),
        Settings(steps=800, learning_rate=1e-2),
        swap_rows,
        "words and answers over and over; behind one first id the answer of the second copy is "
        "the word's other one",
        _swaps,
        "the earlier copy of the word",
    ),
}
"""Name → task."""
