"""The checks of chapter 3: score gaps, positional patterns, previous-token heads, readouts."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks.compare import close_heads, closeness
from induction_heads.checks.exercise import Case, Exercise, Mistake, ModelInput
from induction_heads.hand_built import hand_built_heads
from induction_heads.tokens import distinct_tokens

Heads = list[tuple[int, int, float]]


def _hand_built(kind: str, **options: Any) -> ModelInput:
    return ModelInput(kind=kind, options=options)


def _weights(model: Any, layer: int, head: int) -> list[Tensor]:
    """W_Q, W_K, W_V and W_O of one head."""
    return [getattr(model, name)[layer, head] for name in ("W_Q", "W_K", "W_V", "W_O")]


def _visible_softmax(scores: Tensor) -> Tensor:
    future = torch.ones_like(scores).triu(1).bool()
    return scores.masked_fill(future, -torch.inf).softmax(dim=-1)


def _random_rows(model: Any, batch: int, seed: int) -> Tensor:
    n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab)
    noise = torch.rand(batch, model.cfg.d_vocab, generator=torch.Generator().manual_seed(seed))
    return noise.argsort(dim=-1)[:, :n_pos]


# score_gap_needed


def _gap_cases(seed: int) -> list[Case]:
    draw = torch.rand(2, generator=torch.Generator().manual_seed(seed)).tolist()
    weight, n_keys = round(0.6 + 0.3 * draw[0], 3), 20 + int(100 * draw[1])
    given = [(0.5, 2), (weight, n_keys), (0.99, 1024), (0.25, 4), (0.05, 8)]
    return [Case(f"weight {w} among {n} keys", (w, n)) for w, n in given]


def _gap_by_bisection(weight: float, n_keys: int) -> float:
    """Raise or lower the first score until a softmax gives it that weight. No formula is used."""
    low, high = -60.0, 60.0
    for _ in range(80):
        scores = torch.zeros(n_keys, dtype=torch.float64)
        scores[0] = middle = (low + high) / 2
        low, high = (middle, high) if scores.softmax(dim=0)[0] < weight else (low, middle)
    return round(low, 9) + 0.0  # not minus zero


def _gap_from_logit(weight: float, n_keys: int) -> float:
    return torch.logit(torch.tensor(weight, dtype=torch.float64)).item() + math.log(n_keys - 1)


def _gap_from_one_other(weight: float, n_keys: int) -> float:
    """Each other key gets an equal part of what is left; the gap is the log of the ratio."""
    return math.log(weight) - math.log((1 - weight) / (n_keys - 1))


SCORE_GAP_NEEDED = Exercise(
    name="score_gap_needed",
    difficulty=2,
    minutes=10,
    why="It says how large the scores of a head must be before it can be called sharp.",
    cases=_gap_cases,
    oracle=_gap_by_bisection,
    mistakes=(
        Mistake("two keys, whatever n_keys is", lambda w, n: math.log(w / (1 - w)),
                "Does it become harder to stand out when there are more keys? Does your answer "
                "change with n_keys?"),
        Mistake("the key competes with itself", lambda w, n: math.log(w * n / (1 - w)),
                "How many of the n_keys scores are the others? Try 2 keys and half the weight."),
        Mistake("the other keys' weight is left out", lambda w, n: math.log(w * (n - 1)),
                "In e^g / (e^g + n − 1) the unknown stands twice. Did you collect both?"),
        Mistake("the sign is turned around", lambda w, n: -math.log(w * (n - 1) / (1 - w)),
                "Must a key that gets most of the weight lie above or below the others?"),
        Mistake("the logarithm has another base", lambda w, n: math.log2(w * (n - 1) / (1 - w)),
                "Of which number does a softmax take powers?"),
        Mistake("the gap is not a logarithm", lambda w, n: w * (n - 1) / (1 - w),
                "You have e^g. The gap is g."),
    ),
    also_right=(_gap_from_logit, _gap_from_one_other),
)  # fmt: skip

# positional_pattern


def _pattern_cases(seed: int) -> list[Case]:
    weak = {"d_vocab": 6, "n_ctx": 9, "n_heads": 3, "sharpness": 2.0, "offset": 1, "seed": seed}
    _, found = hand_built_heads("previous_token", n_heads=3, seed=seed)["previous_token"]
    far = {"d_vocab": 5, "n_ctx": 8, "offset": 3, "sharpness": 4.0, "seed": seed + 1}
    _, offset = hand_built_heads("fixed_offset", seed=seed + 1)["fixed_offset"]
    return [
        Case("a weak previous-token head", (_hand_built("previous_token", **weak), 0, found)),
        Case("a head of layer 1", (_hand_built("fixed_offset", **far), 1, offset)),
        Case("L0H0 of toy-2l", (ModelInput("toy-2l"), 0, 0)),
        Case("L1H1 of toy-2l", (ModelInput("toy-2l"), 1, 1)),
    ]


def _pattern_loop(model: Any, layer: int, head: int) -> Tensor:
    """Query by query and key by key, in double precision."""
    W_Q, W_K, _, _ = _weights(model, layer, head)
    queries, keys = (model.W_pos.double() @ W.double() for W in (W_Q, W_K))
    pattern = torch.zeros(len(queries), len(keys))
    for i, query in enumerate(queries):
        shares = [math.exp(float(query @ key) / math.sqrt(len(query))) for key in keys[: i + 1]]
        for j, share in enumerate(shares):
            pattern[i, j] = share / sum(shares)
    return pattern


def _pattern_with(
    scale: str | None = "d_head", mask: bool = True, swapped: bool = False, over: int = -1,
    token: bool = False, first_head: bool = False,
) -> Callable[..., Tensor]:  # fmt: skip
    """A positional pattern with one thing wrong."""

    def answer(model: Any, layer: int, head: int) -> Tensor:
        W_Q, W_K, _, _ = _weights(model, layer, 0 if first_head else head)
        x = model.W_pos + model.W_E.mean(dim=0) if token else model.W_pos
        scores = (x @ W_Q) @ (x @ W_K).T
        scores = scores if scale is None else scores / getattr(model.cfg, scale) ** 0.5
        scores = scores.T if swapped else scores
        future = torch.ones_like(scores).triu(1).bool()
        return (scores.masked_fill(future, -1e9) if mask else scores).softmax(dim=over)

    return answer


def _pattern_from_qk_circuit(model: Any, layer: int, head: int) -> Tensor:
    W_Q, W_K, _, _ = _weights(model, layer, head)
    scores = model.W_pos @ (W_Q @ W_K.T) @ model.W_pos.T / model.cfg.d_head**0.5
    visible = torch.exp(scores - scores.max()).tril()
    return visible / visible.sum(dim=-1, keepdim=True)


def _pattern_from_forward_pass(model: Any, layer: int, head: int) -> Tensor:
    """Run the model with the residual stream before that layer replaced by the positions."""
    seen = {}

    def only_positions(residual: Tensor, hook: Any) -> Tensor:
        return model.W_pos[None].expand_as(residual)

    def keep(pattern: Tensor, hook: Any) -> None:
        seen["pattern"] = pattern[0, head].clone()

    hooks = [(f"blocks.{layer}.hook_resid_pre", only_positions),
             (f"blocks.{layer}.attn.hook_pattern", keep)]  # fmt: skip
    model.run_with_hooks(torch.zeros(1, model.cfg.n_ctx, dtype=torch.long), fwd_hooks=hooks)
    return seen["pattern"]


POSITIONAL_PATTERN = Exercise(
    name="positional_pattern",
    difficulty=2,
    minutes=10,
    why="It separates what the positions ask for from what the tokens ask for.",
    cases=_pattern_cases,
    oracle=_pattern_loop,
    compare=closeness(atol=1e-4),
    mistakes=(
        Mistake("the future is not masked", _pattern_with(mask=False),
                "How much may query 0 give to key 5? Look at the first row of your answer."),
        Mistake("the mask comes after the softmax",
                lambda *given: _pattern_with(mask=False)(*given).tril(),
                "Add up a row of your answer. Where did the rest of its weight go?"),
        Mistake("the scores are not scaled", _pattern_with(scale=None),
                "Your pattern is too sharp. What do the scores go through before the softmax?"),
        Mistake("the scale is that of the residual stream", _pattern_with(scale="d_model"),
                "How many numbers are multiplied and summed in one dot product of a query and a "
                "key? The scale depends on that width."),
        Mistake("queries and keys are exchanged", _pattern_with(swapped=True),
                "Which of W_Q and W_K does the position that looks go through, and is that "
                "position a row or a column of the pattern?"),
        Mistake("the softmax runs over the queries", _pattern_with(over=0),
                "Which should sum to 1: the weights one query hands out, or the weights one key "
                "receives?"),
        Mistake("a token is still in the input", _pattern_with(token=True),
                "Your residual stream holds an average token too. What is left of a position "
                "when all tokens are taken away?"),
        Mistake("the head is always head 0", _pattern_with(first_head=True),
                "Two heads of one layer gave you the same pattern. Which index picks the head?"),
    ),
    also_right=(_pattern_from_qk_circuit, _pattern_from_forward_pass),
)  # fmt: skip

# find_previous_token_heads


def _find_cases(seed: int) -> list[Case]:
    sizes = {"d_vocab": 16, "n_ctx": 24, "n_heads": 3, "seed": seed}
    weak = _hand_built("previous_token", **(sizes | {"sharpness": 3.0}))
    one_back = _hand_built("fixed_offset", **(sizes | {"offset": 1, "seed": seed + 1}))
    two_back = _hand_built("fixed_offset", **(sizes | {"offset": 2}))
    return [
        Case("one previous-token head", (_hand_built("previous_token", **sizes),)),
        Case("a head of layer 1 that looks one back", (one_back,)),
        Case("a decoy that looks two back", (two_back,)),
        Case("a decoy, a duplicate-token head", (_hand_built("duplicate_token", **sizes),)),
        Case("a decoy that looks at position 0", (_hand_built("bos_sink", **sizes),)),
        Case("an induction circuit", (_hand_built("induction", **(sizes | {"d_vocab": 12})),)),
        Case("a weak head, threshold=0.8", (weak, 0.8)),
        Case("a weak head, threshold=0, every head", (weak,), {"threshold": 0.0}),
        Case("toy-2l", (ModelInput("toy-2l"),)),
        Case("toy-1l, which has none", (ModelInput("toy-1l"),)),
    ]


def _find_loop(model: Any, threshold: float = 0.4) -> Heads:
    """Every row, every query, one weight at a time."""

    def score(pattern: Tensor) -> float:
        weights = [float(row[query, query - 1]) for row in pattern for query in range(1, len(row))]
        return sum(weights) / len(weights)

    return _find_by(score)(model, threshold)


def _find_by(score: Callable[[Tensor], Any], length: int = 64) -> Callable[..., Heads]:
    """The heads whose `score` of a pattern [batch query key] reaches the threshold."""

    def answer(model: Any, threshold: float = 0.4) -> Heads:
        n_pos = min(model.cfg.n_ctx, model.cfg.d_vocab, length)
        tokens = distinct_tokens(model.cfg.d_vocab, n_pos, batch=8, seed=11)
        _, cache = model.run_with_cache(tokens)
        found = []
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):
                pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head]
                found.append((layer, head, float(score(pattern))))
        return sorted([item for item in found if item[2] >= threshold], key=lambda item: -item[2])

    return answer


def _one_back(pattern: Tensor, offset: int = -1) -> Tensor:
    return pattern.diagonal(offset, dim1=-2, dim2=-1)


_right_heads = _find_by(lambda pattern: _one_back(pattern).mean())


def _largest_weight_is_one_back(pattern: Tensor) -> Tensor:
    largest = pattern[:, 1:].argmax(dim=-1)
    return (largest == torch.arange(largest.shape[-1])).float().mean()


def _find_from_weights(model: Any, threshold: float = 0.4) -> Heads:
    """Layer by layer from the weights, without the model's own forward pass."""
    tokens = _random_rows(model, batch=16, seed=5)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    found, queries = [], torch.arange(1, tokens.shape[1])
    for layer in range(model.cfg.n_layers):
        added = torch.zeros_like(x)
        for head in range(model.cfg.n_heads):
            W_Q, W_K, W_V, W_O = _weights(model, layer, head)
            pattern = _visible_softmax((x @ W_Q) @ (x @ W_K).mT / math.sqrt(model.cfg.d_head))
            added = added + pattern @ x @ W_V @ W_O
            found.append((layer, head, pattern[:, queries, queries - 1].mean().item()))
        x = x + added
    return sorted([item for item in found if item[2] >= threshold], key=lambda item: -item[2])


