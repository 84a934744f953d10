"""The folder of a sweep: what counts as written, and who may write to it."""

import json
from dataclasses import replace

import pytest

from induction_heads.sweep_family import TRIAL
from induction_heads.sweep_journal import NotUsable, SweepFolder, settings_of

SETTINGS = settings_of("trial", 1.0, TRIAL)
RECORDS = [{"model": name, "status": "trained", "value": 0.1 + 0.2} for name in "abc"]


@pytest.fixture
def folder(tmp_path) -> SweepFolder:
    return SweepFolder(tmp_path)


@pytest.fixture
def filled(folder) -> SweepFolder:
    for record in RECORDS:
        folder.add(record)
    return folder


def test_records_are_read_as_they_were_written(filled):
    assert list(filled.records().values()) == RECORDS


def test_a_journal_torn_anywhere_keeps_the_whole_lines_and_goes_on(filled):
    whole = filled.journal.read_bytes()
    end_of_second = whole.index(b"\n", whole.index(b"\n") + 1) + 1
    for cut in range(end_of_second, len(whole) - 1):
        filled.journal.write_bytes(whole[:cut])
        assert list(filled.records()) == ["a", "b"]
        filled.add(RECORDS[2])
        assert list(filled.records().values()) == RECORDS


def test_a_line_with_one_changed_byte_counts_as_not_written(filled):
    whole = filled.journal.read_bytes()
    second = range(whole.index(b"\n") + 1, whole.index(b'"c"') - 150)
    for place in second:
        changed = bytearray(whole)
        changed[place] ^= 1
        filled.journal.write_bytes(bytes(changed))
        assert {"a", "c"} <= set(filled.records())
        assert filled.records().get("b", RECORDS[1]) == RECORDS[1]


@pytest.mark.parametrize("line", ["[]", "3", "null", '{"record": {}}', "[" * 100_000, "\x00é"])
def test_lines_that_are_no_entries_are_passed_over(filled, line):
    with filled.journal.open("a", encoding="utf-8") as file:
        file.write(f"{line}\n")
    assert list(filled.records()) == ["a", "b", "c"]


def test_what_was_written_before_is_never_changed(folder):
    before = b""
    for record in RECORDS:
        folder.add(record)
        now = folder.journal.read_bytes()
        assert now.startswith(before)
        before = now


def test_a_run_is_begun_once_and_then_resumed(folder):
    with folder.held(SETTINGS, resume=False):
        pass
    with folder.held(SETTINGS, resume=True):
        pass
    with pytest.raises(NotUsable, match="Add --resume"), folder.held(SETTINGS, resume=False):
        pass


def test_resuming_where_nothing_was_begun_begins(tmp_path):
    folder = SweepFolder(tmp_path / "new")
    with folder.held(SETTINGS, resume=True):
        assert json.loads((folder.path / "settings.json").read_text())["family"] == "trial"


@pytest.mark.parametrize(
    ("change", "said"),
    [({"torch": "1.0"}, "the version of PyTorch"), ({"sample": 0.5}, "the sample"),
     ({"source": "x", "models": "y"}, "the models of the family, the code that trains")],
)  # fmt: skip
def test_other_settings_are_refused_by_name(folder, change, said):
    with folder.held(SETTINGS, resume=False):
        pass
    with (
        pytest.raises(NotUsable, match=f"begun with other settings: {said}"),
        folder.held(replace(SETTINGS, **change), resume=True),
    ):
        pass


def test_a_folder_with_other_files_is_refused(folder):
    (folder.path / "thesis.tex").touch()
    with pytest.raises(NotUsable, match="is not empty"), folder.held(SETTINGS, resume=True):
        pass


def test_settings_that_cannot_be_read_are_refused(folder):
    (folder.path / "settings.json").write_text("{")
    with pytest.raises(NotUsable, match="cannot be read"), folder.held(SETTINGS, resume=True):
        pass


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "x").touch()
    folder = SweepFolder(tmp_path / "x")
    with pytest.raises(NotUsable, match="is a file"), folder.held(SETTINGS, resume=False):
        pass


def test_two_runs_do_not_write_to_one_folder(folder):
    with (
        folder.held(SETTINGS, resume=False),
        pytest.raises(NotUsable, match="Another `sweep`"),
        SweepFolder(folder.path).held(SETTINGS, resume=True),
    ):
        pass


def test_half_written_files_of_a_killed_run_are_removed(folder):
    (folder.path / ".writing-abc").touch()
    with folder.held(SETTINGS, resume=False):
        assert not (folder.path / ".writing-abc").exists()
