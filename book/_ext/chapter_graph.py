"""The prerequisites of each notebook of the book, and its place in the map of chapters.

The notebooks of a chapter are `chNN_*.ipynb`. The first of them has the label `chNN`; each further
page has its own name as its label, `ch07-patching`.
"""

import re
from functools import cache
from pathlib import Path

from notebook_cells import cells

BOOK = Path(__file__).resolve().parents[1]

PREREQUISITES: dict[str, tuple[str, ...]] = {
    "why": (),
    "ch01": (),
    "ch02": ("ch01",),
    "ch03": ("ch02",),
    "ch04": ("ch03",),
    "ch05": ("ch04",),
    "ch06": ("ch05",),
    "ch07": ("ch04",),
    "ch07-patching": ("ch07",),
    "ch08": ("ch06", "ch07-patching"),
    "ch09": ("ch08",),
    "ch10": ("ch09",),
    "ch10-relations": ("ch10",),
    "ch11": ("ch10",),
    "ch11-in-weights": ("ch11",),
    "ch12": ("ch10",),
    "ch13": ("ch09",),
    "ch14": ("ch06", "ch07-patching"),
    "ch14-probes": ("ch14",),
    "ch14-tuned-lens": ("ch14-probes",),
    "ch14-transcoders": ("ch14",),
    "ch15": ("ch11",),
    "ch15-unseen-models": ("ch15",),
    "real-text": ("ch08",),
    "old-tutorials": ("ch02",),
}
"""Label → its direct prerequisites. Their own prerequisites are not repeated."""

Place = tuple[int, float]
"""A row, counted from the top, and a column: 0 is left, 1 is right, 0.5 is between them."""


def notebook(label: str) -> Path:
    """The notebook with this label. Raises ValueError if there is none."""
    paths = [path for path in BOOK.glob("*.ipynb") if label_of(path) == label]
    if label not in PREREQUISITES or len(paths) != 1:
        raise ValueError(f"There is no notebook {label!r}. Labels: {', '.join(PREREQUISITES)}.")
    return paths[0]


def label_of(path: Path) -> str:
    """`ch04` for the first notebook of a chapter; for any other the name of its file."""
    name = path.stem.replace("_", "-")
    is_first = name not in PREREQUISITES and re.match(r"ch\d\d-", name)
    return name[:4] if is_first else name


def pages(short: str) -> list[str]:
    """The labels of the notebooks of a chapter, such as `ch07`, in order."""
    return [label for label in PREREQUISITES if number(label) and label[:4] == short]


def number(label: str) -> int | None:
    """4 for `ch04`, 7 for `ch07-patching`, None for a study."""
    match = re.fullmatch(r"ch(\d\d)(?:-.+)?", label)
    return int(match[1]) if match else None


@cache
def title(label: str) -> str:
    """The title of the notebook, from its first cell."""
    first = cells(notebook(label))[0]
    return re.search(r"^# (.+)$", first.source, flags=re.M).group(1)


def full_title(label: str) -> str:
    """`4. Induction heads`, or only the title for a page without a number."""
    n = number(label)
    return f"{n}. {title(label)}" if n else title(label)


def all_prerequisites(label: str) -> set[str]:
    """All notebooks that this one builds on, directly or indirectly."""
    direct = PREREQUISITES[label]
    return set(direct).union(*map(all_prerequisites, direct))


def depth(label: str) -> int:
    """The length of the longest path from a notebook without prerequisites."""
    return max((depth(before) + 1 for before in PREREQUISITES[label]), default=0)


def boxes() -> list[str]:
    """The notebooks with a box of their own on the map.

    A further page of a chapter has none if only pages of the same chapter build on it.
    """
    built_on = {
        before
        for after, prerequisites in PREREQUISITES.items()
        for before in prerequisites
        if after[:4] != before[:4]
    }
    return [
        label
        for label in PREREQUISITES
        if number(label) is None or len(label) == 4 or label in built_on
    ]


def places() -> dict[str, Place]:
    """The place of each box: its row is its depth, and each row has two columns.

    A notebook alone in its row is centered, unless an arrow passes there. Raises ValueError if a
    row would hold more than two.
    """
    by_label: dict[str, Place] = {}
    drawn = boxes()
    for row in range(max(map(depth, drawn)) + 1):
        here = [label for label in drawn if depth(label) == row]
        if len(here) > 2:
            raise ValueError(
                f"Row {row} of the map has two columns, but {len(here)} notebooks: {here}."
            )
        if len(here) == 2:
            columns = [0.0, 1.0]
        elif passing := [by_label[before][1] for before in _passing(row)]:
            columns = [1.0 - passing[0]]
        else:
            columns = [0.5]
        by_label |= {label: (row, column) for label, column in zip(here, columns, strict=True)}
    return by_label


def _passing(row: int) -> list[str]:
    """The starts of the arrows that pass this row."""
    return [before for before, after in arrows() if depth(before) < row < depth(after)]


def arrows() -> list[tuple[str, str]]:
    """Each prerequisite with a notebook that builds on it directly, if both have a box."""
    drawn = boxes()
    return [(before, after) for after in drawn for before in PREREQUISITES[after]]
