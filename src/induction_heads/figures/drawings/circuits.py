"""The circuit on A B C A B, the rail of the residual stream, and small circuits with cuts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from induction_heads.figures.drawings.parts import (
    SMALL,
    TOKEN,
    WIDTH,
    Drawing,
    arrow,
    drawing,
    head,
    line,
    token,
    words,
)


@dataclass(frozen=True)
class CircuitOnRow:
    """What the two heads do on one row of tokens.

    `marks` has the token that the previous-token head writes at each position, None at the first.
    `one_back` are its weights to the position before. The induction head looks from `query` to
    `key` with `weight` and predicts `prediction`.
    """

    tokens: Sequence[str]
    marks: Sequence[str | None]
    one_back: Sequence[float]
    query: int
    key: int
    weight: float
    prediction: str


def _places(count: int) -> list[float]:
    step = (WIDTH - 60) / (count - 1)
    return [30 + step * index for index in range(count)]


def circuit(found: CircuitOnRow, alt: str) -> Drawing:
    """Tokens below, tokens with marks in the middle, the prediction on top."""
    places, bottom, middle, top = _places(len(found.tokens)), 226.0, 118.0, 18.0
    x_query, x_key = places[found.query], places[found.key]
    parts = [
        words(2, middle - 14, "after layer 0: token and mark", size=SMALL),
        words(2, bottom + 42, "the tokens", size=SMALL),
        words(2, top + 14, "after layer 1: the prediction", size=SMALL),
    ]
    mark_bottom = middle + TOKEN[1] + 22
    for index, (x, letter) in enumerate(zip(places, found.tokens, strict=True)):
        mark = found.marks[index]
        parts.append(line((x, bottom), (x, mark_bottom if mark else middle + TOKEN[1]), "stream"))
        if mark is not None:
            start, end = (places[index - 1] + 6, bottom - 1), (x - 7, mark_bottom + 2)
            parts.append(arrow(start, end, "previous", weight=found.one_back[index]))
        kind = "query" if index == found.query else ""
        parts.append(token(x, bottom, letter, kind=kind))
        parts.append(token(x, middle, letter, mark=mark, kind=kind))
    out = top + TOKEN[1]
    parts += [
        line((x_query, middle), (x_query, out + 2), "stream"),
        arrow(
            (x_key, middle - 1),
            (x_query - 8, out + 3),
            "induction",
            weight=found.weight,
            bend=(0, -22),
        ),
        token(x_query, top, found.prediction, kind="prediction"),
    ]
    # The mark at the key is the token of the query.
    y = middle + TOKEN[1] + 11
    parts.append(
        f'<path class="match" d="M{x_key + 15:g} {y:g}C{x_key + 60:g} {y + 26:g} '
        f'{x_query - 60:g} {y + 22:g} {x_query - 15:g} {middle + TOKEN[1] / 2:g}"/>'
    )
    return drawing(parts, bottom + 52, alt)


def chips(found: CircuitOnRow, alt: str) -> Drawing:
    """Each position before and after the previous-token head, as chips of one and two colors."""
    places, bottom, top = _places(len(found.tokens)), 108.0, 18.0
    mark_bottom = top + TOKEN[1] + 22
    parts = [
        words(2, 8, "after: its token, and the mark of the token before", size=SMALL),
        words(2, bottom + 40, "before: each position holds its own token", size=SMALL),
    ]
    for index, (x, letter) in enumerate(zip(places, found.tokens, strict=True)):
        mark = found.marks[index]
        if mark is not None:
            start, end = (places[index - 1] + 6, bottom - 1), (x - 6, mark_bottom + 2)
            parts.append(arrow(start, end, "previous", weight=found.one_back[index]))
        parts.append(line((x, bottom), (x, mark_bottom if mark else top + TOKEN[1]), "stream"))
        parts.append(token(x, bottom, letter))
        kind = "query" if index == found.query else ""
        parts.append(token(x, top, letter, mark=mark, kind=kind))
    return drawing(parts, bottom + 50, alt)


def rail(
    tokens: Sequence[str], weights: Sequence[float], written: str, reads: tuple[str, str], alt: str
) -> Drawing:
    """The residual stream of each position as a rail; a head reads two of them and writes once.

    `weights` are those of the last position. `reads` says what the head reads at the query and at
    the keys.
    """
    left, right, gap = 54.0, WIDTH - 12, 44.0
    parts, query = [], len(tokens) - 1
    center = (190.0, 30 + gap * query / 2 - 4)
    for index, (letter, weight) in enumerate(zip(tokens, weights, strict=True)):
        y = 24 + gap * index
        parts.append(line((left, y), (right, y), "rail", weight=1))
        parts.append(token(32, y - TOKEN[1] / 2, letter, kind="query" if index == query else ""))
        start = (center[0] - 74, y)
        if index == query:
            parts.append(arrow(start, (center[0] - 17, center[1] + 12), "", weight=0.3))
        else:
            parts.append(arrow(start, (center[0] - 21, center[1] - 3), "induction", weight=weight))
            parts.append(words(start[0] - 4, y + 11, f"{weight:.2f}", size=SMALL, anchor="end"))
    y = 24 + gap * query
    end = (center[0] + 78, y - 3)
    parts.append(arrow((center[0] + 15, center[1] + 8), end, "induction", weight=0.8))
    parts.append(head(*center, "head", "induction", radius=20))
    parts.append(words(WIDTH - 12, y + 16, written, size=SMALL, anchor="end"))
    parts.append(words(left + 4, y + 16, reads[0], size=SMALL))
    parts.append(words(left + 4, 8, reads[1], size=SMALL))
    return drawing(parts, y + 28, alt)


@dataclass(frozen=True)
class SmallCircuit:
    """A circuit of two heads in which some arrows are cut, held or emphasized.

    Arrows are named "q", "k", "v" (from the previous-token head to a side of the induction head),
    "direct" (from the previous-token head to the logits), "stripe" (from the key's token to the
    induction head) and "out" (from the induction head to the logits).
    """

    title: str
    note: str
    cut: frozenset[str] = frozenset()
    weights: dict[str, float] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()


def small_circuits(found: Sequence[SmallCircuit], alt: str, *, columns: int = 2) -> Drawing:
    """Small circuits side by side, each with its title and what was measured."""
    wide, high = WIDTH / columns, 196.0
    parts = []
    for index, each in enumerate(found):
        x, y = (index % columns) * wide, (index // columns) * high
        parts.append(f'<g transform="translate({x:g} {y:g})">{_small(each, wide)}</g>')
    return drawing(parts, high * -(-len(found) // columns) - 8, alt)


def _small(found: SmallCircuit, wide: float) -> str:
    middle, ground = wide / 2, 136.0
    first, second, out = (middle - 32, 100.0), (middle + 28, 62.0), (middle + 28, 28.0)
    before, key, query = middle - 42, middle - 4, middle + 34
    spots = {
        "k": ((first[0] + 12, first[1] - 12), (second[0] - 17, second[1] + 5), (-3.0, 2.0)),
        "q": ((first[0] + 17, first[1] + 3), (second[0] + 1, second[1] + 18), (14.0, 10.0)),
        "v": ((first[0] - 1, first[1] - 17), (second[0] - 18, second[1] - 5), (-14.0, -10.0)),
        "direct": ((first[0] - 12, first[1] - 13), (out[0] - 20, out[1] - 1), (-22.0, -18.0)),
        "stripe": ((key, ground), (second[0] + 7, second[1] + 17), (24.0, 20.0)),
        "out": ((second[0], second[1] - 17), (out[0], out[1] + 7), (0.0, 0.0)),
    }
    parts = [words(4, 8, found.title, size=12, kind="strong")]
    for name, (start, end, bend) in spots.items():
        weight = found.weights.get(name, 0.15)
        kind = "previous" if name in ("q", "k", "v", "direct") else "induction"
        faint = " faint" if found.weights and weight < 0.1 and name not in found.cut else ""
        cut = name in found.cut
        wide_as = max(weight, 0.05)
        parts.append(arrow(start, end, kind + faint, weight=wide_as, bend=bend, cut=cut))
    parts.append(arrow((before, ground), (first[0] - 2, first[1] + 17), "", weight=0.15))
    parts.append(arrow((query, ground), (second[0] + 11, second[1] + 15), "", weight=0.15))
    for place, name, kind in ((first, "L0H0", "previous"), (second, "L1H0", "induction")):
        silent = " silent" if kind in found.silent else ""
        parts.append(head(*place, name, kind + silent))
    parts += [token(before, ground, "A"), token(key, ground, "B")]
    parts.append(token(query, ground, "A", kind="query"))
    parts.append(words(out[0], out[1], "logits", size=SMALL, anchor="middle"))
    parts.append(words(4, ground + 40, found.note, size=SMALL))
    return "".join(parts)
