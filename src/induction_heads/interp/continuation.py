"""How far a model follows a copy: several tokens from where the last ones match earlier ones."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from induction_heads.interp.natural_repeats import match_lengths

Tokens = Int[Tensor, "row pos"]
Stretches = Int[Tensor, "place ahead"]

BATCH = 64
"""The number of rows that the model continues at a time."""


def match_places(tokens: Tokens, n_ahead: int, shortest: int = 2) -> Int[Tensor, "place 3"]:
    """Row, query and key of every place to continue from.

    The last tokens up to the query, `shortest` or more, equal those before the key. Of several such
    keys it is the one of the longest match, and of equal ones the latest. Only keys count from
    which `n_ahead` tokens lie within what the query sees, and only queries that `n_ahead` tokens
    follow.

    >>> match_places(torch.tensor([[5, 1, 2, 3, 4, 1, 2, 7, 8]]), n_ahead=2)
    tensor([[0, 6, 3]])
    """
    n_pos = tokens.shape[1]
    query, key = torch.arange(n_pos)[:, None], torch.arange(n_pos)
    fits = (key + n_ahead - 1 <= query) & (query + n_ahead < n_pos)
    lengths = match_lengths(tokens) * fits
    latest = n_pos - 1 - lengths.flip(-1).argmax(dim=-1)
    rows, queries = (lengths.amax(dim=-1) >= shortest).nonzero(as_tuple=True)
    return torch.stack([rows, queries, latest[rows, queries]], dim=1)


def stretches(
    tokens: Tokens, rows: Int[Tensor, " place"], starts: Int[Tensor, " place"], n_ahead: int
) -> Stretches:
    """The `n_ahead` tokens of each row from its start on."""
    return tokens[rows[:, None], starts[:, None] + torch.arange(n_ahead)]


@torch.inference_mode()
def greedy_continuations(
    model: nn.Module, tokens: Tokens, places: Int[Tensor, "place 3"], n_ahead: int
) -> Stretches:
    """The model's own continuation after each query: always the most probable next token."""
    found = []
    for part in places.split(BATCH):
        rows, queries, _ = part.unbind(dim=1)
        own, each = tokens[rows], torch.arange(len(part))
        for step in range(n_ahead):  # What lies after a query changes nothing before it.
            own[each, queries + step + 1] = model(own)[each, queries + step].argmax(dim=-1)
        found.append(stretches(own, each, queries + 1, n_ahead))
    return torch.cat(found)


def share_equal_so_far(ours: Stretches, theirs: Stretches) -> Float[Tensor, " ahead"]:
    """Of all places, those at which the first 1, 2, … tokens of both stretches are all equal.

    >>> share_equal_so_far(torch.tensor([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 5]]))
    tensor([1.0000, 0.5000])
    """
    return (ours == theirs).long().cumprod(dim=1).float().mean(dim=0)
