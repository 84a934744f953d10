"""Known mistakes of chapter 4 with their hints, and other correct implementations."""

import math
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.activations import attention_patterns
from induction_heads.checks.exercise import Mistake

PERIODS = (8, 12, 16)


# make_repeated_tokens


def _blocks(model: Any, period: int, batch: int, seed: int, *, with_bos: bool = False) -> Tensor:
    """Each row a block of its own: `period` distinct ids, BOS left out unless `with_bos`."""
    generator = torch.Generator().manual_seed(seed)
    weights = torch.ones(batch, model.cfg.d_vocab)
    if model.cfg.bos_token is not None and not with_bos:
        weights[:, model.cfg.bos_token] = 0
    return torch.multinomial(weights, period, generator=generator)


def _after_bos(model: Any, tokens: Tensor) -> Tensor:
    bos = model.cfg.bos_token
    return tokens if bos is None else F.pad(tokens, (1, 0), value=bos)


def _twice(model: Any, blocks: Tensor) -> Tensor:
    return _after_bos(model, blocks.repeat(1, 2))


def _tokens(draw=_blocks, arrange=_twice) -> Callable[..., Tensor]:
    """`make_repeated_tokens` with other blocks, or with something else done with the blocks."""

    def answer(model, period=16, batch=8, seed=0):
        return arrange(model, draw(model, period, batch, seed))

    return answer


_tokens_by_multinomial = _tokens()


def tokens_by_python_random(model, period=16, batch=8, seed=0):
    """`make_repeated_tokens` by Python's own random numbers, row by row."""
    drawn, bos = random.Random(seed), model.cfg.bos_token
    ids = [i for i in range(model.cfg.d_vocab) if i != bos]
    blocks = [drawn.sample(ids, period) for _ in range(batch)]
    return torch.tensor([([] if bos is None else [bos]) + 2 * block for block in blocks])


