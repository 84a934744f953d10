import json
import os
from pathlib import Path

import pytest

from induction_heads.grading.progress import (
    FILE,
    Entry,
    progress_file,
    read_progress,
    record_hint,
    record_results,
)
from induction_heads.grading.results import Result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "exercises").mkdir()
    return tmp_path / "exercises"


def passed(folder: Path, status: str = "passed", digest: str = "abc") -> None:
    record_results(folder, (Result("doubled", status),), {"doubled": digest})


def test_file_is_next_to_the_exercises(folder: Path):
    passed(folder)
    assert progress_file(folder) == folder.parent / ".induction-heads.json"
    assert [path.name for path in folder.parent.iterdir()] == ["exercises", FILE]


def test_result_counts_only_for_its_code(folder: Path):
    passed(folder)
    progress = read_progress(folder)
    assert progress.status("doubled", "abc") == "passed"
    assert progress.status("doubled", "other") is None
    assert progress.status("tripled", "abc") is None


def test_timeout_is_checked_again(folder: Path):
    passed(folder, "timeout")
    assert read_progress(folder).status("doubled", "abc") is None


def test_attempts_count_changes_of_the_code(folder: Path):
    for status, digest in (("not_started", "a"), ("failed", "b"), ("failed", "b"), ("passed", "c")):
        passed(folder, status, digest)
    assert read_progress(folder).entry("doubled") == Entry("c", "passed", attempts=2)


def test_hints_and_results_do_not_overwrite_each_other(folder: Path):
    record_hint(folder, "doubled", 2)
    passed(folder)
    record_hint(folder, "doubled", 1)
    assert read_progress(folder).entry("doubled") == Entry("abc", "passed", attempts=1, hints=2)


def test_folders_have_separate_entries(folder: Path):
    other = folder.parent / "solutions"
    other.mkdir()
    passed(folder)
    passed(other, "failed", "xyz")
    assert read_progress(folder).status("doubled", "abc") == "passed"
    assert read_progress(other).status("doubled", "xyz") == "failed"


def test_no_file_is_no_progress(folder: Path):
    assert read_progress(folder).entries == {}
    assert read_progress(folder).problem is None


ENTRY = {"digest": "", "status": "passed", "mistake": None, "attempts": 1, "hints": 1}


def file_with(entry: object, version: object = 1) -> str:
    return json.dumps({"version": version, "folders": {"exercises": {"doubled": entry}}})


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "3",
        "\udcff",
        file_with(ENTRY, version=2),
        '{"version": 1}',
        "[" * 9999,
        '{"version": 1, "folders": {"exercises": []}}',
        file_with(3),
        file_with({"extra": 1}),
        file_with(ENTRY | {"hints": -1}),
        file_with(ENTRY | {"hints": True}),
        file_with(ENTRY | {"status": "<b>"}),
        file_with(ENTRY | {"digest": 5}),
        " " * (2**20 + 1),
    ],
    ids=range(16),
)
def test_damaged_file_is_renamed_and_counts_as_absent(folder: Path, content: str):
    raw = content.encode(errors="surrogateescape")
    progress_file(folder).write_bytes(raw)
    progress = read_progress(folder)
    assert progress.entries == {}
    assert progress.problem is not None
    assert "was damaged" in progress.problem
    assert not progress_file(folder).exists()
    assert (folder.parent / f"{FILE}.bak").read_bytes() == raw
    passed(folder)
    assert read_progress(folder).problem is None


def test_a_pipe_in_place_of_the_file_is_not_read(folder: Path):
    os.mkfifo(progress_file(folder))
    progress = read_progress(folder)
    assert "it is not a file" in (progress.problem or "")
    passed(folder)
    assert read_progress(folder).problem is None


def test_whole_file_is_sound(folder: Path):
    progress_file(folder).write_text(file_with(ENTRY))
    assert read_progress(folder).entry("doubled").hints == 1


def test_read_only_folder_is_not_an_error(folder: Path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    progress = record_results(folder, (Result("doubled", "passed"),), {"doubled": "abc"})
    assert progress.status("doubled", "abc") == "passed"
    assert not progress_file(folder).exists()
    assert progress.problem is not None
    assert "cannot be stored in" in progress.problem
    assert "(no)" in progress.problem


def test_file_is_replaced_as_a_whole(folder: Path, monkeypatch):
    passed(folder)
    before = progress_file(folder).read_bytes()

    def refuse(*_: object) -> None:
        raise OSError("power cut")

    monkeypatch.setattr("os.replace", refuse)
    passed(folder, "failed")
    assert progress_file(folder).read_bytes() == before
    assert len(list(folder.parent.iterdir())) == 2, "nothing is left behind"


def test_link_is_replaced_and_its_target_kept(folder: Path, tmp_path: Path):
    target = tmp_path / "precious"
    target.write_text(file_with(ENTRY))
    progress_file(folder).symlink_to(target)
    passed(folder)
    assert target.read_text() == file_with(ENTRY)
