"""A small chapter, and submissions to it, for the tests of grading."""

from pathlib import Path

import torch
from torch import Tensor

from induction_heads.course.exercise import Case, Exercise, Mistake, ModelInput
from induction_heads.course.registry import Selection
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.results import Result
from induction_heads.grading.running_submission import Limits
from induction_heads.grading.submission import read_submission
from induction_heads.grading.workers import WorkerPool

STEM = "ch99_trial"


def row_sums_by_loop(matrix: Tensor) -> Tensor:
    return torch.tensor([sum(value.item() for value in row) for row in matrix])


def matrices(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    return [
        Case(f"{rows} × {columns}", (torch.randn(rows, columns, generator=generator),))
        for rows, columns in ((2, 2), (3, 4))
    ]


ROW_SUMS = Exercise(
    name="row_sums",
    difficulty=1,
    minutes=2,
    why="Sums come first.",
    cases=matrices,
    oracle=row_sums_by_loop,
    mistakes=(
        Mistake("columns are summed", lambda matrix: matrix.sum(0), "Which axis goes away?"),
        Mistake("rows are averaged", lambda matrix: matrix.mean(1), "Is it divided by something?"),
    ),
    seconds=3.0,
)

DOUBLED = Exercise(
    name="doubled",
    difficulty=1,
    minutes=2,
    why="So do products.",
    cases=lambda seed: [Case("a number", (4,)), Case("a keyword", (), {"number": 2.5})],
    oracle=lambda number: number + number,
    mistakes=(),
    seconds=3.0,
)

WIDTH = Exercise(
    name="width",
    difficulty=1,
    minutes=2,
    why="Models travel too.",
    cases=lambda seed: [Case("a model", (ModelInput(kind="induction"),))],
    oracle=lambda model: model.cfg.d_model,
    mistakes=(),
    seconds=20.0,
)

RIGHT_DOUBLED = "def doubled(number):\n    return 2 * number\n"


class Bench:
    """Writes a submission to the trial chapter and checks it through a worker process."""

    def __init__(self, folder: Path, pool: WorkerPool | None):
        self.folder = folder
        self.pool = pool

    def check(
        self, source: str, *exercises: Exercise, limits: Limits | None = None, seed: int = 0
    ) -> list[Result]:
        (self.folder / f"{STEM}.py").write_text(source)
        selection = Selection(STEM, exercises or (ROW_SUMS,))
        submission = read_submission(self.folder, STEM)
        checked = check_chapter(selection, submission, limits=limits, pool=self.pool, seed=seed)
        return list(checked.exercises)
