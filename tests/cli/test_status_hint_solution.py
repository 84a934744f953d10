import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from induction_heads.cli.main import main
from induction_heads.course import hints, registry
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.registry import Selection, UnknownTarget
from induction_heads.grading import checking
from induction_heads.grading.progress import FILE

STUB = "raise NotImplementedError"
RIGHT = {"doubled": "return 2 * number", "tripled": "return 3 * number"}


def exercise(name: str, factor: int, minutes: int) -> Exercise:
    return Exercise(
        name=name,
        difficulty=factor - 1,
        minutes=minutes,
        why="It is short.",
        cases=lambda seed: [Case("three", (3,))],
        oracle=lambda n: factor * n,
        mistakes=(),
    )


EXERCISES = (exercise("doubled", 2, 5), exercise("tripled", 3, 7))


class Course:
    """A course of one chapter with two exercises, and its command line."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch):
        self.root, self.checked = root, []
        self.file = root / "exercises" / "ch98_trial.py"
        for name in ("exercises", "solutions"):
            (root / name).mkdir()
        self.write()
        text = self.file.read_text().replace(STUB, "# A reason.\n    return 2 * number", 1)
        (root / "solutions" / "ch98_trial.py").write_text(text)
        monkeypatch.setattr(registry, "select", self.select)
        monkeypatch.setattr(hints, "_all", lambda: {"doubled": {"hints": ["One?", "Two.", "3."]}})
        hints.hints_of.cache_clear()
        real = checking.check_chapter

        def check(selection, submission, **options):
            self.checked += [e.name for e in selection.exercises]
            return real(selection, submission, **options)

        monkeypatch.setattr(checking, "check_chapter", check)

    def select(self, target: str | None) -> list[Selection]:
        selected = tuple(e for e in EXERCISES if target in (None, "ch98", e.name))
        if not selected:
            raise UnknownTarget(f"No chapter and no exercise is called {target!r}.")
        return [Selection("ch98_trial", selected)]

    def write(self, **bodies: str) -> None:
        functions = (f"def {e.name}(number):\n    {bodies.get(e.name, STUB)}\n" for e in EXERCISES)
        self.file.write_text("\n\n".join(functions))

    def run(self, *arguments: str) -> Result:
        folder = ["--submission", str(self.file.parent)]
        return CliRunner().invoke(main, [*arguments, *folder])

    def states(self) -> list[str]:
        table = json.loads(self.run("status", "--json").stdout)
        return [row["state"] for row in table["chapters"][0]["exercises"]]


@pytest.fixture
def course(tmp_path: Path, monkeypatch, one_warm_process: None) -> Course:
    return Course(tmp_path, monkeypatch)


def test_untouched_exercises_are_not_started_and_nothing_is_run(course: Course):
    assert course.states() == ["not started", "not started"]
    assert course.checked == []


def test_states_minutes_and_totals(course: Course):
    course.write(doubled=RIGHT["doubled"], tripled="return number")
    table = json.loads(course.run("status", "--json").stdout)
    assert course.states() == ["done", "failing"]
    assert (table["minutes"], table["minutes_left"]) == (12, 7)
    assert table["chapters"][0]["chapter"] == "ch98_trial"


def test_table_shows_stars_minutes_and_what_is_left(course: Course):
    course.write(doubled=RIGHT["doubled"])
    output = course.run("status", "ch98").stdout
    row = next(line for line in output.splitlines() if "tripled" in line)
    assert "★★" in row
    assert "7" in row
    assert "not started" in row
    assert "1 done, 0 failing, 1 not started. 7 of 12 minutes left." in output
    assert "Next: tripled (★★, 7 minutes) in " in " ".join(output.split())
    chapter = next(line for line in course.run("status").stdout.splitlines() if "ch98" in line)
    assert "1 of 2" in chapter
    assert "7 of 12" in chapter


def test_only_changed_code_is_checked_again(course: Course):
    course.write(**RIGHT)
    course.states()
    assert course.checked == ["doubled", "tripled"]
    course.states()
    course.write(doubled="return number", tripled=RIGHT["tripled"])
    assert course.states() == ["failing", "done"]
    assert course.checked == ["doubled", "tripled", "doubled"]


def test_deleting_the_file_gives_the_same_table(course: Course):
    course.write(doubled=RIGHT["doubled"], tripled="return number")
    before = course.run("status").stdout
    (course.root / FILE).unlink()
    assert course.run("status").stdout == before


def test_check_records_what_status_shows(course: Course):
    course.write(**RIGHT)
    assert course.run("check", "ch98").exit_code == 0
    course.checked.clear()
    assert course.states() == ["done", "done"]
    assert course.checked == []


def test_file_that_is_missing_or_broken(course: Course):
    course.file.write_text("def doubled(:")
    assert course.states() == ["failing", "failing"]
    course.file.unlink()
    assert course.states() == ["not started", "not started"]


def test_damaged_progress_is_reported_once_and_renamed(course: Course):
    (course.root / FILE).write_text("{")
    assert "was damaged" in course.run("status").stderr
    assert course.run("status").stderr == ""
    assert (course.root / f"{FILE}.bak").read_text() == "{"


def test_check_reports_damaged_progress(course: Course):
    (course.root / FILE).write_text("{")
    assert "was damaged" in course.run("check").stderr


def test_hints_come_one_at_a_time_and_the_last_after_an_attempt(course: Course):
    outputs = [course.run("hint", "doubled").stdout for _ in range(3)]
    assert outputs[0] == "hint 1 of 3 for doubled\n  One?\n"
    assert outputs[1] == "hint 2 of 3 for doubled\n  Two.\n"
    assert "comes after an attempt" in outputs[2]
    course.write(doubled="return number")
    assert course.run("hint", "doubled").stdout == "hint 3 of 3 for doubled\n  3.\n"


def test_after_the_last_hint_all_are_repeated(course: Course):
    course.write(doubled="return number")
    for _ in range(3):
        course.run("hint", "doubled")
    again = course.run("hint", "doubled").stdout
    assert [line for line in again.splitlines() if line.startswith("hint")] == [
        f"hint {number} of 3 for doubled" for number in (1, 2, 3)
    ]


def test_hints_survive_a_check_and_start_again_without_the_file(course: Course):
    course.run("hint", "doubled")
    course.run("check")
    assert "hint 2 of 3" in course.run("hint", "doubled").stdout
    (course.root / FILE).unlink()
    assert "hint 1 of 3" in course.run("hint", "doubled").stdout


def test_exercise_without_hints_says_so(course: Course):
    assert course.run("hint", "tripled").stdout == "There is no hint for tripled.\n"


@pytest.mark.parametrize("command", ["hint", "solution"])
def test_unknown_names_and_chapters_are_refused(course: Course, command: str):
    assert "is called 'quartered'" in (unknown := course.run(command, "quartered")).stderr
    assert "Name one of its exercises: doubled, tripled" in (
        chapter := course.run(command, "ch98")
    ).stderr.replace("\n", " ")
    assert (unknown.exit_code, chapter.exit_code) == (2, 2)


@pytest.mark.parametrize("arguments", [("status",), ("hint", "doubled"), ("solution", "doubled")])
def test_missing_folder_is_refused(arguments: tuple[str, ...]):
    done = CliRunner().invoke(main, [*arguments, "--submission", "nowhere"])
    assert done.exit_code == 2
    assert "There is no folder 'nowhere'" in done.stderr


def test_solution_is_shown_after_a_pass_with_its_reasons(course: Course):
    before = course.run("solution", "doubled")
    assert before.exit_code == 1
    assert before.stdout == ""
    assert "--reveal" in before.stderr
    course.write(doubled=RIGHT["doubled"])
    after = course.run("solution", "doubled")
    assert after.exit_code == 0
    assert after.stdout == "def doubled(number):\n    # A reason.\n    return 2 * number\n"


def test_failing_answer_does_not_show_the_solution(course: Course):
    course.write(doubled="return number")
    assert course.run("solution", "doubled").exit_code == 1


def test_solution_is_revealed_on_request(course: Course):
    assert "# A reason." in course.run("solution", "doubled", "--reveal").stdout
    assert course.checked == []


def test_copy_without_solutions_says_so(course: Course):
    (course.root / "solutions" / "ch98_trial.py").unlink()
    done = course.run("solution", "doubled", "--reveal")
    assert done.exit_code == 1
    assert "does not include the solution of doubled" in done.stderr
