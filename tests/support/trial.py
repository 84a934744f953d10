"""A small chapter of its own, and submissions to it, for the tests of the grading machinery."""

from pathlib import Path

import torch
from torch import Tensor

from induction_heads.checks.exercise import Case, Exercise, Mistake, ModelInput
from induction_heads.checks.registry import Selection
from induction_heads.grading.checking import check_chapter
from induction_heads.grading.nursery import Nursery
from induction_heads.grading.results import Result
from induction_heads.grading.running import Limits
from induction_heads.grading.submission import read_submission

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
    also_right=(lambda matrix: matrix.sum(dim=-1),),
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
    also_right=(),
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
    also_right=(),
    seconds=20.0,
)

RIGHT_DOUBLED = "def doubled(number):\n    return 2 * number\n"


class Bench:
    """Writes a submission to the trial chapter and checks it through a worker process."""

    def __init__(self, folder: Path, nursery: Nursery | None):
        self.folder = folder
        self.nursery = nursery

    def check(
        self, source: str, *exercises: Exercise, limits: Limits | None = None, seed: int = 0
    ) -> list[Result]:
        (self.folder / f"{STEM}.py").write_text(source)
        selection = Selection(STEM, exercises or (ROW_SUMS,))
        submission = read_submission(self.folder, STEM)
        checked = check_chapter(
            selection, submission, limits=limits, nursery=self.nursery, seed=seed
        )
        return list(checked.exercises)
