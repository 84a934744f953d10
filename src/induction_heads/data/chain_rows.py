"""Rows from Markov chains, one chain per row, and their best predictions (Edelman et al. 2024).

Each row draws its own transition matrix, so the weights cannot learn which states follow which: a
model has to count them in the row.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import seeded

Probabilities = Float[Tensor, "batch pos state"]
"""At each position, the probability of each state to come next."""


def chain_rows(
    n_states: int, n_pos: int, *, batch: int = 8, seed: int | torch.Generator = 0
) -> Int[Tensor, "batch pos"]:
    """Rows of Markov chains, each with its own transition matrix.

    Each row of a matrix is drawn uniformly from all distributions over the states: a Dirichlet
    distribution whose parameters are all 1. The first state is uniform. Raises ValueError for fewer
    than two states or no position.

    >>> chain_rows(3, 10, batch=4).shape
    torch.Size([4, 10])
    """
    if n_states < 2 or n_pos < 1:
        raise ValueError(f"Got {n_states=} and {n_pos=}. Use at least two states and one position.")
    generator = seeded(seed)
    # Exponential variables, divided by their sum, are uniform on the simplex.
    draws = torch.empty(batch, n_states, n_states).exponential_(generator=generator)
    cumulative = (draws / draws.sum(dim=-1, keepdim=True)).cumsum(dim=-1)
    luck, every = torch.rand(batch, n_pos, generator=generator), torch.arange(batch)
    columns = [(luck[:, 0] * n_states).long()]
    for position in range(1, n_pos):
        below = cumulative[every, columns[-1]] < luck[:, position, None]
        columns.append(below.sum(dim=-1).clamp(max=n_states - 1))
    return torch.stack(columns, dim=1)


def bayes_bigram(tokens: Int[Tensor, "batch pos"], n_states: int) -> Probabilities:
    """The probability of each next state, given the row so far: the best prediction.

    With n transitions from the present state so far, m of them to state b, the posterior mean of
    the probability of b is (m + 1) / (n + n_states) under the prior of `chain_rows`.

    >>> bayes_bigram(torch.tensor([[0, 1, 0, 1, 0]]), 2)[0, -1].tolist()  # 0 was followed by 1, 1.
    [0.25, 0.75]
    """
    one_hot = _one_hot(tokens, n_states)
    moves = one_hot[:, :-1, :, None] * one_hot[:, 1:, None, :]
    # [batch pos from to]: the transitions that are complete at a position.
    counts = torch.cat(
        [torch.zeros(len(tokens), 1, n_states, n_states), moves.cumsum(dim=1)], dim=1
    )
    here = torch.einsum("bps,bpst->bpt", one_hot, counts)
    return (here + 1) / (here.sum(dim=-1, keepdim=True) + n_states)


def counted_unigram(
    tokens: Int[Tensor, "batch pos"], n_states: int, pseudo_count: float = 1.0
) -> Probabilities:
    """The share of each state among the tokens so far, with `pseudo_count` added to each count.

    With 1 this is the best prediction if the tokens of a row were independent draws from a
    distribution that is uniform on the simplex. For `chain_rows` they are not, and we know of no
    closed form: choose the pseudo-count with the lowest loss.

    >>> counted_unigram(torch.tensor([[0, 0, 1]]), 2)[0, -1]
    tensor([0.6000, 0.4000])
    """
    counts = _one_hot(tokens, n_states).cumsum(dim=1)
    n_tokens = torch.arange(1, tokens.shape[1] + 1)[:, None]
    return (counts + pseudo_count) / (n_tokens + n_states * pseudo_count)


def prediction_loss(probabilities: Probabilities, tokens: Int[Tensor, "batch pos"]) -> float:
    """The mean loss in nats of predictions of the next state, over all but the last position.

    >>> prediction_loss(torch.full((1, 3, 2), 0.5), torch.tensor([[0, 1, 1]]))
    0.6931471824645996
    """
    right = probabilities[:, :-1].gather(-1, tokens[:, 1:, None])
    return -right.log().mean().item()


def _one_hot(tokens: Int[Tensor, "batch pos"], n_states: int) -> Probabilities:
    if not 0 <= int(tokens.min()) <= int(tokens.max()) < n_states:
        raise ValueError(
            f"Got tokens from {int(tokens.min())} to {int(tokens.max())} for {n_states} states. "
            f"Use ids from 0 to {n_states - 1}."
        )
    return torch.nn.functional.one_hot(tokens, n_states).float()
