"""Rows that state facts: a subject, some fillers, a relation, and the tail that a fixed table has.

As in Ren et al. 2024, a fact is a triple. What they call its head token is the *subject* here, so
that "head" means an attention head only.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens, seeded

N_SUBJECTS, N_RELATIONS, N_FILLERS = 16, 2, 14
FIRST_RELATION = N_SUBJECTS
FIRST_FILLER = N_SUBJECTS + N_RELATIONS
FIRST_TAIL = FIRST_FILLER + N_FILLERS
D_VOCAB = FIRST_TAIL + N_RELATIONS * N_SUBJECTS
N_POS = 32
MOST_FILLERS = 3

Rows = Int[Tensor, "batch pos"]


@dataclass(frozen=True)
class Facts:
    """Rows of facts, and where each fact is asked.

    `subjects[row, query]` is the position of the subject if the query is a relation, and −1 for
    every other query. `relations[row, query]` is the number of that relation, or −1.
    """

    tokens: Rows
    subjects: Rows
    relations: Rows

    def subjects_of(self, relation: int) -> Rows:
        """`subjects` for one relation, −1 elsewhere."""
        return self.subjects.where(self.relations == relation, -1)

    def tail_is_new(self) -> Bool[Tensor, "batch pos"]:
        """At which relations the tail, which is the next token, has not been in the row before."""
        following = self.tokens.roll(-1, dims=1)
        seen = (self.tokens[:, None, :] == following[:, :, None]).tril().any(dim=-1)
        return ~seen & (self.relations >= 0)


def fact_table(seed: int | torch.Generator = 0) -> Int[Tensor, "relation subject"]:
    """The tail of every subject under each relation: each relation has 16 tails of its own.

    >>> fact_table().shape
    torch.Size([2, 16])
    >>> fact_table().unique().tolist() == list(range(32, 64))
    True
    """
    generator = seeded(seed)
    order = [torch.randperm(N_SUBJECTS, generator=generator) for _ in range(N_RELATIONS)]
    first = FIRST_TAIL + N_SUBJECTS * torch.arange(N_RELATIONS)
    return torch.stack(order) + first[:, None]


def tail_of(relation: int, table: Int[Tensor, "relation subject"] | None = None) -> Tensor:
    """[id] the tail of each id under a relation, and −1 for other ids."""
    tails = torch.full((D_VOCAB,), -1)
    tails[:N_SUBJECTS] = (fact_table() if table is None else table)[relation]
    return tails


def facts(generator: torch.Generator, *, batch: int = 32) -> Facts:
    """Rows of `N_POS` tokens made of facts, one after the other; the last may be cut off.

    Each fact is a subject, up to three fillers, a relation, and the tail of the table. Subject,
    relation and fillers are drawn at random, so only the table says what the tail is.

    >>> rows = facts(torch.Generator().manual_seed(0), batch=2)
    >>> rows.tokens.shape
    torch.Size([2, 32])
    """
    size = N_POS + MOST_FILLERS + 3  # The last fact may begin at the last position.
    number = N_POS // 3 + 1
    table, row = fact_table(), torch.arange(batch)
    tokens = torch.randint(FIRST_FILLER, FIRST_TAIL, (batch, size), generator=generator)
    subject = torch.randint(N_SUBJECTS, (batch, number), generator=generator)
    relation = torch.randint(N_RELATIONS, (batch, number), generator=generator)
    fillers = torch.randint(MOST_FILLERS + 1, (batch, number), generator=generator)
    subjects, relations = torch.full_like(tokens, -1), torch.full_like(tokens, -1)
    start = torch.zeros(batch, dtype=torch.long)
    for index in range(number):
        asked = start + fillers[:, index] + 1
        inside = asked + 1 < size
        at, first, last = row[inside], start[inside], asked[inside]
        s, r = subject[inside, index], relation[inside, index]
        tokens[at, first], tokens[at, last] = s, FIRST_RELATION + r
        tokens[at, last + 1] = table[r, s]
        subjects[at, last], relations[at, last] = first, r
        start = asked + 2
    return Facts(*(each[:, :N_POS].contiguous() for each in (tokens, subjects, relations)))


def copied_rows(generator: torch.Generator, *, batch: int = 32) -> Rows:
    """A block of 8 to 16 distinct tokens, of all kinds, over and over."""
    block = distinct_tokens(D_VOCAB, 16, batch, generator)
    period = torch.randint(8, 17, (batch, 1), generator=generator)
    return block.gather(1, torch.arange(N_POS) % period)


SHARES = {"facts": (32, 0), "both": (10, 22), "copies": (0, 32)}
"""Name → the rows of facts and of copies in a batch."""


def mixed_rows(kind: str, generator: torch.Generator) -> Rows:
    """One batch: rows of facts, then rows of copies. Raises ValueError for an unknown kind."""
    if kind not in SHARES:
        raise ValueError(f"kind={kind!r} is not known. The kinds are {', '.join(SHARES)}.")
    n_facts, n_copies = SHARES[kind]
    parts = [facts(generator, batch=n_facts).tokens] if n_facts else []
    parts += [copied_rows(generator, batch=n_copies)] if n_copies else []
    return torch.cat(parts)
