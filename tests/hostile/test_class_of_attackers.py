"""Several hostile students in a class: the others get the same bytes as without them."""

from functools import partial
from itertools import cycle, islice
from pathlib import Path

import pytest
from test_attempts import attempts, source
from test_class import KINDS, STEM

from induction_heads.course.registry import Selection, chapter_exercises
from induction_heads.grading import grade
from induction_heads.grading.classroom import GradingJob
from induction_heads.grading.grade import GradingOptions, grade_folder
from induction_heads.grading.running_submission import Limits

NAMES = [exercise.name for exercise in chapter_exercises(STEM)]
LIMITS = Limits(load=60.0, prepare=30.0, most=20.0)
ATTACKS = (
    ("processes", "kills_its_group"),
    ("processes", "starts_processes_without_end"),
    ("processes", "leaves_processes_behind"),
    ("processes", "kills_all"),
    ("processes", "closes_every_file"),
    ("answers", "answers_before_it_is_asked"),
    ("answers", "a_score_beyond_the_floats"),
    ("answers", "replaces_the_module_that_answers"),
    ("memory", "hoards_files_without_names"),
    ("kernel", "leaves_a_message_in_a_keyring"),
)


def hostile(stem: str, name: str) -> str:
    """A submission whose every exercise tries the same."""
    assert name in attempts(stem)
    calls = [f"def {each}(*args, **kwargs):\n    return {name}()\n" for each in NAMES]
    return "\n\n".join([source(stem), *calls])


def write_class(folder: Path, n_honest: int, n_hostile: int) -> list[str]:
    """The names of the honest students. Hostile ones come before, between and after them."""
    honest = [f"student {2 * i:03}" for i in range(n_honest)]
    sources = dict(zip(honest, cycle(KINDS.values()), strict=False))
    step = 2 * n_honest // max(n_hostile, 1)
    for i, attack in enumerate(islice(cycle(ATTACKS), n_hostile)):
        sources[f"student {max(step * i - 1, 0):03} x"] = hostile(*attack)
    for name, text in sources.items():
        (folder / name).mkdir(parents=True)
        (folder / name / f"{STEM}.py").write_text(text)
    return honest


def graded(
    folder: Path, n_honest: int, n_hostile: int, jobs: int
) -> dict[str, tuple[bytes, bytes]]:
    """The record and the feedback page of each honest student."""
    honest = write_class(folder / "class", n_honest, n_hostile)
    (folder / "seed").write_text("the same words")
    selection = Selection(STEM, chapter_exercises(STEM))
    out = folder / "out"
    options = GradingOptions(
        folder / "class",
        out,
        [selection],
        jobs=jobs,
        seed_file=folder / "seed",
        without_isolation=True,
    )
    assert grade_folder(options).n_students == n_honest + n_hostile
    assert oct(out.stat().st_mode)[-3:] == "700"
    return {
        name: (
            (out / "results" / f"{name}.json").read_bytes(),
            (out / "feedback" / f"{name}.html").read_bytes(),
        )
        for name in honest
    }


def assert_same_bytes(folder: Path, n_honest: int, n_hostile: int, jobs: int) -> None:
    alone = graded(folder / "alone", n_honest, 0, jobs)
    among = graded(folder / "among", n_honest, n_hostile, jobs)
    assert [name for name in alone if alone[name] != among[name]] == []


@pytest.mark.long
def test_honest_students_get_the_same_bytes_among_hostile_ones(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(grade, "GradingJob", partial(GradingJob, limits=LIMITS))
    assert_same_bytes(tmp_path, n_honest=4, n_hostile=3, jobs=1)
