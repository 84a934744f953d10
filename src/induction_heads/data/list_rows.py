"""Rows that begin with a list of words, and go on with words of the list and others.

A head that copies the list is right about each of its words until the word has been said, and wrong
from then on, if no word of the list is said twice.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

N_WORDS, N_LISTED, N_SAID = 20, 6, 9
"""The words, those on a list, and those that are said after it."""

D_VOCAB, N_CTX = N_WORDS + 1, N_LISTED + 1 + N_SAID
END_OF_LIST = 0
FROM_LIST = 0.8
"""The chance that the next word is one of the list, as long as one can come."""

Rows = Int[Tensor, "batch pos"]
Words = Bool[Tensor, "batch d_vocab"]


def next_word_chances(
    listed: Words, said: Words, *, again: bool = False
) -> Float[Tensor, "batch d_vocab"]:
    """How likely each word is to come next, in a row with these listed and said words.

    With a chance of `FROM_LIST` it is a word of the list that has not been said, all of them alike;
    with `again`, any word of the list. Otherwise, or if none is left, it is a word that is not on
    the list, said before or not.
    """
    is_word = torch.arange(D_VOCAB) != END_OF_LIST
    ours, others = (listed if again else listed & ~said).float(), (is_word & ~listed).float()
    left = ours.sum(dim=-1, keepdim=True)
    share = torch.where(left > 0, FROM_LIST, 0.0)
    return share * ours / left.clamp_min(1) + (1 - share) * others / others.sum(-1, keepdim=True)


def list_rows(generator: torch.Generator, *, batch: int = 32, again: bool = False) -> Rows:
    """Six different words, id 0, and nine words drawn by `next_word_chances`.

    >>> row = list_rows(torch.Generator().manual_seed(0), batch=1)[0]
    >>> len(row), row[6].item(), len(set(row[:6].tolist()))
    (16, 0, 6)
    """
    order = torch.rand(batch, N_WORDS, generator=generator).argsort(dim=1)
    columns = [order[:, :N_LISTED] + 1, torch.full((batch, 1), END_OF_LIST)]
    listed = torch.zeros(batch, D_VOCAB, dtype=torch.bool).scatter_(1, columns[0], True)
    said = torch.zeros_like(listed)
    for _ in range(N_SAID):
        chances = next_word_chances(listed, said, again=again)
        columns.append(torch.multinomial(chances, 1, generator=generator))
        said.scatter_(1, columns[-1], True)
    return torch.cat(columns, dim=1)


def listed_and_said(
    tokens: Rows,
) -> tuple[Bool[Tensor, "batch said d_vocab"], Bool[Tensor, "batch said d_vocab"]]:
    """For each query that a said word follows: which words are on the list, and which were said.

    The queries are the positions from the end of the list to the last but one.
    """
    batch = len(tokens)
    listed = torch.zeros(batch, D_VOCAB, dtype=torch.bool).scatter_(1, tokens[:, :N_LISTED], True)
    once = torch.zeros(batch, N_SAID, D_VOCAB, dtype=torch.bool)
    once.scatter_(2, tokens[:, N_LISTED:-1, None], True)
    said = once.cummax(dim=1).values
    said[..., END_OF_LIST] = False
    return listed[:, None].expand_as(said), said
