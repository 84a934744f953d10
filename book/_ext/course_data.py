"""Minutes, exercises and known mistakes of each chapter, from its notebooks and its checks."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import chapter_graph as graph
import notebook_cells
from nbformat import NotebookNode

BOOK = Path(__file__).resolve().parents[1]
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 10
EXERCISE = re.compile(
    r"^:::\{exercise\} *(?P<title>.+)\n"
    r":label: ex-ch\d\d-(?P<name>\S+)\n"
    r"★+ · (?P<minutes>\d+) minute",
    flags=re.M,
)


@dataclass(frozen=True)
class Task:
    """An exercise: its name, its minutes, and whether `induction-heads check` grades it."""

    name: str
    minutes: int
    checked: bool
    title: str = ""


@dataclass(frozen=True)
class Chapter:
    """What a teacher needs to plan a chapter, or one page of it.

    `short` is its label, such as `ch01`; `reading` is in minutes, with the code that is shown.
    """

    short: str
    reading: int
    tasks: tuple[Task, ...]
    n_pages: int = 1

    def minutes(self, checked: bool) -> int:
        """Minutes of the checked exercises, or of the others."""
        return sum(task.minutes for task in self.tasks if task.checked == checked)

    @property
    def total(self) -> int:
        """Minutes of reading and of all exercises."""
        return self.reading + self.minutes(checked=True) + self.minutes(checked=False)


@dataclass(frozen=True)
class Step:
    """A chapter with the exercises that are done in class."""

    chapter: Chapter
    live: tuple[Task, ...]

    @property
    def rest(self) -> tuple[Task, ...]:
        """The exercises that are left for after class."""
        return tuple(task for task in self.chapter.tasks if task not in self.live)


def chapter_stems() -> tuple[str, ...]:
    """The stems of the chapters that have checks, in order."""
    from induction_heads.course import registry  # Imports torch, which most pages do not need.

    return registry.chapter_stems()


@cache
def chapter(short: str) -> Chapter:
    """The chapter called `short`, such as `ch01`. Raises ValueError if there is none."""
    _stem(short)
    parts = [page(label) for label in graph.pages(short)]
    tasks = [task for part in parts for task in part.tasks]
    return Chapter(
        short,
        sum(part.reading for part in parts),
        tasks=tuple(sorted(tasks, key=lambda task: not task.checked)),
        n_pages=len(parts),
    )


@cache
def page(label: str) -> Chapter:
    """One notebook of a chapter, such as `ch07-patching`, with the exercises that stand on it."""
    from induction_heads.course.registry import chapter_exercises

    announced = _announced(notebook_cells.prose(graph.notebook(label)))
    here, exercises = {task.name for task in announced}, chapter_exercises(_stem(label[:4]))
    checked = [Task(e.name, e.minutes, checked=True) for e in exercises if e.name in here]
    names = {task.name for task in checked}
    on_paper = [task for task in announced if task.name not in names]
    return Chapter(label, reading_minutes(graph.notebook(label)), tasks=(*checked, *on_paper))


def reading_minutes(notebook: Path) -> int:
    """Minutes to read a notebook."""
    words = len(notebook_cells.prose(notebook).split())
    lines = sum(bool(line.strip()) for line in _code(notebook).splitlines())
    return round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE)


def chapters() -> list[Chapter]:
    """All chapters that have checks, in order."""
    return [chapter(stem[:4]) for stem in chapter_stems()]


def plan(lines: list[str]) -> list[Step]:
    """A plan from lines such as `ch01: causal_mask, attention_head`.

    Raises ValueError if a chapter or an exercise does not exist.
    """
    steps = []
    for line in filter(str.strip, lines):
        short, _, names = line.partition(":")
        of_step = chapter(short.strip())
        tasks = {task.name: task for task in of_step.tasks}
        live = [name.strip() for name in names.split(",") if name.strip()]
        unknown = [name for name in live if name not in tasks]
        if unknown:
            raise ValueError(
                f"{of_step.short} has no exercise called {', '.join(unknown)}. "
                f"It has {', '.join(tasks)}."
            )
        steps.append(Step(of_step, tuple(tasks[name] for name in live)))
    return steps


def known_mistakes(short: str) -> dict[str, list[tuple[str, str]]]:
    """Exercise → the name and the hint of each of its known mistakes."""
    from induction_heads.course.registry import chapter_exercises

    return {
        exercise.name: [(mistake.name, mistake.hint) for mistake in exercise.mistakes]
        for exercise in chapter_exercises(_stem(short))
    }


def source_files(short: str) -> list[Path]:
    """The files on which a page with data of this chapter depends."""
    import induction_heads

    checks = (Path(induction_heads.__file__).parent / "course").glob(f"{short}_*/*.py")
    return [*map(graph.notebook, graph.pages(short)), *sorted(checks), *directive_files()]


def directive_files() -> list[Path]:
    """The modules that make the data and the boxes of the pages."""
    return sorted(Path(__file__).parent.glob("*.py"))


def _stem(short: str) -> str:
    stems = {stem[:4]: stem for stem in chapter_stems()}
    if short not in stems:
        raise ValueError(f"There is no chapter {short!r}. Chapters: {', '.join(stems)}.")
    return stems[short]


def _announced(text: str) -> list[Task]:
    """The exercises in the text of a notebook, with their minutes."""
    return [
        Task(
            match["name"].replace("-", "_"),
            int(match["minutes"]),
            checked=False,
            title=match["title"],
        )
        for match in EXERCISE.finditer(text)
    ]


def _code(notebook: Path) -> str:
    """The code that a reader sees. That of a figure is folded."""
    cells = notebook_cells.cells(notebook, "code")
    return "\n".join(cell.source for cell in cells if _is_shown(cell))


def _is_shown(cell: NotebookNode) -> bool:
    is_figure = "figure" in cell.metadata.get("mystnb", {})
    return not is_figure and "remove-cell" not in cell.metadata.get("tags", [])
