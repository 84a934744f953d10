"""Every hostile submission gets its verdict, leaves no trace, and the next submission passes."""

import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import aftermath
import pytest
from attacks import LIMITS, Attack, Checker, attacks, table
from build import RIGHT
from trial import DOUBLED, ROW_SUMS, STEM, WIDTH

from induction_heads.course.registry import Selection, find_exercise
from induction_heads.grading.results import ChapterResult
from induction_heads.grading.submission import Submission, read_submission

TRIAL = {exercise.name: exercise for exercise in (ROW_SUMS, DOUBLED, WIDTH)}
MEMORY = 400 * 2**20
"""Bytes that the judge may need for the answers of one submission."""
SLACK = 20.0
"""Seconds that a check may take beyond the submission's own limits, on a busy machine."""

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="NOT RUN: the hostile submissions, which need Linux"
)


def waits(attack: Attack) -> bool:
    """Whether an attack may last until its limit. Then the limit is short."""
    return any("timeout" in allowed for allowed in attack.verdicts.values())


def limits_of(attack: Attack) -> dict[str, float]:
    """The limits in seconds. An attack that does not wait has time even on a busy machine."""
    return attack.limits if waits(attack) else {"load": 60.0, "most": 60.0} | attack.limits


def selection_of(attack: Attack) -> Selection:
    """The exercises that an attack has a verdict for, from the trial chapter or a real one."""
    stems = {find_exercise(name)[0] for name in attack.verdicts if name not in TRIAL}
    assert len(stems) <= 1
    exercises = [TRIAL.get(name) or find_exercise(name)[1] for name in attack.verdicts]
    if not waits(attack):
        exercises = [replace(exercise, seconds=60.0) for exercise in exercises]
    return Selection(stems.pop() if stems else STEM, tuple(exercises))


def seconds_allowed(attack: Attack) -> float:
    """The most seconds for a submission: each exercise may load the file again and call it."""
    limits = replace(LIMITS, **limits_of(attack))
    assert limits.most is not None
    each = limits.load + limits.most + attack.limits.get("prepare", 0.0)
    return len(attack.verdicts) * each + SLACK


def assert_verdict(attack: Attack, chapter: ChapterResult) -> None:
    """Each status is allowed, and the expected words are in the first message."""
    statuses = {result.name: result.status for result in chapter.exercises}
    messages = "\n".join(f"{result.name}: {result.message}" for result in chapter.exercises)
    assert statuses.keys() == attack.verdicts.keys()
    allowed = attack.verdicts
    assert all(statuses[name] in allowed[name] for name in allowed), f"{statuses}\n{messages}"
    first = next((r.message for r in chapter.exercises if not r.passed), "")
    assert all(words in first for words in attack.messages), first


def assert_clean(chapter: ChapterResult) -> None:
    """The messages are short and have no character that acts on a terminal or a page."""
    for text in aftermath.texts(chapter):
        assert not aftermath.unprintable(text), ascii(text)
        assert len(text) < 10_000
        assert "Traceback" not in text


@pytest.mark.parametrize("attack", attacks(), ids=lambda attack: attack.name)
def test_attack_gets_its_verdict_and_leaves_no_trace(
    attack: Attack, checker: Checker, not_isolated: str | None, tmp_path: Path, monkeypatch
):
    if attack.needs_isolation and not_isolated:
        pytest.skip(f"NOT RUN: {not_isolated}")
    monkeypatch.setenv("A_TOKEN", "a-password-of-the-judge")
    folder, temporary = tmp_path / "submission", tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    selection = selection_of(attack)
    with aftermath.scene(tmp_path, RIGHT) as scene:
        attack.write(folder, selection.stem, scene.places)
        state, counts = aftermath.state(), aftermath.counts()
        aftermath.forget_peak_memory()
        memory, start = aftermath.peak_memory(), time.monotonic()
        submission = read_submission(folder, selection.stem)
        chapter = checker(selection, submission, **limits_of(attack))
        seconds, memory = time.monotonic() - start, aftermath.peak_memory() - memory

        assert_verdict(attack, chapter)
        assert_clean(chapter)
        assert seconds < seconds_allowed(attack)
        assert memory < MEMORY, f"the judge needed {memory / 2**20:,.0f} MB"
        assert scene.traces() == []
        assert os.listdir(temporary) == [], "a folder of the judge was left behind"
        assert aftermath.state() == state
        assert aftermath.comes_true(
            lambda: all(n <= counts[name] for name, n in aftermath.counts().items())
        ), (counts, aftermath.counts())
    after = checker(Selection(STEM, (ROW_SUMS, DOUBLED)), Submission(STEM, RIGHT))
    assert after.passed, after


def test_there_are_attacks_of_every_kind():
    kinds = {status for attack in attacks() for ok in attack.verdicts.values() for status in ok}
    assert kinds == {"passed", "failed", "error", "timeout"}
    assert len(attacks()) >= 66
    assert sum(attack.needs_isolation for attack in attacks()) >= 20


def test_the_table_in_the_readme_agrees_with_the_headers():
    assert table() in (Path(__file__).parent / "README.md").read_text(encoding="utf-8")