def _find_with_hooks(model: Any, threshold: float = 0.4) -> Heads:
    """Score inside a hook; the mask marks one entry for each query."""
    tokens = _random_rows(model, batch=12, seed=3)
    mask = torch.diag(torch.ones(tokens.shape[1] - 1), -1)
    found: Heads = []

    def hook(pattern: Tensor, hook: Any) -> None:
        scores = (pattern * mask).sum(dim=(-2, -1)).mean(dim=0) / mask.sum()
        layer = int(hook.name.split(".")[1])
        found.extend((layer, head, score) for head, score in enumerate(scores.tolist()))

    patterns = (lambda name: name.endswith("hook_pattern"), hook)
    model.run_with_hooks(tokens, fwd_hooks=[patterns])
    kept = [head for head in found if head[2] >= threshold]
    return sorted(kept, key=lambda head: head[2], reverse=True)


def _compare_heads(answer: Any, expected: Any) -> str | None:
    """Scores within 0.02: other random rows change them by less than 0.01."""
    scores = [score for *_, score in expected]
    if isinstance(answer, list) and scores == sorted(scores):  # True of a mistake's order too.
        answer, expected = answer[::-1], expected[::-1]
    return close_heads(atol=0.02)(answer, expected)


FIND_PREVIOUS_TOKEN_HEADS = Exercise(
    name="find_previous_token_heads",
    difficulty=3,
    minutes=20,
    why="A claim about a head starts with a list that other people can reproduce.",
    cases=_find_cases,
    oracle=_find_loop,
    compare=_compare_heads,
    mistakes=(
        Mistake("the main diagonal is scored", _find_by(lambda p: _one_back(p, 0)[:, 1:].mean()),
                "A head that looks one back scores 0 for you. On which diagonal is the key one "
                "less than the query?"),
        Mistake("two back is scored", _find_by(lambda pattern: _one_back(pattern, -2).mean()),
                "Which key does query 5 have in the entries you average?"),
        Mistake("only layer 0 is searched",
                lambda *given, **named: [h for h in _right_heads(*given, **named) if h[0] == 0],
                "That these heads come early is a finding. What would you never see if the "
                "search assumed it?"),
        Mistake("head and layer are exchanged",
                lambda *given, **named: [(h, l, s) for l, h, s in _right_heads(*given, **named)],  # noqa: E741
                "In L1H0, which number comes first? The tuple follows the same order."),
        Mistake("the lowest score comes first",
                lambda *given, **named: _right_heads(*given, **named)[::-1],
                "Which head should a reader of the list meet first?"),
        Mistake("the threshold is always 0.4", lambda model, threshold=0.4: _right_heads(model),
                "What does your function return for threshold=0? How many heads are there?"),
        Mistake("one query decides", _find_by(lambda pattern: _one_back(pattern).amax()),
                "Does one query that looks one back make a previous-token head? What stands in "
                "the definition: the mean or the largest?"),
        Mistake("the share of queries that look there most", _find_by(_largest_weight_is_one_back),
                "A query with 0.3 on its largest key counts as a full hit for you. What would a "
                "mean of weights make of it?"),
        Mistake("query 0 is counted",
                _find_by(lambda p: _one_back(p).sum() / (p.shape[0] * p.shape[1])),
                "A perfect head gets less than 1 from you. How many queries have a previous "
                "token?"),
        Mistake("the rows are short", _find_by(lambda pattern: _one_back(pattern).mean(), length=8),
                "Your score belongs to the first positions only. How long may a row be in this "
                "model, and does the head do the same everywhere?"),
    ),
    also_right=(_find_from_weights, _find_with_hooks),
)  # fmt: skip

