import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from induction_heads.grading import handed_in
from induction_heads.grading.handed_in import NotAccepted, chapter_submissions, open_files

STEM = "ch01_attention"
FILE = f"{STEM}.py"
SOURCE = "def causal_mask(n_pos):\n    return n_pos\n"


def read(path: Path, *stems: str):
    with open_files(path) as files:
        return chapter_submissions(files, stems or (STEM,))


def problem(path: Path) -> str:
    (submission,) = read(path)
    assert submission.source == ""
    return submission.problem or ""


def zipped(tmp_path: Path, fill: Callable[[zipfile.ZipFile], object]) -> Path:
    path = tmp_path / "ada.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        fill(file)
    return path


def notebook(*cells: str) -> str:
    found = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": found, "nbformat": 4})


@pytest.mark.parametrize("inside", ["", "work/"])
def test_a_file_is_found_in_a_folder_and_one_down(tmp_path, inside):
    (tmp_path / "ada" / inside).mkdir(parents=True)
    (tmp_path / "ada" / inside / FILE).write_text(SOURCE)
    assert read(tmp_path / "ada")[0].source == SOURCE


@pytest.mark.parametrize("inside", ["", "work/"])
def test_a_file_is_found_in_a_zip_and_one_down(tmp_path, inside):
    path = zipped(tmp_path, lambda z: z.writestr(inside + FILE, SOURCE.replace("\n", "\r\n")))
    assert read(path)[0].source == SOURCE


def test_two_folders_down_is_too_deep(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr(f"a/b/{FILE}", SOURCE))
    assert problem(path) == f"There is no file {FILE} in the submission."


def test_the_file_at_the_top_counts_and_two_below_are_unclear(tmp_path):
    for inside in ("", "a", "b"):
        (tmp_path / "ada" / inside).mkdir(parents=True, exist_ok=True)
        (tmp_path / "ada" / inside / FILE).write_text(f"here = {inside!r}\n")
    assert read(tmp_path / "ada")[0].source == "here = ''\n"
    (tmp_path / "ada" / FILE).unlink()
    assert "holds 2 files" in problem(tmp_path / "ada")


def test_a_notebook_serves_its_chapter_and_another_all_the_rest(tmp_path):
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "ch01 mine.ipynb").write_text(notebook("def one(): pass"))
    (tmp_path / "ada" / "all.ipynb").write_text(notebook("def other(): pass"))
    first, second = read(tmp_path / "ada", STEM, "ch02_attention_patterns")
    assert first.source == "def one(): pass\n"
    assert second.source == "def other(): pass\n"


def test_a_notebook_alone_is_a_submission_for_every_chapter(tmp_path):
    (tmp_path / "ada.ipynb").write_text(notebook("def f(): pass"))
    assert [s.source for s in read(tmp_path / "ada.ipynb", "ch01_a", "ch02_b")] == [
        "def f(): pass\n"
    ] * 2


def test_what_is_no_notebook_says_so(tmp_path):
    (tmp_path / "ada.ipynb").write_text("[]")
    assert problem(tmp_path / "ada.ipynb") == "The notebook is no Jupyter notebook of format 4."


@pytest.mark.parametrize("name", ["../ada.py", "/etc/x", "a/../../b", "C:/x", "a\\..\\b"])
def test_a_zip_with_a_name_that_leads_out_is_refused(tmp_path, name):
    path = zipped(tmp_path, lambda z: z.writestr(zipfile.ZipInfo(name), "x"))
    if "\\" in name and os.sep == "\\":
        pytest.skip("zipfile writes / there")
    with pytest.raises(NotAccepted, match="leads out"):
        read(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr("zeros", bytes(2 * 2**20)))
    with pytest.raises(NotAccepted, match="far more than its size"):
        read(path)


def test_many_files_and_many_bytes_are_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path, lambda z: [z.writestr(str(i), b"abc") for i in range(5)])
    monkeypatch.setattr(handed_in, "MAX_UNPACKED", 14)
    with pytest.raises(NotAccepted, match="would unpack"):
        read(path)
    monkeypatch.setattr(handed_in, "MAX_ENTRIES", 4)
    with pytest.raises(NotAccepted, match="more than 4 files"):
        read(path)


def test_a_link_in_a_zip_is_not_followed(tmp_path):
    info = zipfile.ZipInfo(FILE)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = zipped(tmp_path, lambda z: z.writestr(info, "/etc/passwd"))
    assert "not followed" in problem(path)


def test_an_encrypted_file_asks_for_one_without_a_password(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr(FILE, SOURCE))
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "without a password" in problem(path)


def test_two_files_of_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path, lambda z: [z.writestr(FILE, "1"), z.writestr(FILE, "2")])
    with pytest.raises(NotAccepted, match="same name"):
        read(path)


@pytest.mark.parametrize("how", ["no zip", "cut", "changed", "lzma"])
def test_a_zip_that_cannot_be_read_is_said_to_be(tmp_path, how):
    path = zipped(tmp_path, lambda z: z.writestr(FILE, SOURCE * 50))
    data = bytearray(path.read_bytes())
    if how == "no zip":
        data = bytearray(b"x" * 100)
    elif how == "cut":
        data = data[:-30]
    elif how == "changed":
        data[60] ^= 255
    else:
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_LZMA) as file:
            file.writestr(FILE, SOURCE)
        data = bytearray(packed.getvalue())
    path.write_bytes(data)
    try:
        said = problem(path)
    except NotAccepted as error:
        said = str(error)
    assert {"no zip": "is not a zip", "cut": "is not a zip", "changed": "is damaged",
            "lzma": "unusual method"}[how] in said  # fmt: skip


def test_a_declared_size_that_is_a_lie_does_not_matter(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr(FILE, bytes(3 * 2**20)))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    # Python stops at the declared size; the checksum then tells.
    assert "is damaged" in problem(path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "large", "encoding", "bytes"])
def test_a_file_that_is_no_text_is_a_problem_in_a_sentence(tmp_path, kind):
    folder = tmp_path / "ada"
    folder.mkdir()
    file = folder / FILE
    if kind == "link":
        file.symlink_to("/etc/hostname")
    elif kind == "pipe":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        contents = {"large": b"#" * (2**20 + 1), "encoding": b"# coding: rot13\n", "bytes": b"\xff"}
        file.write_bytes(contents[kind])
    expected = {
        "link": "links are not followed",
        "pipe": "is not an ordinary file",
        "folder": "There is no file",
        "large": "larger than 1 MB",
        "encoding": "rot",
        "bytes": "no Python text in UTF-8",
    }
    assert expected[kind] in problem(folder)


def test_a_folder_with_countless_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(handed_in, "MAX_ENTRIES", 3)
    for i in range(4):
        (tmp_path / str(i)).touch()
    with pytest.raises(NotAccepted, match="more than 3 files"):
        read(tmp_path)
