"""Known mistakes of chapter 12 on paths, pruning and the logit lens, and other right answers."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.attention import attention_pattern
from induction_heads.checks.answers.ch07_ablation import forward
from induction_heads.checks.exercise import Mistake

# path_contributions


def paths_by(
    *,
    positions: bool = True,
    stays: Callable[[int], Tensor] = torch.eye,
    from_start: bool = False,
    change: Callable[[Tensor], Tensor] = lambda found: found,
    turned: bool = False,
    query_as_key: bool = False,
    patterns_of_start: bool = False,
) -> Callable[..., Tensor]:
    """Path by path for whole layers; the options turn single steps into misreadings."""

    def answer(model, tokens, query, direction):
        W_V, W_O, n_heads = model.W_V, model.W_O, model.cfg.n_heads
        _, seen, _ = forward(model, tokens[None])
        first = [seen[0, head][0] for head in range(n_heads)]
        second = [seen[1, head][0] for head in range(n_heads)]
        x = model.W_E[tokens] + positions * model.W_pos[: len(tokens)]
        if patterns_of_start:
            second = list(attention_pattern(x @ model.W_Q[1], x @ model.W_K[1]))
        same = torch.eye(len(direction))
        maps = [[W_V[layer, h] @ W_O[layer, h] for h in range(n_heads)] for layer in range(2)]
        found = []
        for a, pattern in enumerate([*first, stays(len(tokens))]):
            row = []
            for b, later in enumerate([*second, torch.eye(len(tokens))]):
                moved = x @ ([*maps[0], same][a]) @ ([*maps[1], same][b]) @ direction
                share = later[:, query] if query_as_key else later[query]
                row.append(moved[:, None] * (pattern if turned else pattern.T) * share)
            found.append(torch.stack(row))
        return change(torch.stack(found)).detach()

    return answer


def _without_stays(found: Tensor) -> Tensor:
    """Only paths through two heads."""
    found = found.clone()
    found[-1], found[:, -1] = 0, 0
    return found


def _without_direct(found: Tensor) -> Tensor:
    found = found.clone()
    found[-1, -1] = 0
    return found


def _backwards(model, tokens, query, direction):
    """Each head's answer is a gradient: what the logit would gain from its input."""
    _, seen, _ = forward(model, tokens[None])
    n_heads, n_pos = model.cfg.n_heads, len(tokens)
    x = model.W_E[tokens] + model.W_pos[:n_pos]
    W_V, W_O = model.W_V, model.W_O
    found = torch.zeros(n_heads + 1, n_heads + 1, n_pos, n_pos)
    for b in range(n_heads + 1):
        for m in range(n_pos):
            if b == n_heads:
                wanted = direction * (m == query)
            else:
                wanted = seen[1, b][0, query, m] * (W_V[1, b] @ (W_O[1, b] @ direction))
            for a in range(n_heads):
                found[a, b, :, m] = seen[0, a][0, m] * (x @ (W_V[0, a] @ (W_O[0, a] @ wanted)))
            found[n_heads, b, m, m] = x[m] @ wanted
    return found.detach()


PATH_MISTAKES = (
    Mistake("the positions are left out", paths_by(positions=False),
            "A path starts in the stream before layer 0. What was added to the token there?"),
    Mistake("a path without a head goes anywhere",
            paths_by(stays=lambda n: torch.ones(n, n).tril()),
            "Without a head in layer 0, can anything come from another position?"),
    Mistake("source and middle are exchanged", paths_by(turned=True),
            "A pattern is [query key]. In layer 0, which of the two is the middle?"),
    Mistake("the answer's last axes are exchanged",
            paths_by(change=lambda found: found.transpose(2, 3)),
            "Your numbers are right. Which comes first in the answer, source or middle?"),
    Mistake("the answer's first axes are exchanged",
            paths_by(change=lambda found: found.transpose(0, 1)),
            "Your numbers are right. Which head comes first in the answer, that of layer 0 or 1?"),
    Mistake("the query is read as a key", paths_by(query_as_key=True),
            "The head of layer 1 looks from the query. Is the query a row or a column of its "
            "pattern?"),
    Mistake("layer 1 looks at the embeddings alone", paths_by(patterns_of_start=True),
            "Patterns are held as they are in the model. What does layer 1 read there?"),
    Mistake("only paths through two heads", paths_by(change=_without_stays),
            "Does your answer sum to what the model has? What is in its last row and column?"),
    Mistake("the direct path is missing", paths_by(change=_without_direct),
            "One path uses no head at all. Which entry is it?"),
)  # fmt: skip
PATH_ALSO_RIGHT = (paths_by(), _backwards)


# paths_formula

COUNT_MISTAKES = (
    Mistake("paths through two heads only", lambda: "H**2 * n*(n + 1)/2",
            "May a path use one head, or none?"),
    Mistake("the source may come after the middle", lambda: "(1 + H*n)**2",
            "A head looks back. How many pairs of a source and a middle are there?"),
    Mistake("positions are left out", lambda: "(1 + H)**2",
            "That counts choices of heads. From how many places can each of them read?"),
    Mistake("one layer has no paths of its own", lambda: "1 + H*n + H**2 * n*(n + 1)/2",
            "A path with one head: which layers can that head be in?"),
    Mistake("the source must come before the middle",
            lambda: "1 + 2*H*n + H**2 * n*(n - 1)/2",
            "Can a head look at its own position?"),
    Mistake("the direct path is not counted", lambda: "2*H*n + H**2 * n*(n + 1)/2",
            "Try H = 0, a model without heads. Is there still a way to the logit?"),
)  # fmt: skip
COUNT_ALSO_RIGHT = (
    lambda: "1 + H*n*(2 + H*(n + 1)/2)",
    lambda: "(1 + H*n)**2 - H**2 * n*(n - 1)/2",
)


