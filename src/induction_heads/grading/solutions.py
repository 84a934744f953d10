"""The solution of an exercise, where this copy of the course has one."""

from pathlib import Path

from induction_heads.course.exercise_files import CHECKOUT
from induction_heads.grading.source_code import with_helpers


def solution_code(folder: Path, stem: str, name: str) -> str | None:
    """The commented solution of an exercise, or None if this copy has none.

    It is looked for beside the reader's folder of exercises, and then in the checkout.
    """
    for parent in (folder.resolve().parent, CHECKOUT.parent):
        file = parent / "solutions" / f"{stem}.py"
        if file.is_file():
            return with_helpers(file.read_text(encoding="utf-8"), name)
    return None
