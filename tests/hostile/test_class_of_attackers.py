"""Several hostile students in a class: the others get the same bytes as without them."""

import csv
from functools import partial
from itertools import cycle
from pathlib import Path

import pytest
from test_attempts import attempts, source
from test_class import KINDS, STEM

from induction_heads.course.registry import Selection, chapter_exercises
from induction_heads.grading import grade
from induction_heads.grading.classroom import GradingJob
from induction_heads.grading.grade import GradingOptions, grade_folder
from induction_heads.grading.running_submission import Limits
from induction_heads.grading.sandbox import isolation

NAMES = [exercise.name for exercise in chapter_exercises(STEM)]
LIMITS = Limits(load=60.0, prepare=30.0, most=20.0)
HOSTILE = (
    # A student's file, and what each of its six functions tries.
    "processes: kills_its_group starts_processes_without_end leaves_processes_behind kills_all "
    "closes_every_file crashes",
    "answers: answers_before_it_is_asked a_score_beyond_the_floats a_model_of_many_heads "
    "raises_with_marks many_brackets replaces_the_module_that_answers",
    "memory: hoards_files_without_names hoards_many_small_files hoards_in_pipes opens_many_files "
    "hoards_in_attributes_of_a_file shares_memory_without_a_file",
    "kernel: leaves_a_message_in_a_keyring clones_into_a_user_namespace makes_shared_memory "
    "becomes_root runs_before_all_others raises_the_limits_of_the_first_process",
    "processes: stops_its_group starts_threads_without_end exits_without_a_word kills_by_number "
    "kills_the_group_of_its_parent answers_from_a_child",
    "answers: sends_thirty_megabytes_again_and_again sends_half_a_message a_deep_list "
    "factors_without_end prints_marks_and_terminal_codes is_named_by_marks",
    "files: writes_into_the_package writes_into_python reads_environments sees_other_processes "
    "writes_to_the_terminal writes_settings_of_the_kernel",
    "processes: prints_without_end ignores_every_signal kills_the_first_process replaces_itself "
    "stops_itself sleeps_for_ever",
    "answers: sends_brackets a_wide_list sends_more_than_it_announced writes_from_many_threads "
    "an_invisible_word a_tensor_of_sixty_dimensions",
    "quantities: takes_every_terminal watches_files_without_end waits_for_events_without_end "
    "types_into_a_terminal leaves_a_picture_of_its_memory reads_before_all_others_do",
)
QUICK = (HOSTILE[0], HOSTILE[3])


def hostile(attacks: str) -> str:
    """A submission whose exercises try one attack each."""
    stem, names = attacks.split(": ")
    assert set(names.split()) <= set(attempts(stem))
    calls = [
        f"def {each}(*args, **kwargs):\n    return {name}()\n"
        for each, name in zip(NAMES, names.split(), strict=True)
    ]
    return "\n\n".join([source(stem), *calls])


def write_class(folder: Path, n_honest: int, attackers: tuple[str, ...]) -> list[str]:
    """The names of the honest students. Hostile ones come before, between and after them."""
    honest = [f"student {2 * i:03}" for i in range(n_honest)]
    sources = dict(zip(honest, cycle(KINDS.values()), strict=False))
    step = 2 * n_honest // max(len(attackers), 1)
    for i, attacks in enumerate(attackers):
        sources[f"student {max(step * i - 1, 0):03} x"] = hostile(attacks)
    for name, text in sources.items():
        (folder / name).mkdir(parents=True)
        (folder / name / f"{STEM}.py").write_text(text)
    return honest


def rows(file: Path) -> dict[str, list[str]]:
    """The rows of a table that are about one student, by the student's name."""
    with file.open(encoding="utf-8") as text:
        return {row[0]: row for row in csv.reader(text)}


def graded(
    folder: Path, n_honest: int, attackers: tuple[str, ...], jobs: int
) -> dict[str, list[object]]:
    """All that is written about each honest student alone: files, and rows of tables."""
    honest = write_class(folder / "class", n_honest, attackers)
    (folder / "seed").write_text("the same words")
    selection = Selection(STEM, chapter_exercises(STEM))
    out = folder / "out"
    options = GradingOptions(
        folder / "class",
        out,
        [selection],
        jobs=jobs,
        seed_file=folder / "seed",
        without_isolation=not isolation().complete,
    )
    summary = grade_folder(options)
    assert summary.n_students == n_honest + len(attackers)
    assert summary.failed == ()
    assert oct(out.stat().st_mode)[-3:] == "700"
    tables = [rows(out / name) for name in ("grades.csv", "canvas.csv", "moodle.csv")]
    return {
        name: [
            (out / "results" / f"{name}.json").read_bytes(),
            (out / "feedback" / f"{name}.html").read_bytes(),
            (out / "gradescope" / name / "results.json").read_bytes(),
            *(table[name] for table in tables),
        ]
        for name in honest
    }


def assert_same_bytes(folder: Path, n_honest: int, attackers: tuple[str, ...], jobs: int) -> None:
    alone = graded(folder / "alone", n_honest, (), jobs=1)
    among = graded(folder / "among", n_honest, attackers, jobs)
    assert len(alone) == n_honest
    assert [name for name in alone if alone[name] != among[name]] == []


@pytest.fixture
def not_dangerous() -> None:
    """Without a sandbox these attacks would reach the whole machine: they kill all they can."""
    if not isolation().complete:
        pytest.skip(f"NOT RUN: hostile students in a class: {isolation().message}")


def test_honest_students_get_the_same_bytes_among_two_hostile_ones(
    not_dangerous: None, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(grade, "GradingJob", partial(GradingJob, limits=LIMITS))
    assert_same_bytes(tmp_path, n_honest=2, attackers=QUICK, jobs=1)


@pytest.mark.long
def test_twenty_honest_students_get_the_same_bytes_among_ten_hostile_ones(
    not_dangerous: None, tmp_path: Path, monkeypatch
):
    """Two students are graded at a time, so that a hostile one works beside an honest one."""
    monkeypatch.setattr(grade, "GradingJob", partial(GradingJob, limits=LIMITS))
    assert_same_bytes(tmp_path, n_honest=20, attackers=HOSTILE, jobs=2)