# pruned_edges


def kept_by(
    worth: Callable[[Tensor], Tensor] = torch.abs,
    count: Callable[[int], int] = lambda n: n + 1,
) -> Callable[[Tensor, float], Tensor]:
    """Edges in order of `worth` until it reaches the share; `count` turns "below it" to "kept"."""

    def answer(flows, share):
        value = worth(flows.double())
        order = value.argsort(descending=True)
        below = int((value[order].cumsum(0) < share * value.sum()).sum())
        kept = torch.zeros(len(flows), dtype=torch.bool)
        kept[order[: count(below)]] = True
        return kept

    return answer


def _by_ranks(flows, share):
    """An edge stays if the larger ones do not suffice."""
    sizes = flows.double().abs()
    larger = sizes[:, None] < sizes
    return (larger.double() @ sizes) < share * sizes.sum()


def _by_bisection(flows, share):
    """The level above which enough flows is searched for."""
    sizes = flows.double().abs()
    levels = sorted(sizes.tolist())
    low, high = 0, len(levels) - 1
    while low < high:
        middle = (low + high + 1) // 2
        enough = sizes[sizes >= levels[middle]].sum() >= share * sizes.sum()
        low, high = (middle, high) if enough else (low, middle - 1)
    return sizes >= levels[low]


PRUNE_MISTAKES = (
    Mistake("signs count", kept_by(lambda flows: flows),
            "A large negative flow is a large flow. Is it in your graph?"),
    Mistake("negative flows are taken as zero", kept_by(torch.relu),
            "A large negative flow is a large flow. How much of it do you count?"),
    Mistake("squares, not absolute values", kept_by(torch.square),
            "Squares favor the largest. Share of which sum does the definition ask for?"),
    Mistake("one edge too few", kept_by(count=lambda n: n),
            "Add up what you kept. Does it reach the share?"),
    Mistake("one edge too many", kept_by(count=lambda n: n + 2),
            "Leave out the smallest edge that you kept. Is the share still reached?"),
    Mistake("the edges to cut, not those to keep",
            lambda flows, share: ~kept_by()(flows, share),
            "What does True mean in the answer?"),
    Mistake("a share of the number of edges",
            lambda flows, share: flows.abs() >= flows.abs().sort(descending=True).values[
                round(share * len(flows)) - 1],
            "If one edge carries nearly everything, how many do you keep?"),
    Mistake("all edges above a share of the largest",
            lambda flows, share: flows.abs() >= (1 - share) * flows.abs().max(),
            "Ten thousand small edges may carry more than one large one. What do yours sum to?"),
)  # fmt: skip
PRUNE_ALSO_RIGHT = (_by_ranks, _by_bisection)


# logit_lens


def streams(model: Any, tokens: Tensor, positions: bool = True) -> list[Tensor]:
    """The stream before layer 0 and after every layer, from the weights."""
    _, _, written = forward(model, tokens)
    found = [model.W_E[tokens] + positions * model.W_pos[: tokens.shape[1]]]
    for layer in range(model.cfg.n_layers):
        heads = [written[layer, head] for head in range(model.cfg.n_heads)]
        found.append(found[-1] + torch.stack(heads).sum(0))
    return found


def lens_by(
    pick: Callable[[list[Tensor]], list[Tensor]] = lambda found: found,
    read: Callable[[Any, Tensor], Tensor] = lambda model, x: model.ln_final(x) @ model.W_U,
    positions: bool = True,
) -> Callable[..., Tensor]:
    """A lens on some choice of streams, each read in some way."""

    def answer(model, tokens):
        with torch.no_grad():
            chosen = pick(streams(model, tokens, positions))
            return torch.stack([read(model, x) for x in chosen])

    return answer


def _layers_alone(found: list[Tensor]) -> list[Tensor]:
    return [found[0], *(after - before for before, after in pairwise(found))]


def _by_hooks(model, tokens):
    """Hooks that collect, one per stream."""
    seen: list[Tensor] = []

    def collect(value, hook):
        seen.append(value.clone())

    last = model.cfg.n_layers - 1
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(last + 1)]
    names.append(f"blocks.{last}.hook_resid_post")
    model.run_with_hooks(tokens, fwd_hooks=[(name, collect) for name in names])
    return model.unembed(model.ln_final(torch.cat(seen))).unflatten(0, (len(seen), -1)).detach()


LENS_MISTAKES = (
    Mistake("the final layer norm is left out", lens_by(read=lambda model, x: x @ model.W_U),
            "Compare your last entry with the model's logits, on a model that has a layer norm."),
    Mistake("what each layer wrote, not the stream after it", lens_by(_layers_alone),
            "A layer adds to the stream. Does the next one read only what was added?"),
    Mistake("the stream after the last layer is missing", lens_by(lambda found: found[:-1]),
            "How many streams does a model of two layers have?"),
    Mistake("the stream before layer 0 is missing", lens_by(lambda found: found[1:]),
            "What does the model predict before any head has looked?"),
    Mistake("probabilities, not logits",
            lens_by(read=lambda model, x: (model.ln_final(x) @ model.W_U).softmax(-1)),
            "Your numbers are between 0 and 1. Was a softmax asked for?"),
    Mistake("log-probabilities, not logits",
            lens_by(read=lambda model, x: (model.ln_final(x) @ model.W_U).log_softmax(-1)),
            "None of your numbers is above 0. Was a softmax asked for?"),
    Mistake("the depths are in reversed order", lens_by(lambda found: found[::-1]),
            "Which entry should equal the model's own logits, the first or the last?"),
)  # fmt: skip
LENS_ALSO_RIGHT = (lens_by(), _by_hooks)
