import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest

from induction_heads import durable
from induction_heads.durable import write_atomically
from induction_heads.grading.results_folder import (
    NotUsable,
    ResultsFolder,
    Settings,
)

SETTINGS = Settings("1.0", "c", ("ch01_attention",), "w", 12345)
RECORD = {"student": "ada", "settings": "s", "submission": "d", "points": 1.5, "text": "é\n"}


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path)


def test_settings_come_back_as_they_were_written(folder):
    assert folder.settings() is None
    folder.begin(SETTINGS)
    assert folder.settings() == SETTINGS
    assert folder.path.joinpath("settings.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"seed": 1}', "\0"])
def test_settings_that_cannot_be_read_are_an_error(folder, text):
    folder.path.joinpath("settings.json").write_text(text)
    with pytest.raises(NotUsable, match="cannot be read"):
        folder.settings()


def test_any_changed_setting_changes_the_digest():
    changed = [
        replace(SETTINGS, **{name: value})
        for name, value in (("version", "2"), ("checks", "x"), ("chapters", ()), ("seed", 1),
                            ("weights", "x"), ("format", 0))
    ]  # fmt: skip
    assert len({settings.digest() for settings in [SETTINGS, *changed]}) == 7


def test_a_record_is_found_again_only_for_the_same_settings_and_submission(folder):
    folder.write_record(RECORD)
    assert folder.record("ada", "s", "d") == RECORD
    assert folder.record("ada", "other", "d") is None
    assert folder.record("ada", "s", "other") is None
    assert folder.record("bob", "s", "d") is None


def test_a_torn_or_altered_record_is_none(folder):
    folder.write_record(RECORD)
    file = folder.path / "results" / "ada.json"
    whole = file.read_text()
    for text in (whole[:-3], whole.replace("1.5", "9.5"), whole + " ", "", "[]", "[" * 100_000):
        file.write_text(text)
        assert folder.record("ada", "s", "d") is None, text[:50]
    file.write_text(whole)
    assert folder.record("ada", "s", "d") == RECORD


def test_a_record_renamed_to_another_student_is_none(folder):
    folder.write_record(RECORD)
    (folder.path / "results" / "ada.json").rename(folder.path / "results" / "bob.json")
    assert folder.record("bob", "s", "d") is None


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    file = tmp_path / "a"
    write_atomically(file, "old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr(durable.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(file, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert file.read_text() == "old"


def test_what_killed_runs_left_half_written_is_unused_and_swept(folder):
    (folder.path / ".writing-abc").touch()
    (folder.path / ".lock").touch()
    assert folder.is_unused()
    (folder.path / "feedback").mkdir()
    (folder.path / "feedback" / ".writing-x").touch()
    assert not folder.is_unused()
    folder.sweep()
    assert sorted(p.name for p in folder.path.rglob("*")) == [".lock", "feedback"]
    assert ResultsFolder(folder.path / "none").is_unused()


def test_the_journal_keeps_whole_lines_after_a_torn_one(folder):
    folder.note(event="started", student="é")
    journal = folder.path / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"event": "sta')
    folder.note(event="graded")
    lines = journal.read_text().splitlines()
    assert [json.loads(lines[0]), json.loads(lines[2])] == [
        {"event": "started", "student": "é"}, {"event": "graded"}
    ]  # fmt: skip


def _hold(path: Path, held, release):
    with ResultsFolder(path).held(), ResultsFolder(path).only_one("ada"):
        held.set()
        release.wait(20)


def test_one_run_at_a_time_and_a_student_waits_for_the_other_process(folder):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(folder.path, held, release))
    other.start()
    held.wait(20)
    with pytest.raises(NotUsable, match="Another `grade`"), folder.held():
        pass
    with folder.only_one("bob"):
        pass
    start = time.monotonic()
    other.kill()  # The lock of a killed process is free.
    with folder.only_one("ada"):
        pass
    assert time.monotonic() - start < 10
    other.join()
    with folder.held():
        pass
