"""Known mistakes of chapter 3 with their hints, and other correct implementations."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.checks.exercise import Mistake
from induction_heads.tokens import distinct_tokens

Heads = list[tuple[int, int, float]]


def head_weights(model: Any, layer: int, head: int) -> list[Tensor]:
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


def _gap_from_logit(weight: float, n_keys: int) -> float:
    return torch.logit(torch.tensor(weight, dtype=torch.float64)).item() + math.log(n_keys - 1)


def _gap_from_one_other(weight: float, n_keys: int) -> float:
    """Each other key gets an equal part of what is left; the gap is the log of the ratio."""
    return math.log(weight) - math.log((1 - weight) / (n_keys - 1))


GAP_MISTAKES = (
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
)  # fmt: skip

GAP_ALSO_RIGHT = (_gap_from_logit, _gap_from_one_other)


# positional_pattern


def _pattern_with(
    scale: str | None = "d_head", mask: bool = True, swapped: bool = False, over: int = -1,
    token: bool = False, first_head: bool = False,
) -> Callable[..., Tensor]:  # fmt: skip
    """A positional pattern with one thing wrong."""

    def answer(model: Any, layer: int, head: int) -> Tensor:
        W_Q, W_K, _, _ = head_weights(model, layer, 0 if first_head else head)
        x = model.W_pos + model.W_E.mean(dim=0) if token else model.W_pos
        scores = (x @ W_Q) @ (x @ W_K).T
        scores = scores if scale is None else scores / getattr(model.cfg, scale) ** 0.5
        scores = scores.T if swapped else scores
        future = torch.ones_like(scores).triu(1).bool()
        return (scores.masked_fill(future, -1e9) if mask else scores).softmax(dim=over)

    return answer


def _pattern_from_qk_circuit(model: Any, layer: int, head: int) -> Tensor:
    W_Q, W_K, _, _ = head_weights(model, layer, head)
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


PATTERN_MISTAKES = (
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
)  # fmt: skip

PATTERN_ALSO_RIGHT = (_pattern_from_qk_circuit, _pattern_from_forward_pass)


# find_previous_token_heads


def find_by(score: Callable[[Tensor], Any], length: int = 64) -> Callable[..., Heads]:
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


_right_heads = find_by(lambda pattern: _one_back(pattern).mean())


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
            W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
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


FIND_MISTAKES = (
    Mistake("the main diagonal is scored", find_by(lambda p: _one_back(p, 0)[:, 1:].mean()),
            "A head that looks one back scores 0 for you. On which diagonal is the key one "
            "less than the query?"),
    Mistake("two back is scored", find_by(lambda pattern: _one_back(pattern, -2).mean()),
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
    Mistake("one query decides", find_by(lambda pattern: _one_back(pattern).amax()),
            "Does one query that looks one back make a previous-token head? What stands in "
            "the definition: the mean or the largest?"),
    Mistake("the share of queries that look there most", find_by(_largest_weight_is_one_back),
            "A query with 0.3 on its largest key counts as a full hit for you. What would a "
            "mean of weights make of it?"),
    Mistake("query 0 is counted",
            find_by(lambda p: _one_back(p).sum() / (p.shape[0] * p.shape[1])),
            "A perfect head gets less than 1 from you. How many queries have a previous "
            "token?"),
    Mistake("the rows are short", find_by(lambda pattern: _one_back(pattern).mean(), length=8),
            "Your score belongs to the first positions only. How long may a row be in this "
            "model, and does the head do the same everywhere?"),
)  # fmt: skip

FIND_ALSO_RIGHT = (_find_from_weights, _find_with_hooks)


# previous_token_readout


def head_on_rows(model: Any, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens [batch pos], the head's pattern [batch query key] and what it writes."""
    tokens = _random_rows(model, batch=8, seed=4)
    W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
    x = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
    pattern = _visible_softmax((x @ W_Q) @ (x @ W_K).mT / math.sqrt(model.cfg.d_head))
    return tokens, pattern, pattern @ x @ W_V @ W_O


def _read_as(
    candidates: Callable[[Any, Tensor, int], Tensor], back: int = 1, start: int = 1
) -> Callable[..., float]:
    """A readout with other candidates, another token to name, or another first position."""

    def answer(model: Any, layer: int, head: int) -> float:
        tokens, _, written = head_on_rows(model, layer, head)
        _, _, W_V, W_O = head_weights(model, layer, head)
        right = []
        for i in range(start, tokens.shape[1]):
            distances = torch.cdist(written[:, i], candidates(model, W_V @ W_O, i))
            right.append(distances.argmin(dim=-1) == tokens[:, i - back])
        return torch.stack(right).float().mean().item()

    return answer


def _what_it_would_write(model: Any, W_OV: Tensor, i: int) -> Tensor:
    return (model.W_E + model.W_pos[i - 1]) @ W_OV


def _weights_one_back(*given: Any) -> Tensor:
    return _one_back(head_on_rows(*given)[1])


def _readout_from_hooks(model: Any, layer: int, head: int) -> float:
    """From z of a forward pass; |w|² is left out, as it is the same for every candidate."""
    tokens = _random_rows(model, batch=12, seed=9)
    _, cache = model.run_with_cache(tokens)
    _, _, W_V, W_O = head_weights(model, layer, head)
    written = cache[f"blocks.{layer}.attn.hook_z"][:, 1:, head] @ W_O
    candidates = (model.W_E + model.W_pos[: written.shape[1], None]) @ W_V @ W_O
    products = torch.einsum("bpm,pvm->bpv", written, candidates)
    nearest = (products - candidates.square().sum(dim=-1) / 2).argmax(dim=-1)
    return (nearest == tokens[:, :-1]).double().mean().item()


def _readout_row_by_row(model: Any, layer: int, head: int) -> float:
    """One row at a time, all positions and candidates at once, the circuits formed first."""
    W_Q, W_K, W_V, W_O = head_weights(model, layer, head)
    W_QK, W_OV = W_Q @ W_K.T / model.cfg.d_head**0.5, W_V @ W_O
    shares = []
    for row in _random_rows(model, batch=20, seed=21):
        x = model.W_E[row] + model.W_pos[: len(row)]
        written = _visible_softmax(x @ W_QK @ x.T) @ x @ W_OV
        candidates = (model.W_E + model.W_pos[: len(row) - 1, None]) @ W_OV
        nearest = (candidates - written[1:, None]).square().sum(dim=-1).argmin(dim=-1)
        shares.append((nearest == row[:-1]).float().mean().item())
    return sum(shares) / len(shares)


READOUT_MISTAKES = (
    Mistake("the current token is read",
            _read_as(lambda model, W_OV, i: (model.W_E + model.W_pos[i]) @ W_OV, back=0),
            "A perfect previous-token head gets almost nothing from you. Whose token should "
            "be found in what is written at position i?"),
    Mistake("almost no reading is right, whatever the head does",
            _read_as(lambda model, W_OV, i: model.W_E + model.W_pos[i - 1]),
            "Are your candidates vectors that this head can write, or embeddings? What does it "
            "do to a residual stream before it writes?"),
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
)  # fmt: skip

READOUT_ALSO_RIGHT = (_readout_from_hooks, _readout_row_by_row)
