"""`induction-heads check --watch`: checks the exercises whose code a save has changed."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from watchfiles import Change, watch

from induction_heads.cli.printing import print_next, print_result, show_check
from induction_heads.course.registry import Selection
from induction_heads.grading.report import summary_line
from induction_heads.grading.results import ChapterResult, Result

if TYPE_CHECKING:
    from induction_heads.grading.checking import FolderChecker
    from induction_heads.grading.submission import Submission

REUSABLE = ("passed", "failed")
"""Statuses whose messages fit the same code again. Others name lines, which may have moved."""

SETTLED_MS = 60
"""Events this close together count as one save."""


class Watch:
    """The watched chapters, and every result with the code that it belongs to."""

    def __init__(self, selections: list[Selection], checker: "FolderChecker", console: Console):
        self.selections, self.checker, self.console = selections, checker, console
        self.results: dict[str, Result] = {}
        self.digests: dict[str, str] = {}
        self.results_by_code: dict[tuple[str, str], Result] = {}
        self.problem_shown = False

    def run(self) -> None:
        """Check everything, then whatever changes, until KeyboardInterrupt."""
        for selection in self.selections:
            self.check(selection, self.checker.read(selection.stem))
        self._print_end()
        files = {f"{selection.stem}.py": selection for selection in self.selections}

        def is_ours(change: Change, path: str) -> bool:
            return Path(path).name in files

        saved = watch(
            self.checker.folder,
            watch_filter=is_ours,
            debounce=SETTLED_MS,
            step=20,
            recursive=False,
            rust_timeout=500,
            yield_on_timeout=True,
        )
        # Events are collected from here on. Saves during the first check are handled at once.
        next(saved)
        self.check_saved(self.selections, quiet=True)
        for changes in saved:
            names = {Path(path).name for _, path in changes}
            self.check_saved([files[name] for name in files if name in names])

    def check_saved(self, selections: list[Selection], *, quiet: bool = False) -> None:
        """Check the exercises of these chapters whose code differs from the last check.

        Code that was checked before, as after an undo, reuses its result.
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
        """Check the exercises, or reuse their results, and print them."""
        digests = self.checker.digests(selection, submission)
        self.digests |= digests
        known = [self.results_by_code.get((e.name, digests[e.name])) for e in selection.exercises]
        pairs = zip(selection.exercises, known, strict=True)
        unknown = Selection(selection.stem, tuple(e for e, result in pairs if result is None))
        if unknown.exercises:
            checked = show_check(self.checker, unknown, self.console, submission=submission)
            for result in checked.exercises:
                self.results[result.name] = result
                if result.status in REUSABLE:
                    self.results_by_code[result.name, digests[result.name]] = result
        for result in filter(None, known):
            self.results[result.name] = result
            print_result(self.console, result)

    def _changed(self, selection: Selection) -> "tuple[set[str], Submission]":
        submission = self.checker.read(selection.stem)
        if not submission.source.strip():  # Some editors empty a file before they write it.
            time.sleep(SETTLED_MS / 1000)
            submission = self.checker.read(selection.stem)
        now = self.checker.digests(selection, submission)
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
        self.console.print()
        print_next(self.console, self.checker, chapters)
        if self.checker.problem and not self.problem_shown:
            self.problem_shown = True
            self.console.print(self.checker.problem, markup=False)
        self.console.print(f"{summary_line(chapters)} Waiting for a save. Press Ctrl-C to stop.")
