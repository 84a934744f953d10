"""Checks of chapter 4: repeated tokens, the stripe and its score, detection, and the loss."""

import math
import random
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from induction_heads.activations import attention_patterns
from induction_heads.checks.compare import close_heads, closeness, summary
from induction_heads.checks.exercise import Case, Exercise, Mistake, ModelInput

PERIODS = (8, 12, 16)
SCORE_TOLERANCE = 0.05
"""Right versions differ in their random tokens: by up to 0.03 on toy-2l, over batches of 8."""


# make_repeated_tokens: many answers are right, so facts about the tokens are compared.

_TOY = ModelInput(name="toy-2l")
_TIGHT = ModelInput(kind="induction", options={"bos_token": 5, "d_vocab": 12, "n_ctx": 40})
_NO_BOS = ModelInput(kind="induction", options={"d_vocab": 20, "n_ctx": 40})


def _token_cases(seed: int) -> list[Case]:
    small = {"period": 11, "batch": 6}
    return [
        Case("toy-2l, no other argument", (_TOY,)),
        Case("toy-2l again, no other argument", (_TOY,)),
        Case("toy-2l, another seed", (_TOY,), {"seed": seed + 1}),
        Case("12 tokens of which one is BOS, period 11", (_TIGHT,), small | {"seed": seed + 3}),
        Case("the same call again", (_TIGHT,), small | {"seed": seed + 3}),
        Case("the same call with another seed", (_TIGHT,), small | {"seed": seed + 4}),
        Case("no BOS token, period 9", (_NO_BOS, 9, 8, seed + 2)),
    ]


def _true_of_repeated_tokens(model: Any, period: int = 16, batch: int = 8, seed: int = 0) -> dict:
    n_pos = 2 * period + (model.cfg.bos_token is not None)
    return {
        "whole numbers": True,
        "shape": [batch, n_pos],
        "every id is in the vocabulary": True,
        "BOS comes first where the model has one": True,
        "the second copy equals the first": True,
        "no token stands twice in a block": True,
        "BOS stands inside a block": False,
        "every row has its own block": True,
        "ids beyond the first `period` occur": True,
        "the same seed gives the same tokens": True,
        "another seed gives other tokens": True,
    }


def _bound(case: Case) -> tuple[ModelInput, int, int, int]:
    given = dict(zip(("model", "period", "batch", "seed"), case.args, strict=False)) | case.kwargs
    return given["model"], given.get("period", 16), given.get("batch", 8), given.get("seed", 0)


def _facts(cases: list[Case], answers: list[Any]) -> list[dict]:
    return [_facts_of(index, cases, answers) for index in range(len(answers))]


def _facts_of(index: int, cases: list[Case], answers: list[Any]) -> dict:
    tokens = answers[index]
    if not isinstance(tokens, Tensor) or tokens.ndim != 2:
        raise TypeError("a tensor of token ids, [batch pos], was expected")
    model, period, _, seed = _bound(cases[index])
    bos, d_vocab = model.options.get("bos_token"), model.options.get("d_vocab", 64)
    blocks = tokens if bos is None else tokens[:, 1:]
    rows = [tuple(row) for row in blocks[:, :period].tolist()]
    same_call, other_seed = [], []
    for case, answer in zip(cases, answers, strict=True):
        if _bound(case)[:3] == _bound(cases[index])[:3]:
            (same_call if _bound(case)[3] == seed else other_seed).append(answer)
    return {
        "whole numbers": not tokens.is_floating_point(),
        "shape": list(tokens.shape),
        "every id is in the vocabulary": bool(((tokens >= 0) & (tokens < d_vocab)).all()),
        "BOS comes first where the model has one": bos is None or bool((tokens[:, 0] == bos).all()),
        "the second copy equals the first": torch.equal(blocks[:, :period], blocks[:, period:]),
        "no token stands twice in a block": all(len(set(row)) == len(row) for row in rows),
        "BOS stands inside a block": bos is not None and bool((blocks == bos).any()),
        "every row has its own block": len(set(rows)) == len(rows),
        "ids beyond the first `period` occur": bool((blocks >= period).any()),
        "the same seed gives the same tokens": all(torch.equal(tokens, o) for o in same_call),
        "another seed gives other tokens": not any(torch.equal(tokens, o) for o in other_seed),
    }


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


