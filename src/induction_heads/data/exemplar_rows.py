"""Rows of exemplars and labels: the label of the last exemplar is in the row, or known by heart.

A row is `x₁ y₁ x₂ y₂ x₃ y₃ x₄ y₄ x`, and then the label of x. An exemplar stands for a class, and
each class has one of 16 labels. The label of a class is the same in all training rows, so it
can be learned by heart (*in weights*). If the class also occurs among the four pairs, it can be
copied from there (*in context*). Rows of this kind are those of Chan et al. (2022), Reddy (2024)
and Singh et al. (2023); there rows are longer and the exemplars of a class vary. Here a class has a
single exemplar.

Label l is token l, and the exemplar of class c is token 16 + c. The last `N_HELD_OUT` classes are
never in a training row.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import seeded

N_LABELS, N_PAIRS, N_HELD_OUT = 16, 4, 64
N_CTX = 2 * N_PAIRS + 2
"""The pairs, the last exemplar and its label."""

Rows = Int[Tensor, "batch pos"]
Classes = Int[Tensor, "batch _"]


@dataclass(frozen=True)
class RowKind:
    """How the classes of training rows are drawn.

    In a bursty row `4 / copies` classes occur `copies` times each, and the last exemplar is one of
    them. In any other row all five classes are drawn independently. `bursty` is the share of bursty
    rows. A class of rank r is drawn in proportion to r to the power of `-exponent`: 0 is uniform, 1
    is Zipf's law.
    """

    n_classes: int = 1024
    copies: int = 2
    bursty: float = 1.0
    exponent: float = 0.0

    def __post_init__(self) -> None:
        if self.copies < 1 or N_PAIRS % self.copies:
            raise ValueError(
                f"copies={self.copies}: use a divisor of {N_PAIRS}, so that the pairs of a row are "
                "shared out evenly."
            )
        if self.n_classes <= N_PAIRS // self.copies:
            raise ValueError(
                f"n_classes={self.n_classes}: a row needs {N_PAIRS // self.copies + 1} different "
                "classes."
            )
        if not 0 <= self.bursty <= 1:
            raise ValueError(f"bursty={self.bursty}: use a share from 0 to 1.")

    @property
    def d_vocab(self) -> int:
        """Labels, classes and held-out classes."""
        return N_LABELS + self.n_classes + N_HELD_OUT

    @property
    def per_row(self) -> int:
        """The number of classes of a bursty row."""
        return N_PAIRS // self.copies


def class_labels(kind: RowKind, seed: int | torch.Generator = 0) -> Int[Tensor, " class"]:
    """The fixed label of each class, drawn evenly; those of held-out classes are never shown.

    >>> class_labels(RowKind(n_classes=64)).shape
    torch.Size([128])
    """
    return torch.randint(N_LABELS, (kind.n_classes + N_HELD_OUT,), generator=seeded(seed))


def class_weights(kind: RowKind) -> Float[Tensor, " class"]:
    """How often each class is drawn, up to a factor; 0 for held-out classes.

    >>> class_weights(RowKind(n_classes=3, exponent=1.0))[:4]
    tensor([1.0000, 0.5000, 0.3333, 0.0000])
    """
    ranks = torch.arange(1, kind.n_classes + 1).float()
    return torch.cat([ranks**-kind.exponent, torch.zeros(N_HELD_OUT)])


def as_tokens(classes: Classes, labels: Int[Tensor, "batch _"]) -> Rows:
    """Each class as its exemplar, each followed by its label.

    >>> as_tokens(torch.tensor([[0, 2]]), torch.tensor([[5, 7]]))
    tensor([[16,  5, 18,  7]])
    """
    return torch.stack([N_LABELS + classes, labels], dim=-1).flatten(1)


def training_rows(
    kind: RowKind, labels: Int[Tensor, " class"], generator: torch.Generator, *, batch: int = 64
) -> Rows:
    """Rows as in training: bursty ones and others, all with the fixed labels.

    >>> kind = RowKind(n_classes=64)
    >>> rows = training_rows(kind, class_labels(kind), torch.Generator().manual_seed(0), batch=3)
    >>> rows.shape  # Four pairs, the last exemplar and its label.
    torch.Size([3, 10])
    """
    weights = class_weights(kind)
    chosen = _distinct(weights, kind.per_row, generator, batch)
    bursty = torch.cat([_context(chosen, kind.copies, generator), chosen[:, :1]], dim=1)
    if kind.bursty < 1:
        places = batch * (N_PAIRS + 1)
        drawn = torch.multinomial(weights, places, replacement=True, generator=generator)
        is_bursty = torch.rand(batch, 1, generator=generator) < kind.bursty
        bursty = torch.where(is_bursty, bursty, drawn.view(batch, -1))
    return as_tokens(bursty, labels[bursty])


def held_out_rows(kind: RowKind, *, batch: int = 512, seed: int | torch.Generator = 0) -> Rows:
    """Bursty rows of held-out classes, whose labels hold for one row: only the context helps.

    The classes of a row have different labels.
    """
    generator, weights = seeded(seed), torch.zeros(kind.n_classes + N_HELD_OUT)
    weights[kind.n_classes :] = 1
    chosen = _distinct(weights, kind.per_row, generator, batch)
    order = torch.rand(batch, N_LABELS, generator=generator).argsort(dim=1)
    return _relabeled(chosen, order[:, : kind.per_row], kind.copies, generator)


def absent_rows(
    kind: RowKind,
    labels: Int[Tensor, " class"],
    *,
    batch: int = 512,
    seed: int | torch.Generator = 0,
) -> Rows:
    """Rows whose last class is not among the pairs: only what was learned by heart helps."""
    generator = seeded(seed)
    chosen = _distinct(class_weights(kind), kind.per_row + 1, generator, batch)
    classes = torch.cat([_context(chosen[:, 1:], kind.copies, generator), chosen[:, :1]], dim=1)
    return as_tokens(classes, labels[classes])


def conflict_rows(
    kind: RowKind,
    labels: Int[Tensor, " class"],
    *,
    batch: int = 512,
    seed: int | torch.Generator = 0,
) -> Rows:
    """Bursty rows of trained classes with other labels: the context and the weights disagree.

    The labels of the row are all different, and none of them is the fixed label of the last class.
    The last token is the label of the context.
    """
    generator = seeded(seed)
    chosen = _distinct(class_weights(kind), kind.per_row, generator, batch)
    luck = torch.rand(batch, N_LABELS, generator=generator)
    luck.scatter_(1, labels[chosen[:, :1]], 2.0)  # Last in the order.
    return _relabeled(chosen, luck.argsort(dim=1)[:, : kind.per_row], kind.copies, generator)


def _distinct(
    weights: Float[Tensor, " class"], count: int, generator: torch.Generator, batch: int
) -> Classes:
    """`count` different classes for each row. A row in which one comes twice is drawn again."""

    def drawn(n_rows: int) -> Classes:
        places = torch.multinomial(weights, n_rows * count, replacement=True, generator=generator)
        return places.view(n_rows, count)

    chosen = drawn(batch)
    while True:
        again = (chosen.sort(dim=1).values.diff(dim=1) == 0).any(dim=1)
        if not again.any():
            return chosen
        chosen[again] = drawn(int(again.sum()))


def _context(chosen: Classes, copies: int, generator: torch.Generator) -> Classes:
    """Each class `copies` times, in random order."""
    repeated = chosen.repeat(1, copies)
    return repeated.gather(1, torch.rand(repeated.shape, generator=generator).argsort(dim=1))


def _relabeled(
    chosen: Classes, row_labels: Int[Tensor, "batch _"], copies: int, generator: torch.Generator
) -> Rows:
    """Rows that ask for the first of the chosen classes; class i of a row has label i of it."""
    order = _context(torch.arange(chosen.shape[1]).expand(len(chosen), -1), copies, generator)
    place = torch.cat([order, torch.zeros(len(chosen), 1, dtype=torch.long)], dim=1)
    return as_tokens(chosen.gather(1, place), row_labels.gather(1, place))
