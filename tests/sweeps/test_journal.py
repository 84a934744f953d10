"""The folder of a sweep: what counts as written, and who may write to it."""

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from induction_heads.files import NotUsable
from induction_heads.sweeps import journal
from induction_heads.sweeps.journal import (
    SOURCES,
    SweepFolder,
    SweepSettings,
    settings_of,
    statements,
)
from induction_heads.sweeps.toy_models import TRIAL

SETTINGS = settings_of("trial", 1.0, TRIAL)
RECORDS = [{"model": name, "status": "trained", "value": 0.1 + 0.2} for name in "abc"]


@contextmanager
def held(
    folder: SweepFolder, settings: SweepSettings = SETTINGS, *, resume: bool
) -> Iterator[None]:
    """The folder, held for a run with these settings."""
    with folder.held(resume=resume):
        folder.begin(settings)
        yield


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
def test_damaged_lines_are_ignored(filled, line):
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
    with held(folder, resume=False):
        pass
    with held(folder, resume=True):
        pass
    with pytest.raises(NotUsable, match="Add --resume"), held(folder, resume=False):
        pass


def test_resuming_where_nothing_was_begun_begins(tmp_path):
    folder = SweepFolder(tmp_path / "new")
    with held(folder, resume=True):
        assert json.loads((folder.path / "settings.json").read_text())["family"] == "trial"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"torch": "1.0"}, "the version of PyTorch"),
        ({"sample": 0.5}, "the sample"),
        ({"source": "x", "models": "y"}, "the models of the family, the code that trains"),
    ],
)
def test_other_settings_are_refused_by_name(folder, change, names):
    with held(folder, resume=False):
        pass
    with (
        pytest.raises(NotUsable, match=f"begun with other settings: {names}"),
        held(folder, replace(SETTINGS, **change), resume=True),
    ):
        pass


def test_a_folder_with_other_files_is_refused(folder):
    (folder.path / "thesis.tex").touch()
    with pytest.raises(NotUsable, match="is not empty"), held(folder, resume=True):
        pass


def test_settings_that_cannot_be_read_are_refused(folder):
    (folder.path / "settings.json").write_text("{")
    with pytest.raises(NotUsable, match="cannot be read"), held(folder, resume=True):
        pass


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "x").touch()
    folder = SweepFolder(tmp_path / "x")
    with pytest.raises(NotUsable, match="is a file"), held(folder, resume=False):
        pass


def test_two_runs_do_not_write_to_one_folder(folder):
    with (
        held(folder, resume=False),
        pytest.raises(NotUsable, match="Another `sweep`"),
        held(SweepFolder(folder.path), resume=True),
    ):
        pass


def test_half_written_files_of_a_killed_run_are_removed(folder):
    (folder.path / ".writing-abc").touch()
    with held(folder, resume=False):
        assert not (folder.path / ".writing-abc").exists()


FIRST_SOURCES = "15db5be71d4d91e84ae9342ce01e06f1749f71a05fa1449ee69cab5b346a6fb9"
"""The digest of the sources of version 0.1.0, when all modules lay in one folder."""


def test_a_sweep_begun_with_sources_of_the_same_numbers_is_resumed(folder):
    begun = asdict(SETTINGS) | {"source": FIRST_SOURCES, "version": "0.1.0"}
    text = json.dumps(begun, indent=1) + "\n"
    (folder.path / "settings.json").write_text(text)
    folder.add(RECORDS[0])
    with held(folder, resume=True):
        assert list(folder.records()) == ["a"]
    assert (folder.path / "settings.json").read_text() == text


def test_a_sweep_begun_with_unknown_sources_is_refused(folder):
    begun = asdict(SETTINGS) | {"source": "0" * 64, "version": "0.1.0"}
    (folder.path / "settings.json").write_text(json.dumps(begun))
    with (
        pytest.raises(NotUsable, match="other settings: the code that trains and measures"),
        held(folder, resume=True),
    ):
        pass


def test_no_source_stands_in_for_another_machine(folder):
    begun = asdict(SETTINGS) | {"source": FIRST_SOURCES, "torch": "1.0"}
    (folder.path / "settings.json").write_text(json.dumps(begun))
    with (
        pytest.raises(NotUsable, match=r"other settings: the version of PyTorch\."),
        held(folder, resume=True),
    ):
        pass


SOURCE = """
import math
def area(r):
    return math.pi * r**2
"""


@pytest.mark.parametrize(
    "same",
    [
        SOURCE.replace("import math", "import cmath as math"),
        SOURCE.replace("import math", "from numpy import pi"),
        f'"""What a circle covers."""\n{SOURCE}',
        SOURCE.replace("):\n", '):\n    """Square meters."""\n'),
        SOURCE.replace("r**2", "r ** 2  # a comment"),
        SOURCE.replace("math.pi * r**2", "(\n        math.pi * r**2\n    )"),
    ],
)
def test_imports_comments_docstrings_and_layout_are_not_statements(same):
    assert statements(same) == statements(SOURCE)


@pytest.mark.parametrize(("old", "new"), [("r**2", "r**3"), ("area(r)", "area(r, /)")])
def test_a_changed_statement_is_a_changed_source(old, new):
    assert statements(SOURCE.replace(old, new)) != statements(SOURCE)


WITHOUT_NUMBERS = {
    "data/dialogues",  # The rows of `sycophant-2l`, which no sweep trains.
    "data/token_ranks",  # Ids for a model with counts beside it; the models of a sweep have none.
    "interp/analysis",  # The heads in the record of a zoo model.
    "interp/replay",  # Ablation of a bridge; the models of a sweep are not bridges.
    "interp/formation",  # Read from a record after it was written.
    "models/checkpoint_files",  # Models on the disk, of which a sweep has none.
    "models/interface",  # Types, and the check that a head exists.
    "models/loading",
    "progress_bar",  # Drawn, not measured.
    "training/spec",  # Names and types.
    "training/stored_runs",  # A run that was stopped goes on with the same numbers.
    "versions",  # Stated beside the numbers.
}
"""Modules that a source imports and on which no number of a sweep depends."""


def test_every_module_that_a_source_imports_is_a_source_or_has_no_numbers():
    package = Path(journal.__file__).parents[1]
    imported = set()
    for source in SOURCES:
        for node in ast.walk(ast.parse((package / f"{source}.py").read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("induction_"):
                path = "/".join((node.module or "").split(".")[1:])
                modules = {f"{path}/{alias.name}" for alias in node.names}
                inside = {name for name in modules if (package / f"{name}.py").is_file()}
                imported |= inside or {path}
    assert imported - set(SOURCES) == WITHOUT_NUMBERS


def test_the_sources_hold_both_measures_of_a_model():
    assert {"sweeps/toy_record", "training/text_record", "training/measurement"} <= set(SOURCES)
