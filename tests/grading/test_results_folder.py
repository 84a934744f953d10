import json
import multiprocessing
import time
from dataclasses import replace
from pathlib import Path

import pytest

from induction_heads import files
from induction_heads.files import NotUsable, write_atomically
from induction_heads.grading.results_folder import GradingSettings, ResultsFolder

SETTINGS = GradingSettings("1.0", "c", ("ch01_attention",), "w", 12345)
RECORD = {"student": "ada", "settings": "s", "submission": "d", "points": 1.5, "text": "é\n"}


@pytest.fixture
def folder(tmp_path):
    return ResultsFolder(tmp_path)


def test_settings_come_back_as_they_were_written(folder):
    assert folder.settings() is None
    folder.begin(SETTINGS)
    assert folder.settings() == SETTINGS
    assert folder.path.joinpath("settings.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "{}", "[]", "[" * 100_000, '{"seed": 1}', "\0"])
def test_settings_that_cannot_be_read_are_an_error(folder, text):
    folder.path.joinpath("settings.json").write_text(text)
    with pytest.raises(NotUsable, match="cannot be read"):
        folder.settings()


def test_only_the_owner_opens_the_folder(tmp_path: Path):
    folder = ResultsFolder(tmp_path / "results")
    with folder.held(resume=False):
        assert folder.path.stat().st_mode & 0o777 == 0o700


def test_any_changed_setting_changes_the_digest():
    changed = [
        replace(SETTINGS, **{name: value})
        for name, value in (
            ("version", "2"),
            ("checks", "x"),
            ("chapters", ()),
            ("seed", 1),
            ("points", "x"),
            ("own_code", True),
            ("regrades", 1),
            ("format", 0),
        )
    ]
    assert len({settings.digest() for settings in [SETTINGS, *changed]}) == 9


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

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(file, "new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert file.read_text() == "old"


def test_unfinished_files_of_killed_runs_are_removed_and_do_not_count_as_a_run(folder):
    (folder.path / ".writing-abc").touch()
    (folder.path / ".lock").touch()
    with folder.held(resume=False):
        folder.begin(SETTINGS)
    (folder.path / "feedback").mkdir()
    (folder.path / "feedback" / ".writing-x").touch()
    with folder.held(resume=True):
        folder.begin(SETTINGS)
    names = sorted(p.name for p in folder.path.rglob("*"))
    assert names == [".lock", "feedback", "settings.json"]


def test_files_of_somebody_else_are_refused_and_left_alone(folder):
    (folder.path / "feedback").mkdir()
    (folder.path / "feedback" / ".writing-x").touch()
    with pytest.raises(NotUsable, match="is not empty"), folder.held(resume=True):
        pass
    assert sorted(p.name for p in folder.path.rglob("*")) == [".writing-x", "feedback"]


def test_a_run_is_continued_only_if_asked_and_only_with_equal_settings(folder):
    with folder.held(resume=False):
        folder.begin(SETTINGS)
    with pytest.raises(NotUsable, match=r"grades of another run\. Add --resume"):
        folder.held(resume=False).__enter__()
    other = replace(SETTINGS, version="2", chapters=("ch02",), points="x", seed=9)
    expected = (
        r"the version of the package \(1.0, now 2\), "
        r"the chapters \(ch01_attention, now ch02\), the seed\."
    )
    with folder.held(resume=True), pytest.raises(NotUsable, match=expected) as error:
        folder.begin(other)
    assert "12345" not in str(error.value)


def test_the_journal_keeps_whole_lines_after_a_torn_one(folder):
    folder.note(event="started", student="é")
    journal = folder.path / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"event": "sta')
    folder.note(event="graded")
    lines = journal.read_text().splitlines()
    assert [json.loads(lines[0]), json.loads(lines[2])] == [
        {"event": "started", "student": "é"},
        {"event": "graded"},
    ]


def _hold(path: Path, held, release):
    folder = ResultsFolder(path)
    with folder.held(resume=False):
        folder.begin(SETTINGS)
        with folder.only_one("ada"):
            held.set()
            release.wait(20)


def test_one_run_at_a_time_and_a_student_waits_for_the_other_process(folder):
    context = multiprocessing.get_context("fork")
    held, release = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(folder.path, held, release))
    other.start()
    held.wait(20)
    with pytest.raises(NotUsable, match="Another `grade`"), folder.held(resume=True):
        pass
    with folder.only_one("bob"):
        pass
    start = time.monotonic()
    other.kill()  # The lock of a killed process is free.
    with folder.only_one("ada"):
        pass
    assert time.monotonic() - start < 10
    other.join()
    with folder.held(resume=True):
        pass


def test_settings_of_the_first_format_are_read_and_differ_in_format(folder):
    folder.begin(SETTINGS)
    file = folder.path / "settings.json"
    old = json.loads(file.read_text())
    old = {k: v for k, v in old.items() if k not in ("points", "own_code", "regrades")}
    file.write_text(json.dumps(old | {"weights": "w", "format": 1}))
    with pytest.raises(NotUsable, match="other settings: the format of the results"):
        folder.begin(SETTINGS)


def test_a_regrade_remembers_the_settings_before_until_it_ends(folder):
    folder.begin(SETTINGS)
    assert folder.regrade() is None
    for n in (1, 2):  # The second run goes on with the first one.
        folder.begin_regrade(("causal_mask",), replace(SETTINGS, regrades=1))
        assert folder.regrade() == (("causal_mask",), SETTINGS.digest()), n
    folder.end_regrade()
    assert folder.regrade() is None
    assert folder.settings() == replace(SETTINGS, regrades=1)