# previous_token_readout


def _readout_cases(seed: int) -> list[Case]:
    strong = _hand_built("previous_token", d_vocab=32, n_ctx=24, n_heads=3, seed=seed)
    weak = _hand_built("previous_token", d_vocab=24, n_ctx=30, sharpness=0.5, seed=seed + 1)
    _, head = hand_built_heads("previous_token", n_heads=3, seed=seed)["previous_token"]
    _, weak_head = hand_built_heads("previous_token", seed=seed + 1)["previous_token"]
    return [
        Case("a previous-token head", (strong, 0, head)),
        Case("a head that attends evenly and writes nothing", (strong, 0, (head + 1) % 3)),
        Case("a head with little more weight one back than elsewhere", (weak, 0, weak_head)),
        Case("L0H0 of toy-2l", (ModelInput("toy-2l"), 0, 0)),
        Case("L0H1 of toy-2l", (ModelInput("toy-2l"), 0, 1)),
        Case("L0H0 of toy-1l", (ModelInput("toy-1l"), 0, 0)),
    ]


def _head_on_rows(model: Any, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [batch pos], the head's pattern [batch query key] and what it writes."""
    tokens = _random_rows(model, batch=8, seed=4)
    W_Q, W_K, W_V, W_O = _weights(model, layer, head)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    pattern = _visible_softmax((x @ W_Q) @ (x @ W_K).mT / math.sqrt(model.cfg.d_head))
    return tokens, pattern, pattern @ x @ W_V @ W_O


def _readout_loop(model: Any, layer: int, head: int) -> float:
    """One row, one position, one candidate at a time."""
    tokens, pattern, _ = _head_on_rows(model, layer, head)
    _, _, W_V, W_O = _weights(model, layer, head)
    right = 0
    for row, weights in zip(tokens.tolist(), pattern, strict=True):
        writes = [(model.W_E[t] + model.W_pos[j]) @ W_V @ W_O for j, t in enumerate(row)]
        for i in range(1, len(row)):
            written = sum(weights[i, j] * writes[j] for j in range(i + 1))
            candidates = (model.W_E + model.W_pos[i - 1]) @ W_V @ W_O
            distances = [float((written - candidate).norm()) for candidate in candidates]
            right += distances.index(min(distances)) == row[i - 1]
    return right / (tokens.shape[0] * (tokens.shape[1] - 1))


def _read_as(
    candidates: Callable[[Any, Tensor, int], Tensor], back: int = 1, start: int = 1
) -> Callable[..., float]:
    """A readout with other candidates, another token to name, or another first position."""

    def answer(model: Any, layer: int, head: int) -> float:
        tokens, _, written = _head_on_rows(model, layer, head)
        _, _, W_V, W_O = _weights(model, layer, head)
        right = []
        for i in range(start, tokens.shape[1]):
            distances = torch.cdist(written[:, i], candidates(model, W_V @ W_O, i))
            right.append(distances.argmin(dim=-1) == tokens[:, i - back])
        return torch.stack(right).float().mean().item()

    return answer


def _what_it_would_write(model: Any, W_OV: Tensor, i: int) -> Tensor:
    return (model.W_E + model.W_pos[i - 1]) @ W_OV


def _weights_one_back(*given: Any) -> Tensor:
    return _one_back(_head_on_rows(*given)[1])


def _readout_from_hooks(model: Any, layer: int, head: int) -> float:
    """From z of a forward pass; |w|² is left out, as it is the same for every candidate."""
    tokens = _random_rows(model, batch=12, seed=9)
    _, cache = model.run_with_cache(tokens)
    _, _, W_V, W_O = _weights(model, layer, head)
    written = cache[f"blocks.{layer}.attn.hook_z"][:, 1:, head] @ W_O
    candidates = (model.W_E + model.W_pos[: written.shape[1], None]) @ W_V @ W_O
    products = torch.einsum("bpm,pvm->bpv", written, candidates)
    nearest = (products - candidates.square().sum(dim=-1) / 2).argmax(dim=-1)
    return (nearest == tokens[:, :-1]).double().mean().item()


def _readout_row_by_row(model: Any, layer: int, head: int) -> float:
    """One row at a time, all positions and candidates at once, the circuits formed first."""
    W_Q, W_K, W_V, W_O = _weights(model, layer, head)
    W_QK, W_OV = W_Q @ W_K.T / model.cfg.d_head**0.5, W_V @ W_O
    shares = []
    for row in _random_rows(model, batch=20, seed=21):
        x = model.W_E[row] + model.W_pos[: len(row)]
        written = _visible_softmax(x @ W_QK @ x.T) @ x @ W_OV
        candidates = (model.W_E + model.W_pos[: len(row) - 1, None]) @ W_OV
        nearest = (candidates - written[1:, None]).square().sum(dim=-1).argmin(dim=-1)
        shares.append((nearest == row[:-1]).float().mean().item())
    return sum(shares) / len(shares)


def _compare_readouts(answer: Any, expected: Any) -> str | None:
    """Within 0.05, which covers other random rows; a readout without errors has no spread."""
    return closeness(atol=1e-6 if expected == 1.0 else 0.05, rtol=0.0)(answer, expected)


PREVIOUS_TOKEN_READOUT = Exercise(
    name="previous_token_readout",
    difficulty=4,
    minutes=30,
    why="A pattern says where a head looks. This says what later layers can learn from it.",
    cases=_readout_cases,
    oracle=_readout_loop,
    compare=_compare_readouts,
    mistakes=(
        Mistake("the current token is read",
                _read_as(lambda model, W_OV, i: (model.W_E + model.W_pos[i]) @ W_OV, back=0),
                "A perfect previous-token head gets almost nothing from you. Whose token should "
                "be found in what is written at position i?"),
        Mistake("the candidates did not go through the OV circuit",
                _read_as(lambda model, W_OV, i: model.W_E + model.W_pos[i - 1]),
                "You compare the output with vectors that this head does not write, such as "
                "embeddings. What does it do to a residual stream before it writes?"),
        Mistake("the attention is averaged, the output is not used",
                lambda *given: _weights_one_back(*given).mean().item(),
                "You returned the previous-token score. Which matrices say what a head writes, "
                "and do they occur in your answer?"),
        Mistake("where the head looks is counted",
                lambda *given: (_weights_one_back(*given) > 0.5).float().mean().item(),
                "A weight below one half can still leave a readable trace. Compare outputs, not "
                "weights: what is nearest to what was written?"),
        Mistake("the head is assumed to look one back", lambda model, layer, head: 1.0,
                "A head that attends evenly gets 1 from you. Which pattern did you use: the one "
                "the head has, or the one it should have?"),
        Mistake("position 0 is counted", _read_as(_what_it_would_write, start=0),
                "A perfect head gets less than 1 from you. Which token comes before position 0, "
                "and what does Python return for index −1?"),
        Mistake("a percentage", lambda *given: 100 * _read_as(_what_it_would_write)(*given),
                "Is a share of all readings larger than 1?"),
    ),
    also_right=(_readout_from_hooks, _readout_row_by_row),
)  # fmt: skip

EXERCISES = (SCORE_GAP_NEEDED, POSITIONAL_PATTERN, FIND_PREVIOUS_TOKEN_HEADS,
             PREVIOUS_TOKEN_READOUT)  # fmt: skip