def _tokens_by_multinomial(model, period=16, batch=8, seed=0):
    return _twice(model, _blocks(model, period, batch, seed))


def _tokens_by_python_random(model, period=16, batch=8, seed=0):
    drawn, bos = random.Random(seed), model.cfg.bos_token
    ids = [i for i in range(model.cfg.d_vocab) if i != bos]
    blocks = [drawn.sample(ids, period) for _ in range(batch)]
    return torch.tensor([([] if bos is None else [bos]) + 2 * block for block in blocks])


def _without_bos(model, period=16, batch=8, seed=0):
    return _blocks(model, period, batch, seed).repeat(1, 2)


def _bos_for_all(model, period=16, batch=8, seed=0):
    return F.pad(_without_bos(model, period, batch, seed), (1, 0), value=model.cfg.bos_token or 0)


def _bos_before_each_copy(model, period=16, batch=8, seed=0):
    return _after_bos(model, _blocks(model, period, batch, seed)).repeat(1, 2)


def _bos_may_be_drawn(model, period=16, batch=8, seed=0):
    return _twice(model, _blocks(model, period, batch, seed, with_bos=True))


def _with_replacement(model, period=16, batch=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return _twice(model, torch.randint(model.cfg.d_vocab, (batch, period), generator=generator))


def _one_block_for_all(model, period=16, batch=8, seed=0):
    return _twice(model, _blocks(model, period, 1, seed).expand(batch, -1))


def _two_blocks(model, period=16, batch=8, seed=0):
    blocks = [_blocks(model, period, batch, 2 * seed + copy) for copy in (0, 1)]
    return _after_bos(model, torch.cat(blocks, dim=1))


def _each_token_twice(model, period=16, batch=8, seed=0):
    return _after_bos(model, _blocks(model, period, batch, seed).repeat_interleave(2, dim=1))


def _whole_row_is_one_period(model, period=16, batch=8, seed=0):
    return _twice(model, _blocks(model, period // 2, batch, seed))


def _low_ids_only(model, period=16, batch=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return _twice(model, torch.rand(batch, period, generator=generator).argsort(dim=1))


def _seed_ignored(model, period=16, batch=8, seed=0):
    return _tokens_by_multinomial(model, period, batch, 0)


def _global_state(model, period=16, batch=8, seed=0):
    return _tokens_by_multinomial(model, period, batch, int(torch.randint(10**6, ())))


_TOKEN_MISTAKES = (
    Mistake("the BOS token is missing", _without_bos,
            "What stood first in every row of this model's training? See `model.cfg.bos_token`."),
    Mistake("BOS in front for every model", _bos_for_all,
            "What is `model.cfg.bos_token` for a toy model, and what is a token 0 to it?"),
    Mistake("a BOS token before each copy", _bos_before_each_copy,
            "How far apart are the two copies of a token now? A sequence begins only once."),
    Mistake("tokens are drawn with replacement", _with_replacement,
            "If a token stands twice in a block, which of the two does the head have to find?"),
    Mistake("BOS can be drawn into a block", _bos_may_be_drawn,
            "BOS already stands at position 0. Which ids are left for the block?"),
    Mistake("all rows share one block", _one_block_for_all,
            "How many independent samples are in your batch? Compare two rows."),
    Mistake("the second half is a new block", _two_blocks,
            "Nothing repeats here: that is the control. How often do you draw a block?"),
    Mistake("each token is followed by itself", _each_token_twice,
            "A A B B is not A B A B. Along which axis does your repeat work, and in which order?"),
    Mistake("`period` is the length of both copies", _whole_row_is_one_period,
            "`period` is the distance from a token to its next copy. How long is one copy then?"),
    Mistake("only the ids below `period` are drawn", _low_ids_only,
            "Which numbers does your shuffle permute? The model knows more tokens than those."),
    Mistake("`seed` has no effect", _seed_ignored,
            "Call it with seed 0 and with seed 1. Which line reads `seed`?"),
    Mistake("the random numbers do not come from `seed`", _global_state,
            "Call it twice with one seed. Does every draw use a generator started from that seed?"),
)  # fmt: skip


# induction_score


def _random_patterns(generator: torch.Generator, *shape: int) -> Tensor:
    scores = 2 * torch.randn(*shape, shape[-1], generator=generator)
    future = torch.ones(shape[-1], shape[-1], dtype=torch.bool).triu(1)
    return scores.masked_fill(future, -math.inf).softmax(dim=-1)


def _score_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Case("BOS and two copies of 6", (_random_patterns(generator, 2, 3, 13), 6)),
        Case("two copies of 5, no BOS", (_random_patterns(generator, 4, 10), 5)),
        Case("three copies of 4", (_random_patterns(generator, 2, 12), 4)),
        Case("one pattern, two copies of 3", (_random_patterns(generator, 6), 3)),
    ]


def _stripe_by_loops(pattern: Tensor, period: int) -> Tensor:
    *leading, n_pos, _ = pattern.shape
    scores = []
    for one in pattern.reshape(-1, n_pos, n_pos).tolist():
        total = 0.0
        for query in range(n_pos - period, n_pos):
            total += one[query][query - period + 1]
        scores.append(total / period)
    return torch.tensor(scores).reshape(leading)


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


def _whole_diagonal(pattern, period):
    return pattern.diagonal(1 - period, -2, -1).mean(dim=-1)


def _one_query_too_many(pattern, period):
    return pattern.diagonal(1 - period, -2, -1)[..., -(period + 1) :].sum(dim=-1) / period


def _half_length_stripe(pattern, period):
    return pattern.diagonal(1 - period, -2, -1).sum(dim=-1) / period


def _last_query_left_out(pattern, period):
    return pattern.diagonal(1 - period, -2, -1)[..., -period:-1].mean(dim=-1)


_SCORE_MISTAKES = (
    Mistake("the key is the token itself, one period back", _mean_on(0),
            "Offset −period leads to the earlier copy of the same token: a duplicate-token head's "
            "target. Which token comes next?"),
    Mistake("the key is the position right before", _on_previous,
            "That is the previous-token score. Where does the second B of A B C A B look?"),
    Mistake("the key is the token before the earlier copy", _mean_on(-1),
            "The head looks at what FOLLOWED the earlier copy. Is that one key further or nearer?"),
    Mistake("one query too many", _one_query_too_many,
            "What does a head that always looks `period − 1` back score? At which query does your "
            "stripe begin, and had that token been seen before?"),
    Mistake("the stripe begins in the first copy", _half_length_stripe,
            "This is the stripe that circulates. How many entries does it have, and by how many do "
            "you divide?"),
    Mistake("the mean runs over the whole diagonal", _whole_diagonal,
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
    Mistake("the last query is left out", _last_query_left_out,
            "The last token was seen before as well. Which token came after it that time?"),
    Mistake("`period` is taken to be half the sequence",
            lambda pattern, period: _stripe_by_index(pattern, pattern.shape[-1] // 2),
            "Your function never needs `period`. Try it on a block that stands three times."),
    Mistake("averaged over batch and heads too",
            lambda pattern, period: _stripe_by_index(pattern, period).mean(),
            "How many heads came in, and how many scores come out? Keep the axes in front."),
)  # fmt: skip


# stray_stripe_entries and uniform_induction_score


def _stray_cases(seed: int) -> list[Case]:
    sizes = ((4, False), (4, True), (2, True), (7 + seed % 3, False))
    return [Case(f"period {p}, {'a' if bos else 'no'} BOS token", (p, bos)) for p, bos in sizes]


def _stray_by_tokens(period: int, has_bos: bool) -> list[tuple[int, int]]:
    tokens = ["BOS"] * has_bos + 2 * [f"token {i}" for i in range(period)]
    stray = []
    for query in range(len(tokens)):
        for key in range(query + 1):
            follows_copy = key > 0 and tokens[key - 1] == tokens[query]
            if query - key == period - 1 and not follows_copy:
                stray.append((query, key))
    return stray


def _stray_by_difference(period, has_bos):
    n_pos = 2 * period + has_bos
    diagonal = {(key + period - 1, key) for key in range(n_pos - period + 1)}
    return sorted(diagonal - {(q, q - period + 1) for q in range(n_pos - period, n_pos)})


def _stray_by_count(period, has_bos):
    return [(period - 1 + key, key) for key in range(1 + int(has_bos))]


def _same_pairs(answer: Any, expected: Any) -> str | None:
    try:
        pairs = sorted((query, key) for query, key in answer)
    except (TypeError, ValueError):
        return f"{summary(answer)} came back, a list of (query, key) was expected."
    return closeness()(pairs, sorted(expected))


_STRAY_MISTAKES = (
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


def _uniform_cases(seed: int) -> list[Case]:
    return [Case(f"period {period}", (period,)) for period in (1, 4, 16, 25 + seed % 5)]


def _uniform_by_pattern(period: int) -> float:
    n_pos = 2 * period
    total = 0.0
    for query in range(n_pos):
        row = [1 / (query + 1)] * (query + 1)
        if query >= period:
            total += row[query - period + 1]
    return total / period


def _harmonic(n: int) -> float:
    return sum(1 / k for k in range(1, n + 1))


def _uniform_by_harmonic(period):
    return (_harmonic(2 * period) - _harmonic(period)) / period


def _uniform_by_tensor(period):
    even = torch.ones(2 * period, 2 * period).tril()
    return float(_stripe_by_index(even / even.sum(dim=1, keepdim=True), period))


_UNIFORM_MISTAKES = (
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


# find_induction_heads


def _model_case(label: str, kind: str, threshold: float | None = None, **options: Any) -> Case:
    kwargs = {} if threshold is None else {"threshold": threshold}
    return Case(label, (ModelInput(kind=kind, options=options),), kwargs)


def _find_cases(seed: int) -> list[Case]:
    offsets = [_model_case(f"a head that looks {back} back whatever the tokens", "fixed_offset",
                           offset=back, seed=seed + back) for back in (15, 11, 7)]  # fmt: skip
    others = [_model_case(f"a decoy: {kind.replace('_', ' ')}", kind, seed=seed + 1)
              for kind in ("duplicate_token", "bos_sink", "previous_token")]  # fmt: skip
    return [
        Case("toy-2l", (_TOY,)),
        Case("toy-2l, threshold 0: every head, in order", (_TOY, 0.0)),
        Case("toy-2l, threshold 0.99", (_TOY, 0.99)),
        Case("toy-1l", (ModelInput(name="toy-1l"),)),
        _model_case("an induction head among 4 a layer", "induction", n_heads=4, seed=seed + 3,
                    d_vocab=40, n_ctx=48),
        _model_case("a model with BOS token 7", "induction", n_heads=3, bos_token=7, d_vocab=33,
                    n_ctx=33, seed=seed),
        _model_case("three heads a layer, threshold 0", "induction", 0.0, n_heads=3, seed=4),
        _model_case("a blurred induction head", "induction", sharpness=4.0, seed=seed + 2),
        _model_case("a very blurred induction head", "induction", sharpness=3.0, seed=seed),
        *offsets,
        _model_case("fixed offset 15, threshold 0.3", "fixed_offset", 0.3, offset=15, seed=seed),
        *others,
    ]  # fmt: skip


def _followed_by_loops(pattern: Tensor, tokens: list[list[int]]) -> Tensor:
    """Attention to keys that follow an earlier copy of the query's token, read off the tokens."""
    totals = []
    for row, ids in enumerate(tokens):
        hits = [(query, key) for query in range(len(ids)) for key in range(1, query + 1)
                if ids[key - 1] == ids[query]]  # fmt: skip
        totals += [sum(pattern[:, row, :, query, key] for query, key in hits) / len(hits)]
    return torch.stack(totals).mean(dim=0)


def _heads_by_loops(model: Any, threshold: float = 0.4) -> list[tuple[int, int, float]]:
    scores = []
    for period in PERIODS:
        tokens = _tokens_by_python_random(model, period, 32, seed=period)
        scores.append(_followed_by_loops(attention_patterns(model, tokens), tokens.tolist()))
    found = []
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            lowest = min(float(score[layer, head]) for score in scores)
            if lowest >= threshold:
                found.append((layer, head, lowest))
    return sorted(found, key=lambda item: item[2], reverse=True)


def _scores(model: Any, periods=PERIODS, batch: int = 8, shift: int = 1) -> Tensor:
    """[period layer batch head]: one stripe of every head on every row."""
    rows = []
    for period in periods:
        patterns = attention_patterns(model, _tokens_by_multinomial(model, period, batch))
        rows.append(_mean_on(shift)(patterns, period))
    return torch.stack(rows)


def _listed(scores: Tensor, threshold: float) -> list[tuple[int, int, float]]:
    """The entries of [layer head] that reach the threshold, in order of layer and head."""
    return [(layer, head, scores[layer, head].item())
            for layer, head in (scores >= threshold).nonzero().tolist()]  # fmt: skip


def _ranked(found: list[tuple[int, int, float]], sign: int = -1) -> list[tuple[int, int, float]]:
    return sorted(found, key=lambda item: sign * item[2])


def _finder(order=_ranked, lowest=lambda scores: scores.amin(dim=0), **options: Any):
    """A detector: what is scored, how the periods are joined, and in which order heads come."""

    def answer(model, threshold=0.4):
        return order(_listed(lowest(_scores(model, **options).mean(dim=2)), threshold))

    return answer


def _heads_with_more_periods(model, threshold=0.4):
    scores = _scores(model, periods=(6, 8, 10, 12, 14, 16), batch=12)
    return _ranked(_listed(scores.mean(dim=2).amin(dim=0), threshold))


def _heads_one_layer_at_a_time(model, threshold=0.4):
    names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(model.cfg.n_layers)]
    best: dict[tuple[int, int], float] = {}
    for period in PERIODS:
        tokens = _tokens_by_python_random(model, period, 10, seed=3)
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
        for layer, name in enumerate(names):
            for head, score in enumerate(_stripe_by_mask(cache[name], period).mean(dim=0).tolist()):
                best[layer, head] = min(score, best.get((layer, head), 1.0))
    return _ranked([(*at, score) for at, score in best.items() if score >= threshold])


def _heads_by_previous(model, threshold=0.4):
    rows = [_on_previous(attention_patterns(model, _tokens_by_multinomial(model, p)), p)
            for p in PERIODS]  # fmt: skip
    return _ranked(_listed(torch.stack(rows).mean(dim=2).amin(dim=0), threshold))


def _rows_for_heads(model, threshold=0.4):
    return _ranked(_listed(_scores(model).mean(dim=3).amin(dim=0), threshold))


def _same_heads(answer: Any, expected: Any) -> str | None:
    """The same heads with close scores, in the same order where scores tell them apart."""
    try:
        mine = _ranked(list(answer))
    except (TypeError, IndexError):
        mine = answer  # Malformed: close_heads says how.
    if said := close_heads(SCORE_TOLERANCE)(mine, _ranked(expected)):
        return said
    given, right = [float(item[2]) for item in answer], [item[2] for item in expected]
    falls = [scores == sorted(scores, reverse=True) for scores in (given, right)]
    apart = any(abs(a - b) > SCORE_TOLERANCE for a, b in zip(given, right, strict=True))
    if apart or falls == [False, True]:
        return f"scores came back in the order {summary(given)}; {summary(right)} was expected."
    return None


_FIND_MISTAKES = (
    Mistake("only period 16 is tried", _finder(periods=(16,)),
            "A head that always looks 15 back is on your list. What would another period say?"),
    Mistake("only period 8 is tried", _finder(periods=(8,)),
            "A head that always looks 7 back is on your list. Which second test would refuse it?"),
    Mistake("the mean over the periods", _finder(lowest=lambda scores: scores.mean(dim=0)),
            "One good period can pay for the others. Which number says that a head passes all?"),
    Mistake("the highest over the periods", _finder(lowest=lambda scores: scores.amax(dim=0)),
            "A head needs one lucky period to pass. Should its best or its worst period count?"),
    Mistake("the stripe of a duplicate-token head", _finder(shift=0),
            "You found heads that look at the same token. Which token should they look at?"),
    Mistake("the previous-token stripe", _heads_by_previous,
            "These heads look one position back, and would do so on any text. Check the offset."),
    Mistake("lowest score first", _finder(order=lambda found: _ranked(found, 1)),
            "A reader wants the clearest head at the top. Which way does `sorted` sort?"),
    Mistake("in order of layer and head", _finder(order=list),
            "The list follows the loop. What should decide the order?"),
    Mistake("(head, layer, score)",
            _finder(order=lambda found: _ranked([(head, layer, s) for layer, head, s in found])),
            "L1H0 is (1, 0). Which axis do your scores have first?"),
    Mistake("`threshold` is ignored", lambda model, threshold=0.4: _finder()(model, 0.4),
            "Ask for threshold=0. Which heads should come back, and which do?"),
    Mistake("averaged over the heads instead of the batch", _rows_for_heads,
            "Your model has as many heads a layer as your batch has rows? Which axis did the mean "
            "remove?"),
)  # fmt: skip


# per_token_loss


def _loss_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, d_vocab, scale in ((2, 5, 7, 2.0), (3, 4, 11, 1.0), (1, 6, 9, 150.0)):
        logits = scale * torch.randn(batch, n_pos, d_vocab, generator=generator)
        tokens = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        size = "large logits" if scale > 100 else "logits"
        cases.append(Case(f"{size} [{batch} {n_pos} {d_vocab}]", (logits, tokens)))
    return cases


def _loss_by_loops(logits: Tensor, tokens: Tensor) -> Tensor:
    rows = []
    for row_logits, row_tokens in zip(logits.tolist(), tokens.tolist(), strict=True):
        losses = []
        for scores, following in zip(row_logits[:-1], row_tokens[1:], strict=True):
            top = max(scores)
            log_total = top + math.log(sum(math.exp(score - top) for score in scores))
            losses.append(log_total - scores[following])
        rows.append(losses)
    return torch.tensor(rows)


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


_LOSS_MISTAKES = (
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


EXERCISES = (
    Exercise(
        name="make_repeated_tokens", difficulty=2, minutes=12,
        why="Every measurement of this chapter stands on these tokens.",
        cases=_token_cases, oracle=_true_of_repeated_tokens, describe=_facts,
        mistakes=_TOKEN_MISTAKES, also_right=(_tokens_by_multinomial, _tokens_by_python_random),
    ),
    Exercise(
        name="induction_score", difficulty=2, minutes=10,
        why="It turns the stripe into a number: the first of four pieces of evidence.",
        cases=_score_cases, oracle=_stripe_by_loops,
        mistakes=_SCORE_MISTAKES, also_right=(_stripe_by_mask, _stripe_by_index),
    ),
    Exercise(
        name="uniform_induction_score", difficulty=2, minutes=8,
        why="A score means something only beside that of a head that does nothing.",
        cases=_uniform_cases, oracle=_uniform_by_pattern,
        mistakes=_UNIFORM_MISTAKES, also_right=(_uniform_by_harmonic, _uniform_by_tensor),
    ),
    Exercise(
        name="stray_stripe_entries", difficulty=2, minutes=8,
        why="The wrong stripe is in code that people copy.",
        cases=_stray_cases, oracle=_stray_by_tokens, compare=_same_pairs,
        mistakes=_STRAY_MISTAKES, also_right=(_stray_by_difference, _stray_by_count),
    ),
    Exercise(
        name="find_induction_heads", difficulty=3, minutes=20,
        why="A detector is worth what it refuses.",
        cases=_find_cases, oracle=_heads_by_loops, compare=_same_heads,
        mistakes=_FIND_MISTAKES, also_right=(_heads_with_more_periods, _heads_one_layer_at_a_time),
    ),
    Exercise(
        name="per_token_loss", difficulty=2, minutes=10,
        why="The pattern says where a head looks; the loss says what the model gains.",
        cases=_loss_cases, oracle=_loss_by_loops,
        mistakes=_LOSS_MISTAKES,
        also_right=(_loss_by_gather, _loss_by_cross_entropy, _loss_by_one_hot),
    ),
)  # fmt: skip
