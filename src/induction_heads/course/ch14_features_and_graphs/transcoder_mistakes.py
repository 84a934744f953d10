"""Known mistakes of chapter 14 on transcoders and pairs of sources, each with its hint."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake

# transcoder_parts


def _strongest(values: Tensor, k: int) -> Tensor:
    """The values, with all but the k largest of each row set to 0."""
    level = values.sort(dim=1, descending=True).values[:, k - 1, None]
    return torch.where(values >= level, values, 0.0)


def parts_by(
    *,
    on: Callable[[Tensor, int], Tensor] = lambda z, k: _strongest(z.relu(), k),
    with_bias: bool = True,
    unit_directions: bool = False,
    finish: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> Callable[..., tuple[Tensor, Tensor]]:
    """The parts of a transcoder; each option changes one step.

    `finish` gets what the features write, the outputs, the decoder's bias and the activations.
    """

    def answer(inputs, outputs, encoder, encoder_bias, decoder, decoder_bias, k):
        f = on(inputs @ encoder + with_bias * encoder_bias, k)
        if unit_directions:
            decoder = decoder / decoder.norm(dim=1, keepdim=True)
        written = torch.einsum("ej,jd->ejd", f, decoder)
        if finish is not None:
            return finish(written, outputs, decoder_bias, f)
        return written, outputs - decoder_bias - written.sum(1)

    return answer


def _by_size(z: Tensor, k: int) -> Tensor:
    """The k largest by absolute value, then the ReLU."""
    level = z.abs().sort(dim=1, descending=True).values[:, k - 1, None]
    return torch.where(z.abs() >= level, z, 0.0).relu()


def _across_examples(z: Tensor, k: int) -> Tensor:
    """For each feature the k examples with the largest activations."""
    kept = min(k, len(z))
    return _strongest(z.relu().T, kept).T


PARTS_MISTAKES = (
    Mistake(
        "all features that are on are kept",
        parts_by(on=lambda z, k: z.relu()),
        "Count the features that write something in an example. How many may there be?",
    ),
    Mistake(
        "no ReLU",
        parts_by(on=_strongest),
        "In the case with most features below zero, can an activation be negative?",
    ),
    Mistake(
        "the largest by absolute value are kept",
        parts_by(on=_by_size),
        "A feature far below zero is off. Does it take up one of the k places in your version?",
    ),
    Mistake(
        "the k largest of each feature, not of each example",
        parts_by(on=_across_examples),
        "Along which axis do you look for the k largest: features, or examples?",
    ),
    Mistake(
        "the bias of the encoder is left out",
        parts_by(with_bias=False),
        "For an input of zeros, which features are on?",
    ),
    Mistake(
        "the error has the opposite sign",
        parts_by(finish=lambda w, y, b, f: (w, w.sum(1) + b - y)),
        "Add the parts, the bias and your error. Is the result what the MLP wrote?",
    ),
    Mistake(
        "the bias of the decoder is counted as an error",
        parts_by(finish=lambda w, y, b, f: (w, y - w.sum(1))),
        "The decoder's bias is written too. Is it part of what the transcoder leaves out?",
    ),
    Mistake(
        "the directions are brought to length 1",
        parts_by(unit_directions=True),
        "Here the rows of the decoder have lengths of their own. What does a feature write?",
    ),
    Mistake(
        "activations, not what the features write",
        parts_by(finish=lambda w, y, b, f: (f, y - b - w.sum(1))),
        "You have one number for each feature. What does the feature add to the stream?",
    ),
)


# feature_contributions


def contributions_by(
    *,
    before: Callable[[Tensor, Tensor], Tensor] = lambda x, scale: (
        (x - x.mean(-1, keepdim=True)) / scale[:, None]
    ),
    after: Callable[[Tensor], Tensor] = lambda y: y - y.mean(-1, keepdim=True),
    weigh: Callable[[Tensor], Tensor] = lambda pattern: pattern,
    stay: Callable[[Tensor, Tensor], Tensor] | None = None,
    head_first: bool = True,
    scaled: bool = True,
) -> Callable[..., Tensor]:
    """Vectors carried forward to the reader; each option changes one step."""

    def answer(sources, pattern, writes, scale_before, scale_after, reads):
        read = before(sources, scale_before)
        found = []
        for share, matrix in zip(weigh(pattern), writes, strict=True):
            found.append((after(read @ matrix) @ reads) * share)
        direct = after(sources) @ reads
        if stay is None:
            direct[:, :-1] = 0
        else:
            direct = stay(direct, after(read) @ reads)
        found = [*found, direct] if head_first else [direct, *found]
        return torch.stack(found) / (scale_after if scaled else 1.0)

    return answer


def _normed_stay(direct: Tensor, normed: Tensor) -> Tensor:
    normed = normed.clone()
    normed[:, :-1] = 0
    return normed


CONTRIBUTION_MISTAKES = (
    Mistake(
        "the norm before the heads does not center",
        contributions_by(before=lambda x, scale: x / scale[:, None]),
        "A layer norm does two things to a vector before it multiplies by its gain. Which one is "
        "missing in front of the heads?",
    ),
    Mistake(
        "the norm behind the heads does not center",
        contributions_by(after=lambda y: y),
        "Add the same number to every entry of what a head writes. Does your answer change, and "
        "should it?",
    ),
    Mistake(
        "every position is divided by the scale of the last one",
        contributions_by(
            before=lambda x, scale: (x - x.mean(-1, keepdim=True)) / scale[-1],
        ),
        "The norm divides each position by a scale of its own. Which one does a head read at p?",
    ),
    Mistake(
        "sources are not divided by the scale before the heads",
        contributions_by(before=lambda x, scale: x - x.mean(-1, keepdim=True)),
        "What is `scale_before` for?",
    ),
    Mistake(
        "nothing is divided by the scale behind the heads",
        contributions_by(scaled=False),
        "The reader sees the stream behind a second norm. What does that divide by?",
    ),
    Mistake(
        "the pattern is left out",
        contributions_by(weigh=torch.ones_like),
        "If a head looks only at position 0, what can come through it from position 1?",
    ),
    Mistake(
        "sources stay at every position",
        contributions_by(stay=lambda direct, normed: direct),
        "Without a head, can anything come to the last position from another one?",
    ),
    Mistake(
        "what stays in the stream goes through the first norm too",
        contributions_by(stay=_normed_stay),
        "The heads read through the first norm. What does a source that uses no head pass?",
    ),
    Mistake(
        "nothing stays in the stream",
        contributions_by(stay=lambda direct, normed: torch.zeros_like(direct)),
        "A source at the last position reaches the reader without any head. Where is that entry?",
    ),
    Mistake(
        "the stream comes first, then the heads",
        contributions_by(head_first=False),
        "Your numbers are right. Which entry of the first axis is for no head?",
    ),
)


# replacement_score


def score_by(
    *,
    size: Callable[[Tensor], Tensor] = torch.abs,
    axis: int = 1,
    normalized: bool = True,
    steps: int | None = None,
    finish: Callable[[Tensor, Tensor, Tensor], Tensor] = lambda reached, i, e: (
        reached[i].sum() / (reached[i].sum() + reached[e].sum())
    ),
) -> Callable[..., float]:
    """A score by powers of the table of shares; each option changes one step.

    `finish` gets what reached each node, and the masks of inputs and errors.
    """

    def answer(edges, is_input, is_error):
        shares = size(edges)
        if normalized:
            total = shares.sum(axis, keepdim=True)
            shares = shares / torch.where(total == 0, torch.ones_like(total), total)
        now = torch.zeros(len(edges))
        now[-1] = 1.0
        reached = now.clone()
        for _ in range(len(edges) if steps is None else steps):
            now = now @ shares
            reached += now
        return finish(reached, is_input, is_error).item()

    return answer


REPLACEMENT_MISTAKES = (
    Mistake(
        "edges keep their signs",
        score_by(size=lambda edges: edges),
        "A node reads +2 from one node and −2 from another. What do your shares divide by?",
    ),
    Mistake(
        "edges are squared",
        score_by(size=torch.square),
        "In proportion to which power of the edges does a node share its influence?",
    ),
    Mistake(
        "each node's outgoing edges sum to 1",
        score_by(axis=0),
        "Influence runs backwards. Does a node share it among those it reads, or those that read "
        "it?",
    ),
    Mistake(
        "edges are not made into shares",
        score_by(normalized=False),
        "A feature reads 40 from an input and 10 from an error node, because its activations are "
        "large. How much of its influence may it pass on?",
    ),
    Mistake(
        "the logit's own edges only",
        score_by(steps=1),
        "Where does the influence go that arrives at a feature?",
    ),
    Mistake(
        "two steps back and no further",
        score_by(steps=2),
        "How many features can there be between an input and the logit?",
    ),
    Mistake(
        "the share of the error nodes",
        score_by(finish=lambda r, i, e: r[e].sum() / (r[i].sum() + r[e].sum())),
        "What does your version return if there are no error nodes?",
    ),
    Mistake(
        "whatever is not an error counts as replaced",
        score_by(finish=lambda r, i, e: 1 - r[e].sum()),
        "Some influence can end at a feature that reads nothing. On which side do you count it?",
    ),
    Mistake(
        "features count as inputs",
        score_by(finish=lambda r, i, e: r[:-1][~e[:-1]].sum() / r[:-1].sum()),
        "A feature passes its influence on. Is it counted again where it arrives?",
    ),
)


# score_attributions


def pairs_by(
    *,
    scale: Callable[[Tensor], float] = lambda W: math.sqrt(W.shape[1]),
    biased: Callable[[Tensor, Tensor], Tensor] = lambda x, b: torch.vstack([x, b]),
    finish: Callable[[Tensor], Tensor] = lambda table: table,
    swapped: bool = False,
) -> Callable[..., Tensor]:
    """A table of pairs; each option changes one step."""

    def answer(query_sources, key_sources, W_Q, W_K, b_Q, b_K):
        if swapped:
            W_Q, W_K = W_K, W_Q
        queries = biased(query_sources @ W_Q, b_Q)
        keys = biased(key_sources @ W_K, b_K)
        return finish(torch.einsum("ad,bd->ab", queries, keys) / scale(W_Q))

    return answer


def _without_bias_pairs(table: Tensor) -> Tensor:
    """The pairs of a source with a bias are left at 0."""
    table = table.clone()
    table[-1, :-1] = 0
    table[:-1, -1] = 0
    return table


SCORE_MISTAKES = (
    Mistake(
        "the score is not divided",
        pairs_by(scale=lambda W: 1.0),
        "Does your table sum to the score that goes into the softmax? What is it divided by?",
    ),
    Mistake(
        "divided by the root of d_model",
        pairs_by(scale=lambda W: math.sqrt(W.shape[0])),
        "The two vectors that are multiplied have d_head entries. Under which root is d_model?",
    ),
    Mistake(
        "divided by d_head, not by its root",
        pairs_by(scale=lambda W: float(W.shape[1])),
        "A score is divided by the square root of something. Did you take the root?",
    ),
    Mistake(
        "the biases are left out",
        pairs_by(biased=lambda x, b: x),
        "Your table is one row and one column short. What else is in a query besides its sources?",
    ),
    Mistake(
        "the biases are added to every source",
        pairs_by(biased=lambda x, b: torch.vstack([x + b, b])),
        "Sum your queries over the sources. How often does the bias occur in the sum?",
    ),
    Mistake(
        "a bias pairs with nothing but the other bias",
        pairs_by(finish=_without_bias_pairs),
        "Multiply out (q + b)(k + c). Which of the four products are in your table?",
    ),
    Mistake(
        "query and key are swapped",
        pairs_by(finish=lambda table: table.T),
        "Your numbers are right. Which side is the first axis?",
    ),
    Mistake(
        "queries are made with the weights of keys",
        pairs_by(swapped=True),
        "Which matrix turns a source at the query into a query?",
    ),
    Mistake(
        "a softmax over the pairs",
        pairs_by(finish=lambda table: table.flatten().softmax(0).view_as(table)),
        "Your entries are shares that sum to 1. What should they sum to?",
    ),
)
