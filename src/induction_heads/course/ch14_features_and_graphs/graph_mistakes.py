"""Known mistakes of chapter 14 on paths, pruning and the logit lens, each with its hint."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import forward
from induction_heads.models.attention import attention_pattern
from induction_heads.models.interface import HookedModel

# path_contributions


def paths_by(
    *,
    positions: bool = True,
    stays: Callable[[int], Tensor] = torch.eye,
    change: Callable[[Tensor], Tensor] = lambda flows: flows,
    turned: bool = False,
    query_as_key: bool = False,
    patterns_of_start: bool = False,
    look: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Callable[..., Tensor]:
    """Path by path for whole layers; each option changes one step."""

    def answer(model, tokens, query, direction):
        W_V, W_O, n_heads = model.W_V, model.W_O, model.cfg.n_heads
        _, seen, _ = forward(model, tokens[None])
        first = [seen[0, head][0] for head in range(n_heads)]
        second = [seen[1, head][0] for head in range(n_heads)]
        x = model.W_E[tokens] + positions * model.W_pos[: len(tokens)]
        if patterns_of_start:
            second = list(attention_pattern(x @ model.W_Q[1], x @ model.W_K[1]))
        if look is not None:
            first, x_1 = list(look(x @ model.W_Q[0], x @ model.W_K[0])), x
            for head, pattern in enumerate(first):
                x_1 = x_1 + pattern @ x @ W_V[0, head] @ W_O[0, head]
            second = list(look(x_1 @ model.W_Q[1], x_1 @ model.W_K[1]))
        same = torch.eye(len(direction))
        maps = [[W_V[layer, h] @ W_O[layer, h] for h in range(n_heads)] for layer in range(2)]
        flows = []
        for a, pattern in enumerate([*first, stays(len(tokens))]):
            row = []
            for b, later in enumerate([*second, torch.eye(len(tokens))]):
                moved = x @ ([*maps[0], same][a]) @ ([*maps[1], same][b]) @ direction
                share = later[:, query] if query_as_key else later[query]
                row.append(moved[:, None] * (pattern if turned else pattern.T) * share)
            flows.append(torch.stack(row))
        return change(torch.stack(flows)).detach()

    return answer


def _without_stays(flows: Tensor) -> Tensor:
    """Only paths through two heads."""
    flows = flows.clone()
    flows[-1], flows[:, -1] = 0, 0
    return flows


def _without_direct(flows: Tensor) -> Tensor:
    flows = flows.clone()
    flows[-1, -1] = 0
    return flows


def _at_the_future(queries: Tensor, keys: Tensor) -> Tensor:
    scores = queries @ keys.mT / queries.shape[-1] ** 0.5
    past = torch.ones(scores.shape[-2:]).tril().bool()
    return scores.masked_fill(past, -1e9).softmax(dim=-1)


PATH_MISTAKES = (
    Mistake(
        "the positions are left out",
        paths_by(positions=False),
        "A path starts in the stream before layer 0. What is added to the token embedding there?",
    ),
    Mistake(
        "a path without a head goes anywhere",
        paths_by(stays=lambda n: torch.ones(n, n).tril()),
        "Without a head in layer 0, can anything come from another position?",
    ),
    Mistake(
        "source and middle are swapped",
        paths_by(turned=True),
        "A pattern is [query key]. In layer 0, which of the two is the middle?",
    ),
    Mistake(
        "the answer's last axes are swapped",
        paths_by(change=lambda flows: flows.transpose(2, 3)),
        "Your numbers are right. Which comes first in the answer, source or middle?",
    ),
    Mistake(
        "the answer's first axes are swapped",
        paths_by(change=lambda flows: flows.transpose(0, 1)),
        "Your numbers are right. Which head comes first in the answer, that of layer 0 or 1?",
    ),
    Mistake(
        "the query is read as a key",
        paths_by(query_as_key=True),
        "The head of layer 1 looks from the query. Is the query a row or a column of its pattern?",
    ),
    Mistake(
        "layer 1 looks at the embeddings alone",
        paths_by(patterns_of_start=True),
        "The patterns are those of the model. What does layer 1 read there?",
    ),
    Mistake(
        "only paths through two heads",
        paths_by(change=_without_stays),
        "Does your answer sum to the model's value? What is in its last row and column?",
    ),
    Mistake(
        "the direct path is missing",
        paths_by(change=_without_direct),
        "One path uses no head at all. Which entry is it?",
    ),
    Mistake(
        "queries and keys are swapped in the scores",
        paths_by(look=lambda queries, keys: attention_pattern(keys, queries)),
        "Which of W_Q and W_K makes the vector of the position doing the looking?",
    ),
    Mistake(
        "the mask is inverted: the keys that may be seen are hidden",
        paths_by(look=_at_the_future),
        "Sources after the middle position contribute in your version. Does True in your mask mean "
        "hide or keep?",
    ),
)


# paths_formula

COUNT_MISTAKES = (
    Mistake(
        "paths through two heads only",
        lambda: "H**2 * n*(n + 1)/2",
        "May a path use one head, or none?",
    ),
    Mistake(
        "the source may come after the middle",
        lambda: "(1 + H*n)**2",
        "A head looks back. How many pairs of a source and a middle are there?",
    ),
    Mistake(
        "positions are left out",
        lambda: "(1 + H)**2",
        "That counts choices of heads. How many positions can each of them read from?",
    ),
    Mistake(
        "paths through one head are counted for one layer only",
        lambda: "1 + H*n + H**2 * n*(n + 1)/2",
        "In a path with one head, which layers can that head be in?",
    ),
    Mistake(
        "the source must come before the middle",
        lambda: "1 + 2*H*n + H**2 * n*(n - 1)/2",
        "Can a head look at its own position?",
    ),
    Mistake(
        "the direct path is not counted",
        lambda: "2*H*n + H**2 * n*(n + 1)/2",
        "Try H = 0, a model without heads. Is there still a path to the logit?",
    ),
)


# pruned_edges


def kept_by(
    worth: Callable[[Tensor], Tensor] = torch.abs,
    count: Callable[[int], int] = lambda n: n,
    reached: Callable[[Tensor, Tensor], Tensor] = lambda total, least: total >= least,
) -> Callable[[Tensor, float], Tensor]:
    """Edges in order of `worth` until it reaches the share; `count` turns "needed" to "kept"."""

    def answer(flows, share):
        value = worth(flows.double())
        order = value.argsort(descending=True)
        before = value[order].cumsum(0) - value[order]
        needed = int((~reached(before, share * value.sum())).sum())
        kept = torch.zeros(len(flows), dtype=torch.bool)
        kept[order[: count(needed)]] = True
        return kept

    return answer


PRUNE_MISTAKES = (
    Mistake(
        "signs count",
        kept_by(lambda flows: flows),
        "A large negative flow is a large flow. Is it in your graph?",
    ),
    Mistake(
        "negative flows are taken as zero",
        kept_by(torch.relu),
        "A large negative flow is a large flow. How much of it do you count?",
    ),
    Mistake(
        "squares, not absolute values",
        kept_by(torch.square),
        "Squares favor the largest. Which sum does the definition take a share of?",
    ),
    Mistake(
        "one edge too few",
        kept_by(count=lambda n: max(n - 1, 0)),
        "Add up the edges you kept. Do they reach the share?",
    ),
    Mistake(
        "one edge too many",
        kept_by(count=lambda n: n + 1),
        "Leave out the smallest edge you kept. Is the share still reached?",
    ),
    Mistake(
        "one edge where none is needed",
        kept_by(count=lambda n: max(n, 1)),
        "How many edges do you need for a share of 0?",
    ),
    Mistake(
        "the edges to cut, not those to keep",
        lambda flows, share: ~kept_by()(flows, share),
        "What does True mean in the answer?",
    ),
    Mistake(
        "more than the share, where exactly the share is enough",
        kept_by(reached=lambda total, least: total > least),
        "If one edge carries exactly half and you need half, how many edges do you keep?",
    ),
    Mistake(
        "a share of the number of edges",
        lambda flows, share: (
            flows.abs() >= flows.abs().sort(descending=True).values[round(share * len(flows)) - 1]
        ),
        "If one edge carries nearly everything, how many edges do you keep?",
    ),
    Mistake(
        "all edges above a share of the largest",
        lambda flows, share: flows.abs() >= (1 - share) * flows.abs().max(),
        "Ten thousand small edges may carry more than one large one. What do your edges sum to?",
    ),
)


# logit_lens


def streams(model: HookedModel, tokens: Tensor, positions: bool = True) -> list[Tensor]:
    """The stream before layer 0 and after every layer, from the weights."""
    _, _, written = forward(model, tokens)
    stages = [model.W_E[tokens] + positions * model.W_pos[: tokens.shape[1]]]
    for layer in range(model.cfg.n_layers):
        heads = [written[layer, head] for head in range(model.cfg.n_heads)]
        stages.append(stages[-1] + torch.stack(heads).sum(0))
    return stages


def lens_by(
    pick: Callable[[list[Tensor]], list[Tensor]] = lambda stages: stages,
    read: Callable[[Any, Tensor], Tensor] = lambda model, x: model.ln_final(x) @ model.W_U,
    positions: bool = True,
) -> Callable[..., Tensor]:
    """A lens on some choice of streams, each read in some way."""

    def answer(model, tokens):
        with torch.no_grad():
            chosen = pick(streams(model, tokens, positions))
            return torch.stack([read(model, x) for x in chosen])

    return answer


def _layers_alone(stages: list[Tensor]) -> list[Tensor]:
    return [stages[0], *(after - before for before, after in pairwise(stages))]


LENS_MISTAKES = (
    Mistake(
        "the final layer norm is left out",
        lens_by(read=lambda model, x: x @ model.W_U),
        "On a model with a layer norm, does your last entry equal the model's logits?",
    ),
    Mistake(
        "what each layer wrote, not the stream after it",
        lens_by(_layers_alone),
        "A layer adds to the stream. Does the next one read only what was added?",
    ),
    Mistake(
        "the stream after the last layer is missing",
        lens_by(lambda stages: stages[:-1]),
        "How many streams does a model of two layers have?",
    ),
    Mistake(
        "the stream before layer 0 is missing",
        lens_by(lambda stages: stages[1:]),
        "What does the model predict before any head has looked?",
    ),
    Mistake(
        "probabilities, not logits",
        lens_by(read=lambda model, x: (model.ln_final(x) @ model.W_U).softmax(-1)),
        "Your numbers are between 0 and 1. Does the exercise ask for a softmax?",
    ),
    Mistake(
        "log-probabilities, not logits",
        lens_by(read=lambda model, x: (model.ln_final(x) @ model.W_U).log_softmax(-1)),
        "None of your numbers is above 0. Does the exercise ask for a softmax?",
    ),
    Mistake(
        "the depths are in reverse order",
        lens_by(lambda stages: stages[::-1]),
        "Which entry should equal the model's own logits, the first or the last?",
    ),
)
