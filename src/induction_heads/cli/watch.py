"""`induction-heads check --watch`: checks what a saved file changes."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from watchfiles import Change, watch

from induction_heads.checks.registry import Selection
from induction_heads.cli_check import print_result, show_check
from induction_heads.grading.report import summary_line
from induction_heads.grading.results import ChapterResult, Result

if TYPE_CHECKING:
    from induction_heads.grading.rechecking import Rechecking
    from induction_heads.grading.submission import Submission

KEPT = ("passed", "failed")
"""Results that are the same for the same code. Other messages name lines, which may have moved."""

SETTLED_MS = 60
"""A save may come as several events: they count as one if they are this close together."""


class Watch:
    """What is watched, and every result that was found with the code that it belongs to."""

    def __init__(self, selections: list[Selection], rechecking: "Rechecking", console: Console):
        self.selections, self.rechecking, self.console = selections, rechecking, console
        self.results: dict[str, Result] = {}
        self.digests: dict[str, str] = {}
        self.found: dict[tuple[str, str], Result] = {}

    def run(self) -> None:
        """Check everything, then what changes, until KeyboardInterrupt."""
        for selection in self.selections:
            self.check(selection, self.rechecking.read(selection.stem))
        self._print_end()
        files = {f"{selection.stem}.py": selection for selection in self.selections}

        def is_ours(change: Change, path: str) -> bool:
            return Path(path).name in files

        saved = watch(
            self.rechecking.folder, watch_filter=is_ours, debounce=SETTLED_MS, step=20,
            recursive=False, rust_timeout=500, yield_on_timeout=True,
        )  # fmt: skip
        next(saved)  # It watches from here on. What was saved during the first check comes now:
        self.check_saved(self.selections, quiet=True)
        for changes in saved:
            names = {Path(path).name for _, path in changes}
            self.check_saved([files[name] for name in files if name in names])

    def check_saved(self, selections: list[Selection], *, quiet: bool = False) -> None:
        """Check the exercises of these chapters whose code is another than at the last check.

        Code that was checked before, as after an undo, has its result already.
        """
        if not selections:
            return
        changed = [(s, *self._changed(s)) for s in selections]
        if not any(names for _, names, _ in changed):
            if not quiet:
                self.console.print(f"{time.strftime('%H:%M:%S')} saved; no exercise has changed.")
            return
        self._print_start()
        for selection, names, submission in changed:
            if names:
                exercises = tuple(e for e in selection.exercises if e.name in names)
                self.check(Selection(selection.stem, exercises), submission)
        self._print_end()

    def check(self, selection: Selection, submission: "Submission") -> None:
        """Check the exercises, or find their results again, and print what came of it."""
        digests = self.rechecking.digests(selection, submission)
        self.digests |= digests
        again = [self.found.get((e.name, digests[e.name])) for e in selection.exercises]
        pairs = zip(selection.exercises, again, strict=True)
        left = tuple(exercise for exercise, result in pairs if result is None)
        known = [result for result in again if result is not None]
        if left:
            asked = Selection(selection.stem, left)
            checked = show_check(self.rechecking, asked, self.console, submission=submission)
            for result in checked.exercises:
                self.results[result.name] = result
                if result.status in KEPT:
                    self.found[result.name, digests[result.name]] = result
        for result in known:
            self.results[result.name] = result
            print_result(self.console, result)

    def _changed(self, selection: Selection) -> "tuple[set[str], Submission]":
        submission = self.rechecking.read(selection.stem)
        if not submission.source.strip():  # An editor may empty the file before it writes it.
            time.sleep(SETTLED_MS / 1000)
            submission = self.rechecking.read(selection.stem)
        now = self.rechecking.digests(selection, submission)
        return {name for name in now if now[name] != self.digests.get(name)}, submission

    def _print_start(self) -> None:
        if self.console.is_terminal:
            self.console.clear()
        self.console.rule(time.strftime("%H:%M:%S"))

    def _print_end(self) -> None:
        chapters = [
            ChapterResult(s.stem, tuple(self.results[e.name] for e in s.exercises))
            for s in self.selections
        ]
        self.console.print(f"\n{summary_line(chapters)} Waiting for a save; Ctrl-C ends.")
