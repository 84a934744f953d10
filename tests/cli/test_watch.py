import io
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from induction_heads.cli.watch import Watch
from induction_heads.course import registry
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.registry import Selection
from induction_heads.grading import checking
from induction_heads.grading.checking import FolderChecker

RIGHT = "def doubled(number):\n    return 2 * number\n\n\n"
STUB = "def tripled(number):\n    raise NotImplementedError\n"
ROOT = Path(__file__).parents[2]


def exercise(name: str, factor: int) -> Exercise:
    return Exercise(
        name=name,
        difficulty=1,
        minutes=1,
        why="It is short.",
        cases=lambda seed: [Case("three", (3,))],
        oracle=lambda n: factor * n,
        mistakes=(),
    )


SELECTION = Selection("ch98_trial", (exercise("doubled", 2), exercise("tripled", 3)))


class Trial:
    """A watch of one file that is told of saves by the test."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.file, self.runs, self.sheets = folder / "ch98_trial.py", [], {}
        self.console = Console(record=True, width=100, file=io.StringIO())
        self.watch = Watch([SELECTION], FolderChecker(folder), self.console)
        real = checking.check_chapter

        def check(selection, submission, **options):
            self.runs.append([e.name for e in selection.exercises])
            self.sheets = dict(options["sheets"])
            return real(selection, submission, **options)

        monkeypatch.setattr(checking, "check_chapter", check)
        monkeypatch.setattr(registry, "select", lambda target: [SELECTION])

    def save(self, text: str) -> str:
        self.file.write_text(text)
        self.watch.check_saved([SELECTION])
        return self.console.export_text()


@pytest.fixture
def trial(tmp_path: Path, monkeypatch, one_warm_process: None):
    made = Trial(tmp_path, monkeypatch)
    yield made
    made.watch.checker.close()


def test_only_what_changed_is_checked(trial: Trial):
    trial.save(RIGHT + STUB)
    output = trial.save(RIGHT + STUB.replace("raise NotImplementedError", "return number"))
    assert trial.runs == [["doubled", "tripled"], ["tripled"]]
    assert "tripled: failed" in output
    assert "doubled: passed" not in output
    assert "1 of 2 passed, 1 failed. Waiting for a save" in output
    assert "Next: tripled (★, 1 minute) in " in " ".join(output.split())
    assert "ch98_trial.py, line 5" in output.replace("\n", "")


def test_shared_code_checks_everything(trial: Trial):
    trial.save(RIGHT + STUB)
    trial.save("import math\n" + RIGHT + STUB)
    assert trial.runs == [["doubled", "tripled"], ["doubled", "tripled"]]


def test_save_without_a_change_says_so(trial: Trial):
    trial.save(RIGHT + STUB)
    assert "saved; no exercise has changed." in trial.save(RIGHT + "# a comment\n" + STUB)
    assert len(trial.runs) == 1


def test_expected_answers_are_computed_once(trial: Trial):
    trial.save(RIGHT + STUB)
    before = trial.sheets["doubled"]
    trial.save(RIGHT.replace("2 *", "3 *") + STUB)
    assert trial.sheets["doubled"] is before


def test_file_that_breaks_and_is_mended(trial: Trial):
    trial.save(RIGHT + STUB)
    assert "is not valid Python" in trial.save(RIGHT + STUB + "(")
    output = trial.save(RIGHT + STUB)
    assert "doubled: passed" in output
    assert "1 of 2 passed, 1 not started." in output
    assert trial.runs[-1] == ["tripled"], "the result of the same code is known"


@pytest.mark.parametrize("text", ["", "\x00", "def doubled", "\ufeff", "\ud800"])
def test_half_written_file_is_an_error_and_not_a_crash(trial: Trial, text: str):
    trial.save(RIGHT + STUB)
    trial.file.write_bytes(text.encode(errors="surrogatepass"))
    trial.watch.check_saved([SELECTION])
    assert {result.status for result in trial.watch.results.values()} == {"error"}


def test_deleted_file_is_an_error_and_not_a_crash(trial: Trial):
    trial.save(RIGHT + STUB)
    trial.file.unlink()
    trial.watch.check_saved([SELECTION])
    assert "There is no file ch98_trial.py" in trial.console.export_text()


class Command:
    """`induction-heads check … --watch` as started by a user."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-u",
                "-m",
                "induction_heads.cli.main",
                "check",
                *arguments,
                "--watch",
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # Tests that run in the background of a shell would pass on that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        self.lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def until(self, words: str, seconds: float = 90) -> str:
        text, end = "", time.monotonic() + seconds
        while words not in text:
            text += self.lines.get(timeout=max(0.0, end - time.monotonic()))
        return text


def test_command_checks_a_save_and_ends_with_control_c(tmp_path: Path):
    file = tmp_path / "ch01_attention.py"
    stubs = (ROOT / "exercises" / file.name).read_text()
    file.write_text(stubs)
    command = Command("causal_mask", "--submission", str(tmp_path))
    try:
        assert "causal_mask: not started" in command.until("Waiting for a save")
        new = tmp_path / "new.tmp"
        mask = "return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()"
        new.write_text(stubs.replace("raise NotImplementedError", mask, 1))
        os.replace(new, file)
        assert "causal_mask: passed" in command.until("Waiting for a save")
        command.process.send_signal(signal.SIGINT)
        assert "Stopped watching." in command.until("Stopped watching.")
        assert command.process.wait(timeout=300) == 0
    finally:
        command.process.kill()
        command.process.wait()
        assert command.process.stdout is not None
        command.process.stdout.close()


def test_watch_and_json_exclude_each_other():
    done = subprocess.run(
        [sys.executable, "-m", "induction_heads.cli.main", "check", "--watch", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "Choose one." in done.stderr
