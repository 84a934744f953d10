"""Drawings of what is read from a stream: by a probe, by two lenses, by features; and of heads."""

from collections.abc import Sequence

from induction_heads.figures.drawings.parts import (
    SMALL,
    WIDTH,
    Drawing,
    Point,
    arrow,
    dot,
    drawing,
    head,
    token,
    words,
)


def probe_plane(
    with_label: Sequence[Point], without: Sequence[Point], label: str, alt: str
) -> Drawing:
    """Streams in a plane, from 0 to 1 in both directions; the probe reads along the first one."""
    left, top, wide, high = 40.0, 26.0, WIDTH - 80, 120.0

    def place(point: Point) -> Point:
        return left + wide * point[0], top + high * (1 - point[1])

    parts = [dot(*place(point), kind="hollow") for point in without]
    parts += [dot(*place(point)) for point in with_label]
    base = top + high + 26
    parts.append(arrow((left, base), (left + wide, base), weight=0.4))
    parts.append(words(left, base + 16, "the direction that the labels give", size=SMALL))
    parts.append(words(2, 10, f"filled: {label}; empty: all others", size=12))
    return drawing(parts, base + 28, alt)


def two_lenses(depths: Sequence[tuple[str, str]], alt: str) -> Drawing:
    """The stream at each depth; to the left what the logit lens reads, to the right a map first.

    `depths` has a title and what the logit lens says, from the first depth to the last.
    """
    step, says_at, stream, map_at, end = 40.0, 48.0, 176.0, 268.0, 330.0
    parts = [
        words(says_at, 10, "logit lens", size=12, kind="strong", anchor="middle"),
        words(stream, 10, "stream", size=12, kind="strong", anchor="middle"),
        words((map_at + end) / 2, 10, "tuned lens", size=12, kind="strong", anchor="middle"),
    ]
    for index, (title, says) in enumerate(depths):
        y = 38.0 + step * index
        if index:
            parts.append(arrow((stream, y - step + 12), (stream, y - 12), weight=0.4))
        parts.append(_box(stream, y, 88, title))
        parts.append(arrow((stream - 46, y), (says_at + 44, y), weight=0.2))
        parts.append(_box(says_at, y, 84, says, kind="code"))
        if index < len(depths) - 1:  # The last stream is read as it is.
            parts.append(arrow((stream + 46, y), (map_at - 14, y), weight=0.2))
            parts.append(_box(map_at, y, 26, f"A{index}"))
            parts.append(arrow((map_at + 14, y), (end - 14, y), weight=0.2))
            parts.append(_box(end, y, 24, "?"))
    return drawing(parts, 38.0 + step * len(depths) - 16, alt)


def _box(x: float, y: float, width: float, text: str, kind: str = "") -> str:
    return (
        f'<rect class="block" x="{x - width / 2:g}" y="{y - 11:g}" width="{width:g}" height="22" '
        f'rx="3"/>{words(x, y, text, size=12, anchor="middle", kind=kind)}'
    )


def stand_in(
    letter: str, activations: Sequence[float], off: int, error: float, alt: str
) -> Drawing:
    """An MLP above its stand-in: features as wide as their activations, and the error node.

    Activations and the error are from 0 to 1; `off` is how many more features there are.
    """
    parts = [
        words(2, 10, "the MLP", size=12, kind="strong"),
        token(40, 24, letter),
        arrow((57, 38), (140, 38), weight=0.4),
        _box(176, 38, 68, "MLP"),
        arrow((212, 38), (318, 38), weight=0.4),
        words(334, 38, "y", size=14, anchor="middle"),
        words(2, 84, "a stand-in", size=12, kind="strong"),
    ]
    count, top, step = len(activations), 104.0, 22.0
    middle = top + step * (count - 1) / 2
    parts.append(token(40, middle - 14, letter))
    for index, strength in enumerate(activations):
        y = top + step * index
        parts.append(arrow((57, middle), (166, y), weight=strength))
        parts.append(head(176, y, "", "induction", radius=8))
        parts.append(arrow((186, y), (320, middle), weight=strength))
    parts.append(words(334, middle, "y", size=14, anchor="middle"))
    below = top + step * count + 14
    parts.append(words(160, below - 12, f"{off} more are off", size=SMALL, anchor="end"))
    parts.append(head(176, below + 8, "", "ghost", radius=10))
    parts.append(words(160, below + 8, "what they miss", size=SMALL, anchor="end"))
    parts.append(arrow((188, below + 8), (322, middle + 14), "ghost", weight=error))
    return drawing(parts, below + 28, alt)


def unknown_heads(row: Sequence[str], repeated: int, layers: int, heads: int, alt: str) -> Drawing:
    """Heads without names above a row whose last tokens occur before, and what comes next."""
    step = (WIDTH - 8) / (len(row) + 1)
    top, parts = (
        24.0,
        [words(2, 10, f"{layers * heads} heads without names", size=12, kind="strong")],
    )
    for layer in range(layers):
        y = top + 18 + 42 * (layers - 1 - layer)
        parts.append(words(2, y, f"layer {layer}", size=SMALL))
        for number in range(heads):
            parts.append(head(96 + 68 * number, y, "?", "silent", radius=14))
    base = top + 42 * layers + 4
    for index, letter in enumerate([*row, "?"]):
        x = 4 + step * (index + 0.5)
        is_hit = index < repeated or len(row) - repeated <= index < len(row)
        kind = "prediction" if index == len(row) else "hit" if is_hit else ""
        parts.append(
            f'<rect class="token {kind}" x="{x - step / 2 + 0.5:.1f}" y="{base:g}" '
            f'width="{step - 1:.1f}" height="22" rx="3"/>'
            f"{words(x, base + 11, letter, size=SMALL, anchor='middle')}"
        )
    return drawing(parts, base + 30, alt)