def _with_replacement(model, period, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(model.cfg.d_vocab, (batch, period), generator=generator)


def _low_ids_only(model, period, batch, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, period, generator=generator).argsort(dim=1)


def _two_blocks(model, period=16, batch=8, seed=0):
    blocks = [_blocks(model, period, batch, 2 * seed + copy) for copy in (0, 1)]
    return _after_bos(model, torch.cat(blocks, dim=1))


TOKEN_MISTAKES = (
    Mistake("the BOS token is missing", _tokens(arrange=lambda model, blocks: blocks.repeat(1, 2)),
            "What stood first in every row of this model's training? See `model.cfg.bos_token`."),
    Mistake("BOS in front for every model",
            _tokens(arrange=lambda model, blocks: F.pad(
                blocks.repeat(1, 2), (1, 0), value=model.cfg.bos_token or 0)),
            "What is `model.cfg.bos_token` for a toy model, and what is a token 0 to it?"),
    Mistake("a BOS token before each copy",
            _tokens(arrange=lambda model, blocks: _after_bos(model, blocks).repeat(1, 2)),
            "How far apart are the two copies of a token now? A sequence begins only once."),
    Mistake("tokens are drawn with replacement", _tokens(_with_replacement),
            "If a token stands twice in a block, which of the two does the head have to find?"),
    Mistake("BOS can be drawn into a block", _tokens(partial(_blocks, with_bos=True)),
            "BOS already stands at position 0. Which ids are left for the block?"),
    Mistake("all rows share one block",
            _tokens(lambda model, period, batch, seed:
                    _blocks(model, period, 1, seed).expand(batch, -1)),
            "How many independent samples are in your batch? Compare two rows."),
    Mistake("the second half is a new block", _two_blocks,
            "Nothing repeats here: that is the control. How often do you draw a block?"),
    Mistake("each token is followed by itself",
            _tokens(arrange=lambda model, blocks: _after_bos(
                model, blocks.repeat_interleave(2, dim=1))),
            "A A B B is not A B A B. Along which axis does your repeat work, and in which order?"),
    Mistake("`period` is the length of both copies",
            _tokens(lambda model, period, *rest: _blocks(model, period // 2, *rest)),
            "`period` is the distance from a token to its next copy. How long is one copy then?"),
    Mistake("only the ids below `period` are drawn", _tokens(_low_ids_only),
            "Which numbers does your shuffle permute? The model knows more tokens than those."),
    Mistake("`seed` has no effect",
            _tokens(lambda model, period, batch, seed: _blocks(model, period, batch, 0)),
            "Call it with seed 0 and with seed 1. Which line reads `seed`?"),
    Mistake("the random numbers do not come from `seed`",
            _tokens(lambda model, period, batch, seed:
                    _blocks(model, period, batch, int(torch.randint(10**6, ())))),
            "Call it twice with one seed. Does every draw use a generator started from that seed?"),
)  # fmt: skip

TOKEN_ALSO_RIGHT = (_tokens_by_multinomial, tokens_by_python_random)


# induction_score


def _stripe_by_mask(pattern, period):
    position = torch.arange(pattern.shape[-1])
    stripe = position[:, None] - position == period - 1
    stripe[:-period] = False
    return (pattern * stripe).sum(dim=(-2, -1)) / period


def _stripe_by_index(pattern, period):
    query = torch.arange(pattern.shape[-1])[-period:]
    return pattern[..., query, query - period + 1].mean(dim=-1)


def _mean_on(shift: int):
    """The mean over the second copy of another diagonal: key = query − period + shift."""

    def answer(pattern, period):
        return pattern.diagonal(shift - period, -2, -1)[..., -period:].mean(dim=-1)

    return answer


def _on_previous(pattern, period):
    return pattern.diagonal(-1, -2, -1)[..., -period:].mean(dim=-1)


def _diagonal(pattern, period):
    """All of the stripe's diagonal, from query `period − 1` on."""
    return pattern.diagonal(1 - period, -2, -1)


SCORE_MISTAKES = (
    Mistake("the key is the token itself, one period back", _mean_on(0),
            "Offset −period leads to the earlier copy of the same token: a duplicate-token head's "
            "target. Which token comes next?"),
    Mistake("the key is the position right before", _on_previous,
            "That is the previous-token score. Where does the second B of A B C A B look?"),
    Mistake("the key is the token before the earlier copy", _mean_on(-1),
            "The head looks at what FOLLOWED the earlier copy. Is that one key further or nearer?"),
    Mistake("one query too many",
            lambda pattern, period:
                _diagonal(pattern, period)[..., -(period + 1) :].sum(dim=-1) / period,
            "What does a head that always looks `period − 1` back score? At which query does your "
            "stripe begin, and had that token been seen before?"),
    Mistake("the stripe begins in the first copy",
            lambda pattern, period: _diagonal(pattern, period).sum(dim=-1) / period,
            "This is the stripe that circulates. How many entries does it have, and by how many do "
            "you divide?"),
    Mistake("the mean runs over the whole diagonal",
            lambda pattern, period: _diagonal(pattern, period).mean(dim=-1),
            "The diagonal starts in the first copy. Which of its queries have an earlier copy?"),
    Mistake("divided by all positions", lambda pattern, period: _stripe_by_mask(pattern, period)
            * period / pattern.shape[-1],
            "A perfect head should score 1. How many queries are on the stripe?"),
    Mistake("the sum, not the mean",
            lambda pattern, period: _stripe_by_mask(pattern, period) * period,
            "What is the largest value your score can have? It should be 1."),
    Mistake("queries and keys are swapped",
            lambda pattern, period: _stripe_by_mask(pattern.mT, period),
            "Your entries lie above the diagonal, in the future. Which axis comes first?"),
    Mistake("the last query is left out",
            lambda pattern, period: _diagonal(pattern, period)[..., -period:-1].mean(dim=-1),
            "The last token was seen before as well. Which token came after it that time?"),
    Mistake("`period` is taken to be half the sequence",
            lambda pattern, period: _stripe_by_index(pattern, pattern.shape[-1] // 2),
            "Your function never needs `period`. Try it on a block that stands three times."),
    Mistake("averaged over batch and heads too",
            lambda pattern, period: _stripe_by_index(pattern, period).mean(),
            "How many heads came in, and how many scores come out? Keep the axes in front."),
)  # fmt: skip

SCORE_ALSO_RIGHT = (_stripe_by_mask, _stripe_by_index)


# stray_stripe_entries and uniform_induction_score


def _stray_by_difference(period, has_bos):
    n_pos = 2 * period + has_bos
    diagonal = {(key + period - 1, key) for key in range(n_pos - period + 1)}
    return sorted(diagonal - {(q, q - period + 1) for q in range(n_pos - period, n_pos)})


def _stray_by_count(period, has_bos):
    return [(period - 1 + key, key) for key in range(1 + int(has_bos))]


STRAY_MISTAKES = (
    Mistake("always one entry", lambda period, has_bos: [(period - 1, 0)],
            "With BOS every token of the block moves by one. How many positions come before the "
            "second copy?"),
    Mistake("always two entries", lambda period, has_bos: [(period - 1, 0), (period, 1)],
            "Without BOS, is query `period` still in the first copy?"),
    Mistake("(key, query)",
            lambda period, has_bos: [(k, q) for q, k in _stray_by_count(period, has_bos)],
            "Which of the two numbers is the later position? The query comes first in each pair."),
    Mistake("the first query of the second copy is thrown out too",
            lambda period, has_bos: [(period - 1 + k, k) for k in range(2 + has_bos)],
            "The first token of the second copy has been seen before. What came after it then?"),
    Mistake("the keys are those of the earlier copy",
            lambda period, has_bos: [(period + k, k) for k in range(1 + has_bos)],
            "These lie on key = query − period. Which diagonal does the circulating code sum?"),
    Mistake("the true stripe instead of the stray entries",
            lambda period, has_bos: [(q, q - period + 1)
                                     for q in range(period + has_bos, 2 * period + has_bos)],
            "These entries are right. Which others does the code count?"),
)  # fmt: skip

STRAY_ALSO_RIGHT = (_stray_by_difference, _stray_by_count)


def _harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


def _uniform_by_harmonic(period):
    return (_harmonic(2 * period) - _harmonic(period)) / period


def _uniform_by_tensor(period):
    even = torch.ones(2 * period, 2 * period).tril()
    return float(_stripe_by_index(even / even.sum(dim=1, keepdim=True), period))


UNIFORM_MISTAKES = (
    Mistake("ln 2 / period", lambda period: math.log(2) / period,
            "A good approximation for long blocks. What is the exact sum for period 1?"),
    Mistake("1 / (2 · period)", lambda period: 1 / (2 * period),
            "That is the weight in the last row alone. How many keys does each earlier query see?"),
    Mistake("query q sees q keys",
            lambda period: (_harmonic(2 * period - 1) - _harmonic(period - 1)) / period,
            "Positions count from 0. How many keys does query 0 see?"),
    Mistake("not divided by the number of queries",
            lambda period: _harmonic(2 * period) - _harmonic(period),
            "You have the sum over the stripe. What is the score, by definition?"),
    Mistake("the mean runs over all queries", lambda period: _harmonic(2 * period) / (2 * period),
            "Which queries does the score average over? Not those of the first copy."),
    Mistake("every query counts with the mean number of keys",
            lambda period: 1 / (1.5 * period + 0.5),
            "The mean of 1/n is not 1 over the mean of n. Add the weights themselves."),
)  # fmt: skip

UNIFORM_ALSO_RIGHT = (_uniform_by_harmonic, _uniform_by_tensor)


# find_induction_heads


def _scores(model: Any, periods=PERIODS, batch: int = 8, stripe=_stripe_by_index) -> Tensor:
    """[period layer batch head]: one stripe of every head on every row."""
    rows = []
    for period in periods:
        patterns = attention_patterns(model, _tokens_by_multinomial(model, period, batch))
        rows.append(stripe(patterns, period))
    return torch.stack(rows)


def _listed(scores: Tensor, threshold: float) -> list[tuple[int, int, float]]:
    """The entries of [layer head] that reach the threshold, in order of layer and head."""
    return [(layer, head, scores[layer, head].item())
            for layer, head in (scores >= threshold).nonzero().tolist()]  # fmt: skip


def ranked(found: list[tuple[int, int, float]], sign: int = -1) -> list[tuple[int, int, float]]:
    """The highest score first, or the lowest where `sign` is 1."""
    return sorted(found, key=lambda item: sign * item[2])


def _finder(order=ranked, lowest=lambda scores: scores.amin(dim=0), mean_over=2, **options: Any):
    """A detector: what is scored, how the periods are joined, and in which order heads come."""

    def answer(model, threshold=0.4):
        return order(_listed(lowest(_scores(model, **options).mean(dim=mean_over)), threshold))

    return answer


def _heads_one_layer_at_a_time(model, threshold=0.4):
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    best: dict[tuple[int, int], float] = {}
    for period in PERIODS:
        tokens = tokens_by_python_random(model, period, 10, seed=3)
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
        for layer, name in enumerate(names):
            for head, score in enumerate(_stripe_by_mask(cache[name], period).mean(dim=0).tolist()):
                best[layer, head] = min(score, best.get((layer, head), 1.0))
    return ranked([(*at, score) for at, score in best.items() if score >= threshold])


FIND_MISTAKES = (
    Mistake("only period 16 is tried", _finder(periods=(16,)),
            "A head that always looks 15 back is on your list. What would another period say?"),
    Mistake("only period 8 is tried", _finder(periods=(8,)),
            "A head that always looks 7 back is on your list. Which second test would refuse it?"),
    Mistake("the mean over the periods", _finder(lowest=lambda scores: scores.mean(dim=0)),
            "One good period can pay for the others. Which number says that a head passes all?"),
    Mistake("the highest over the periods", _finder(lowest=lambda scores: scores.amax(dim=0)),
            "A head needs one lucky period to pass. Should its best or its worst period count?"),
    Mistake("the stripe of a duplicate-token head", _finder(stripe=_mean_on(0)),
            "You found heads that look at the same token. Which token should they look at?"),
    Mistake("the previous-token stripe", _finder(stripe=_on_previous),
            "These heads look one position back, and would do so on any text. Check the offset."),
    Mistake("lowest score first", _finder(order=lambda found: ranked(found, 1)),
            "A reader wants the clearest head at the top. Which way does `sorted` sort?"),
    Mistake("in order of layer and head", _finder(order=list),
            "The list follows the loop. What should decide the order?"),
    Mistake("(head, layer, score)",
            _finder(order=lambda found: ranked([(head, layer, s) for layer, head, s in found])),
            "L1H0 is (1, 0). Which axis do your scores have first?"),
    Mistake("`threshold` is ignored", lambda model, threshold=0.4: _finder()(model, 0.4),
            "Ask for threshold=0. Which heads should come back, and which do?"),
    Mistake("averaged over the heads instead of the batch", _finder(mean_over=3),
            "Your model has as many heads a layer as your batch has rows? Which axis did the mean "
            "remove?"),
)  # fmt: skip

FIND_ALSO_RIGHT = (
    _finder(periods=(6, 8, 10, 12, 14, 16), batch=12),
    _heads_one_layer_at_a_time,
)


# per_token_loss


def _loss_by_gather(logits, tokens):
    log_probabilities = logits[:, :-1].log_softmax(dim=-1)
    return -log_probabilities.gather(-1, tokens[:, 1:, None]).squeeze(-1)


def _loss_by_cross_entropy(logits, tokens):
    flat = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
    return flat.reshape(len(tokens), -1)


def _loss_by_one_hot(logits, tokens):
    right = F.one_hot(tokens[:, 1:], logits.shape[-1]).to(logits.dtype)
    return logits[:, :-1].logsumexp(dim=-1) - (logits[:, :-1] * right).sum(dim=-1)


def _chosen(values: Tensor, tokens: Tensor) -> Tensor:
    return values.gather(-1, tokens[..., None]).squeeze(-1)


LOSS_MISTAKES = (
    Mistake("each token is predicted at its own position",
            lambda logits, tokens: -_chosen(logits.log_softmax(-1), tokens)[:, 1:],
            "The model has read the token at position i when it gives the logits there. Which "
            "position predicts it?"),
    Mistake("no shift: one loss for every position",
            lambda logits, tokens: -_chosen(logits.log_softmax(-1), tokens),
            "Is there a prediction for the first token? And a truth for the last prediction?"),
    Mistake("shifted the wrong way",
            lambda logits, tokens: -_chosen(logits[:, 1:].log_softmax(-1), tokens[:, :-1]),
            "You ask each position about the token before it. In which direction does it predict?"),
    Mistake("averaged over the batch",
            lambda logits, tokens: _loss_by_gather(logits, tokens).mean(dim=0),
            "The spread over rows is gone. Which axes should the answer have?"),
    Mistake("one number for all tokens",
            lambda logits, tokens: _loss_by_gather(logits, tokens).mean(),
            "`cross_entropy` averages unless told otherwise. How would you see the second copy?"),
    Mistake("in bits", lambda logits, tokens: _loss_by_gather(logits, tokens) / math.log(2),
            "A nat uses the natural logarithm. Which one did you take?"),
    Mistake("the sign is turned", lambda logits, tokens: -_loss_by_gather(logits, tokens),
            "Can a logarithm of a probability be positive? A surprise should never be negative."),
    Mistake("the probability, not its logarithm",
            lambda logits, tokens: _loss_by_gather(logits, tokens).neg().exp(),
            "A perfect prediction gives 1 here. What should its loss be?"),
    Mistake("the raw logit", lambda logits, tokens: -_chosen(logits[:, :-1], tokens[:, 1:]),
            "Add 5 to every logit of a position. Should the loss change?"),
    Mistake("the softmax runs over the positions",
            lambda logits, tokens: -_chosen(logits[:, :-1].log_softmax(1), tokens[:, 1:]),
            "Over which axis should the probabilities sum to 1?"),
    Mistake("the softmax underflows",
            lambda logits, tokens: -_chosen(logits[:, :-1].softmax(-1), tokens[:, 1:]).log(),
            "The probability of an unlikely token rounded to 0, and its logarithm to −inf. Which "
            "function takes both steps at once?"),
)  # fmt: skip

LOSS_ALSO_RIGHT = (_loss_by_gather, _loss_by_cross_entropy, _loss_by_one_hot)
