"""A language model that can do nothing but look back: match the context, copy what followed.

Kim et al. 2025 build such models to see how far induction alone goes: the longest exact match in
the context, and where that is short a fuzzy match. They train a similarity for the fuzzy match;
here it is that of the embeddings of a trained model. Where nothing matches, only the frequency of
tokens is left.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import earlier_matches
from induction_heads.interp.natural_repeats import match_lengths

Tokens = Int[Tensor, "batch pos"]
Predictions = Float[Tensor, "batch pos d_vocab"]

LONGEST = 4
"""Matches of this length and longer ones share a weight."""


def longest_match_prediction(tokens: Tokens, d_vocab: int) -> Predictions:
    """What followed the longest earlier match of the last tokens, as a distribution.

    At each position, take the earlier places at which the largest number of last tokens occurred
    (`match_lengths`), and of what followed there each token by its share. All zero where the last
    token has not occurred before.

    >>> longest_match_prediction(torch.tensor([[0, 1, 2, 0, 3, 0]]), d_vocab=4)[0, -1]
    tensor([0.0000, 0.5000, 0.0000, 0.5000])
    >>> longest_match_prediction(torch.tensor([[2, 0, 1, 0, 3, 2, 0]]), d_vocab=4)[0, -1]
    tensor([0., 1., 0., 0.])
    """
    lengths = match_lengths(tokens)
    longest = lengths.amax(dim=-1, keepdim=True)
    keys = ((lengths == longest) & (lengths > 0)).float()
    return _continuations(keys / keys.sum(dim=-1, keepdim=True).clamp_min(1), tokens, d_vocab)


def fuzzy_match_prediction(
    tokens: Tokens,
    embedding: Float[Tensor, "id d_model"],
    *,
    window: int = 3,
    sharpness: float = 4.0,
) -> Predictions:
    """What followed similar earlier tokens, each by a softmax of how similar they were.

    The similarity of two places is the sum, over the last `window` tokens, of the cosines of their
    embeddings, the last token first and each earlier one at half the weight of the one after it.
    All zero at position 0, which has nothing before it. Raises ValueError for a window below 1.
    """
    if window < 1:
        raise ValueError(f"Got window={window}. A match is at least one token long.")
    unit = embedding / embedding.norm(dim=1, keepdim=True)
    cosines = unit[tokens] @ unit[tokens].mT
    similar = cosines.clone()
    for back in range(1, window):
        similar[:, back:, back:] += 0.5**back * cosines[:, :-back, :-back]
    n_pos = tokens.shape[1]
    later = torch.ones(n_pos, n_pos, dtype=torch.bool).triu()
    weights = (sharpness * similar).masked_fill(later, -torch.inf).softmax(dim=-1).nan_to_num()
    to_next = weights.roll(1, dims=-1)  # Position 0 follows nothing; the last key had weight 0.
    return _continuations(to_next, tokens, embedding.shape[0])


def _continuations(
    weights: Float[Tensor, "batch query key"], tokens: Tokens, d_vocab: int
) -> Predictions:
    """The weight of each id: that of all keys that hold it."""
    found = torch.zeros(*tokens.shape, d_vocab)
    return found.scatter_add_(2, tokens[:, None, :].expand_as(weights), weights)


def match_strength(tokens: Tokens) -> Int[Tensor, "batch pos"]:
    """The length of the longest match at each position, at most `LONGEST`."""
    return match_lengths(tokens).amax(dim=-1).clamp(max=LONGEST)


def of_next_token(predictions: Predictions, tokens: Tokens) -> Float[Tensor, "batch next_pos"]:
    """The probability that was given to the token that came next; the last position has none."""
    return predictions[:, :-1].gather(2, tokens[:, 1:, None])[..., 0]


def fitted_shares(
    chances: Float[Tensor, "batch next_pos source"],
    lengths: Int[Tensor, "batch next_pos"],
    steps: int = 60,
) -> Float[Tensor, "length source"]:
    """How far to trust each source after a match of each length: the mixture of lowest loss.

    `chances` are the probabilities that each source gave to the next token (`of_next_token`), and
    `lengths` the match lengths there. Entry [k, source] is the weight of a source after a match of
    k tokens; each row sums to 1. Found by expectation maximization, from equal weights. One source,
    such as the frequency of tokens, must never give 0.
    """
    shares = torch.full((LONGEST + 1, chances.shape[-1]), 1 / chances.shape[-1])
    for _ in range(steps):
        parts = shares[lengths] * chances
        credit = parts / parts.sum(dim=-1, keepdim=True)
        for length in lengths.unique().tolist():
            shares[length] = credit[lengths == length].mean(dim=0)
    return shares


def mixture_losses(
    chances: Float[Tensor, "batch next_pos source"],
    lengths: Int[Tensor, "batch next_pos"],
    shares: Float[Tensor, "length source"],
) -> Float[Tensor, "batch next_pos"]:
    """The loss of a mixture on each next token, in nats."""
    return -(shares[lengths] * chances).sum(dim=-1).log()


MIXTURES = {
    "frequency": (0,),
    "exact": (0, 1),
    "fuzzy": (0, 2),
    "exact and fuzzy": (0, 1, 2),
    "fuzzy, shuffled": (0, 3),
}
"""Name → the sources that are mixed, as columns of `source_chances`."""


def source_chances(
    tokens: Tokens,
    embedding: Float[Tensor, "id d_model"],
    frequency: Float[Tensor, " id"],
    seed: int = 0,
) -> Float[Tensor, "batch next_pos source"]:
    """The probability of each next token by frequency, exact match, fuzzy match, and its control.

    The control is the fuzzy match with the embeddings shuffled among the ids: equal tokens still
    match exactly, and all other similarities are by chance.
    """
    order = torch.randperm(len(embedding), generator=torch.Generator().manual_seed(seed))
    predictions = (
        longest_match_prediction(tokens, len(embedding)),
        fuzzy_match_prediction(tokens, embedding),
        fuzzy_match_prediction(tokens, embedding[order]),
    )
    looked_up = [of_next_token(prediction, tokens) for prediction in predictions]
    return torch.stack([frequency[tokens[:, 1:]], *looked_up], dim=-1)


def look_up_losses(
    tokens: Tokens,
    fitted_on: Tokens,
    embedding: Float[Tensor, "id d_model"],
    frequency: Float[Tensor, " id"],
) -> dict[str, float]:
    """The mean loss on `tokens`, in nats, of each mixture of `MIXTURES`.

    How far each source is trusted after a match of each length is fitted on other rows
    (`fitted_shares`). `frequency` is a distribution that gives every token more than 0.
    """
    fit, tried = (source_chances(rows, embedding, frequency) for rows in (fitted_on, tokens))
    fit_lengths, lengths = (match_strength(rows)[:, :-1] for rows in (fitted_on, tokens))
    losses = {}
    for name, which in MIXTURES.items():
        shares = fitted_shares(fit[..., list(which)], fit_lengths)
        losses[name] = mixture_losses(tried[..., list(which)], lengths, shares).mean().item()
    return losses


def longest_match_choice(tokens: Tokens, d_vocab: int) -> Int[Tensor, "batch next_pos"]:
    """The first choice of `longest_match_prediction` for each next token."""
    return longest_match_prediction(tokens, d_vocab)[:, :-1].argmax(dim=-1)


def latest_copy_choice(tokens: Tokens) -> Int[Tensor, "batch next_pos"]:
    """What followed the latest copy of the last token alone; −1 where there is none.

    >>> latest_copy_choice(torch.tensor([[3, 1, 3, 2, 3, 0]]))
    tensor([[-1, -1,  1, -1,  2]])
    """
    places = torch.arange(tokens.shape[1])
    latest = torch.where(earlier_matches(tokens), places, -1).amax(dim=-1)[:, :-1]
    return torch.where(latest >= 0, tokens.gather(1, latest + 1), -1)


def agreement_by_length(
    choices: Int[Tensor, "batch next_pos"], tokens: Tokens, d_vocab: int
) -> Float[Tensor, " length"]:
    """How often choices are those of the longest match, where it has 1, 2, … `LONGEST` tokens.

    `choices` are a model's first choices, or the next tokens themselves.
    """
    same = longest_match_choice(tokens, d_vocab) == choices
    lengths = match_strength(tokens)[:, :-1]
    shares = [same[lengths == length].float().mean() for length in range(1, LONGEST + 1)]
    return torch.stack(shares)


def sides_taken(
    choices: Int[Tensor, "batch next_pos"], tokens: Tokens, d_vocab: int
) -> tuple[float, float]:
    """How often choices are those of the longest match and of the latest copy, where these differ.

    Counted are the places with a match of at least two tokens.
    """
    longest, latest = longest_match_choice(tokens, d_vocab), latest_copy_choice(tokens)
    apart = (match_strength(tokens)[:, :-1] >= 2) & (longest != latest)
    with_longest, with_latest = (
        (each == choices)[apart].float().mean().item() for each in (longest, latest)
    )
    return with_longest, with_latest
