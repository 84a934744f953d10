"""Rows of tokens with arrows of attention above them, and running text with attention in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from induction_heads.figures.drawings.parts import (
    SMALL,
    TOKEN,
    WIDTH,
    Drawing,
    arrow,
    cells,
    drawing,
    token,
    words,
)

LETTER = 7.9  # Width of a letter of running text, in units.


@dataclass(frozen=True)
class Attention:
    """An arrow from the position `key` to the position `query`."""

    key: int
    query: int
    weight: float
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """Tokens, arrows above them, and a title in words; `kinds` styles single tokens."""

    title: str
    tokens: Sequence[str]
    arrows: Sequence[Attention] = ()
    kinds: Sequence[str] = ()
    note: str = ""


def token_rows(rows: Sequence[Row], alt: str) -> Drawing:
    """Rows below each other, each with its title."""
    parts, top = [], 12.0
    for row in rows:
        parts.append(words(2, top, row.title, size=12, kind="strong"))
        parts.append(words(WIDTH - 2, top, row.note, size=SMALL, anchor="end"))
        step = min(44.0, (WIDTH - TOKEN[0] - 4) / max(1, len(row.tokens) - 1))
        places = [TOKEN[0] / 2 + 2 + step * index for index in range(len(row.tokens))]
        rises = [10 + 3.4 * abs(each.query - each.key) for each in row.arrows]
        base = top + 14 + max(rises, default=0.0)
        small = step < TOKEN[0]
        kinds = row.kinds or [""] * len(row.tokens)
        for x, letter, kind in zip(places, row.tokens, kinds, strict=True):
            parts.append(
                _box(x, base, letter, kind, step) if small else token(x, base, letter, kind=kind)
            )
        for each, rise in zip(row.arrows, rises, strict=True):
            start, end = (places[each.key], base - 1), (places[each.query], base - 1)
            parts.append(arrow(start, end, each.kind, weight=each.weight, bend=(0, -2 * rise)))
        top = base + (20 if small else TOKEN[1]) + 24
    return drawing(parts, top - 10, alt)


def _box(x: float, y: float, letter: str, kind: str, step: float) -> str:
    """A token of a long row."""
    return (
        f'<rect class="token {kind}" x="{x - step / 2 + 1:.1f}" y="{y:g}" width="{step - 2:.1f}" '
        f'height="20" rx="3"/>{words(x, y + 10, letter, size=12, anchor="middle")}'
    )


def running_text(
    tokens: Sequence[str], weights: Sequence[float], query: int, alt: str, kind: str = "induction"
) -> Drawing:
    """Text as tokens: the darker, the more attention from the outlined one."""
    parts, x, y = [], 2.0, 6.0
    for index, (piece, weight) in enumerate(zip(tokens, weights, strict=True)):
        shown = piece.replace("\n", "⏎")
        width = LETTER * len(shown) + 5
        if x + width > WIDTH:
            x, y = 2.0, y + 30
        outline = "query" if index == query else ""
        parts.append(
            f'<rect class="piece {outline}" x="{x:.1f}" y="{y:g}" width="{width - 2:.1f}" '
            f'height="24" rx="3"/>'
        )
        if weight >= 0.02:
            parts.append(
                f'<rect class="cell {kind}" x="{x:.1f}" y="{y:g}" width="{width - 2:.1f}" '
                f'height="24" rx="3" fill-opacity="{0.75 * weight:.2f}"/>'
            )
        parts.append(words(x + 1.5, y + 12, shown.replace(" ", "\u00a0"), kind="code", size=13))
        x += width
        if "\n" in piece:
            x, y = 2.0, y + 30
    return drawing(parts, y + 32, alt)


def arcs_and_matrix(labels: Sequence[str], pattern: Sequence[Sequence[float]], alt: str) -> Drawing:
    """One pattern twice: arrows from the keys to each query, and a table of the same numbers."""
    parts = []
    places = [22 + 40 * index for index in range(len(labels))]
    base = 92.0
    for query, row in enumerate(pattern):
        for key, weight in enumerate(row[:query]):
            if weight >= 0.05:
                rise = 26 + 14 * (query - key)
                start, end = (places[key], base - 2), (places[query], base - 2)
                parts.append(arrow(start, end, "previous", weight=weight, bend=(0, -rise)))
    parts += [token(x, base, label) for x, label in zip(places, labels, strict=True)]
    side, left, top = 26.0, WIDTH - 2 - 26.0 * len(labels), 30.0
    parts.append(cells(pattern, left, top, side, "previous", causal=True))
    for index, label in enumerate(labels):
        middle = index * side + side / 2
        parts.append(words(left + middle, top - 9, label, size=12, anchor="middle"))
        parts.append(words(left - 6, top + middle, label, size=12, anchor="end"))
    parts.append(words(WIDTH - 2, 146, "key across, query down", size=SMALL, anchor="end"))
    parts.append(words(places[0] - 15, 146, "from key to query", size=SMALL))
    return drawing(parts, 156, alt)


def two_tables(
    tables: Sequence[tuple[str, str, Sequence[Sequence[float]]]],
    alt: str,
    *,
    labels: Sequence[str],
    names: tuple[str, str, str, str],
) -> Drawing:
    """Two tables beside each other: title, kind of head that gives the color, numbers from 0 to 1.

    `labels` name rows and columns; `names` says what is down and across in each table.
    """
    size, parts = 34.0, []
    for index, (title, kind, table) in enumerate(tables):
        left = 22 + index * WIDTH / 2
        parts.append(words(left, 10, title, size=12, kind="strong"))
        parts.append(cells(table, left, 42, size, kind))
        for place, label in enumerate(labels):
            middle = size * place + size / 2
            parts.append(words(left + middle, 32, label, anchor="middle"))
            parts.append(words(left - 6, 42 + middle, label, anchor="end"))
        down, across = names[2 * index : 2 * index + 2]
        below = 42 + size * len(labels) + 14
        parts.append(words(left, below, f"down: {down}", size=SMALL))
        parts.append(words(left, below + 15, f"across: {across}", size=SMALL))
    return drawing(parts, 42 + size * len(labels) + 40, alt)
