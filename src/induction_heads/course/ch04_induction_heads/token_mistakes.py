"""Known mistakes of `make_repeated_tokens`, each with its hint."""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel


def _blocks(
    model: HookedModel, period: int, batch: int, seed: int, *, with_bos: bool = False
) -> Tensor:
    """Each row has its own block: `period` distinct ids, without BOS unless `with_bos`."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.ones(batch, model.cfg.d_vocab)
    if model.cfg.bos_token is not None and not with_bos:
        weights[:, model.cfg.bos_token] = 0
    return torch.multinomial(weights, period, generator=generator)


def _after_bos(model: HookedModel, tokens: Tensor) -> Tensor:
    bos = model.cfg.bos_token
    return tokens if bos is None else F.pad(tokens, (1, 0), value=bos)


def _twice(model: HookedModel, blocks: Tensor) -> Tensor:
    return _after_bos(model, blocks.repeat(1, 2))


def _tokens(draw=_blocks, arrange=_twice) -> Callable[..., Tensor]:
    """`make_repeated_tokens` with other blocks, or with something else done with the blocks."""

    def answer(model, period=16, batch=8, seed=0):
        return arrange(model, draw(model, period, batch, seed))

    return answer


tokens_by_multinomial = _tokens()


def _with_replacement(model, period, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.cfg.d_vocab, (batch, period), generator=generator)


def _low_ids_only(model, period, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, period, generator=generator).argsort(dim=1)


def _two_blocks(model, period=16, batch=8, seed=0):
    blocks = [_blocks(model, period, batch, 2 * seed + copy) for copy in (0, 1)]
    return _after_bos(model, torch.cat(blocks, dim=1))


def _unless_zero(model: HookedModel, blocks: Tensor) -> Tensor:
    """`if bos:` in place of `if bos is not None:`."""
    twice, bos = blocks.repeat(1, 2), model.cfg.bos_token
    return F.pad(twice, (1, 0), value=bos) if bos else twice


TOKEN_MISTAKES = (
    Mistake(
        "the BOS token is missing",
        _tokens(arrange=lambda model, blocks: blocks.repeat(1, 2)),
        "What came first in every row this model was trained on? See `model.cfg.bos_token`.",
    ),
    Mistake(
        "BOS in front for every model",
        _tokens(
            arrange=lambda model, blocks: F.pad(
                blocks.repeat(1, 2), (1, 0), value=model.cfg.bos_token or 0
            )
        ),
        "What is `model.cfg.bos_token` for a toy model, and what does token 0 mean to it?",
    ),
    Mistake(
        "BOS token 0 is taken for none",
        _tokens(arrange=_unless_zero),
        "One model's BOS token is 0. Is 0 true or false after `if`, and what do you mean to ask?",
    ),
    Mistake(
        "a BOS token before each copy",
        _tokens(arrange=lambda model, blocks: _after_bos(model, blocks).repeat(1, 2)),
        "How far apart are the two copies of a token now? A sequence begins only once.",
    ),
    Mistake(
        "tokens are drawn with replacement",
        _tokens(_with_replacement),
        "If a token occurs twice in a block, which of the two should the head find?",
    ),
    Mistake(
        "BOS can be drawn into a block",
        _tokens(partial(_blocks, with_bos=True)),
        "BOS is already at position 0. Which ids are left for the block?",
    ),
    Mistake(
        "all rows share one block",
        _tokens(
            lambda model, period, batch, seed: _blocks(model, period, 1, seed).expand(batch, -1)
        ),
        "How many independent samples are in your batch? Compare two rows.",
    ),
    Mistake(
        "the second half is a new block",
        _two_blocks,
        "Nothing repeats here: that is the control. How many blocks do you draw per row?",
    ),
    Mistake(
        "one block, without its copy",
        _tokens(arrange=_after_bos),
        "How long is a row of `[BOS] + block + block`, and how long is yours?",
    ),
    Mistake(
        "each token is followed by itself",
        _tokens(
            arrange=lambda model, blocks: _after_bos(model, blocks.repeat_interleave(2, dim=1))
        ),
        "A A B B is not A B A B. Along which axis do you repeat, and in which order?",
    ),
    Mistake(
        "`period` is the length of both copies",
        _tokens(lambda model, period, *rest: _blocks(model, period // 2, *rest)),
        "`period` is the distance from a token to its next copy. How long is one copy then?",
    ),
    Mistake(
        "only the ids below `period` are drawn",
        _tokens(_low_ids_only),
        "Which numbers does your shuffle permute? Is that the whole vocabulary?",
    ),
    Mistake(
        "the ids of a block are sorted",
        _tokens(lambda *given: _blocks(*given).sort(dim=1).values),
        "In your rows each token is larger than the one before it. What could a head learn from "
        "that, without any repetition?",
    ),
    Mistake(
        "`seed` has no effect",
        _tokens(lambda model, period, batch, seed: _blocks(model, period, batch, 0)),
        "Call it with seed 0 and with seed 1. Which line uses `seed`?",
    ),
    Mistake(
        "the random numbers do not come from `seed`",
        _tokens(
            lambda model, period, batch, seed: _blocks(
                model, period, batch, int(torch.randint(10**6, ()))
            )
        ),
        "Call it twice with the same seed. Does every draw use a generator seeded with it?",
    ),
)
