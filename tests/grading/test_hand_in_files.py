import io
import json
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from induction_heads.grading import hand_in_files
from induction_heads.grading.chapter_files import ChapterFile, chapter_files
from induction_heads.grading.hand_in_files import NotAccepted, open_files

STEM = "ch01_attention"
FILE = f"{STEM}.py"
SOURCE = "def causal_mask(n_pos):\n    return n_pos\n"


NAMES = ("causal_mask", "attention_head")
SECOND = "ch02_attention_patterns"


def files_of(path: Path) -> list[ChapterFile]:
    return chapter_files(open_files(path), {STEM: NAMES, SECOND: ("first_token_score",)})


def read(path: Path) -> ChapterFile:
    return files_of(path)[0]


def source(path: Path) -> str:
    return read(path).submission.source


def problem(path: Path) -> str:
    submission = read(path).submission
    assert submission.source == ""
    return submission.problem or ""


def written(path: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        file = path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def packed(files: dict[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


def zipped(tmp_path: Path, fill: Callable[[zipfile.ZipFile], object]) -> Path:
    path = tmp_path / "ada.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        fill(file)
    return path


def notebook(*cells: str) -> str:
    code = [{"cell_type": "code", "source": cell.splitlines(keepends=True)} for cell in cells]
    return json.dumps({"cells": code, "nbformat": 4})


def test_a_file_is_found_under_every_name_and_in_every_place(tmp_path):
    cells = notebook(SOURCE)
    hand_ins = {
        FILE: SOURCE,
        f"a/b/c/{FILE}": SOURCE,
        "ch01_attention (1).py": SOURCE,
        "ch01_attention-1.py": SOURCE,
        "ch01_attention - Copy.py": SOURCE,
        "CH01_Attention.PY": SOURCE,
        "ch01_attention.py.txt": SOURCE,
        "ch01.py": SOURCE,
        "Chapter 1.py": SOURCE,
        "ada_ch01_attention_final.py": SOURCE,
        "homework.py": SOURCE,
        "ch01 mine.ipynb": cells,
        "Untitled3.ipynb": cells,
        "week 2/ch02_notes.ipynb": cells,
        "notebook.ipynb.txt": cells,
        "hw.zip": packed({f"hw/{FILE}": SOURCE}),
        "outer.zip": packed({"inner.zip": packed({FILE: SOURCE})}),
        "windows.zip": packed({f"hw\\{FILE}": SOURCE}),
        "colab.ipynb": notebook(f"%%writefile {FILE}\n{SOURCE}", "%%writefile -a x.txt\n1"),
        "induction-heads/exercises/ch01_attention.py": SOURCE,
    }
    lost = []
    for number, (name, data) in enumerate(hand_ins.items()):
        here = written(tmp_path / str(number), {name: data, "essay.pdf": b"%PDF"})
        chapter = read(here)
        if "return n_pos" not in chapter.submission.source or chapter.n_written != 1:
            lost.append((name, chapter))
    assert lost == []


def test_the_file_with_the_most_answers_is_taken(tmp_path):
    stub = "def causal_mask(n_pos):\n    raise NotImplementedError\n"
    both = SOURCE + "attention_head = lambda x: x\n"
    invalid = SOURCE + "def attention_head(x) return x\n"
    choices = {
        "a stub beside a solved notebook": ({FILE: stub, "book/ch01.ipynb": notebook(SOURCE)}, 1),
        "a notebook with more": ({FILE: SOURCE, "ch01_attention.ipynb": notebook(both)}, 1),
        "a draft with less": ({FILE: both, f"old/{FILE}": SOURCE}, 0),
        "equal: the name of the exercise file": ({FILE: SOURCE, "draft.py": SOURCE + "#"}, 0),
        "a second download": ({"ch01_attention (1).py": SOURCE + "#", FILE: SOURCE}, 1),
        "the pack": ({"src/induction_heads/models/attention.py": both, FILE: SOURCE}, 1),
        "a clone": ({f"solutions/{FILE}": both, f"exercises/{FILE}": SOURCE}, 1),
        "the tests": ({"tests/course/also_right/ch01.py": both, f"exercises/{FILE}": stub}, 1),
        "a file of Colab": ({FILE: stub, "Colab.py": f"!pip install x\n{SOURCE}"}, 1),
        "one that is valid": ({FILE: invalid, "x.ipynb": notebook(SOURCE)}, 1),
    }
    taken = {}
    for number, (what, (files, _)) in enumerate(choices.items()):
        taken[what] = read(written(tmp_path / str(number), files)).name
    assert taken == {what: list(files)[index] for what, (files, index) in choices.items()}


def test_a_misspelled_answer_alone_is_a_hand_in(tmp_path):
    written(tmp_path, {"x.ipynb": notebook("def casual_mask(n_pos): return 1")})
    assert read(tmp_path).name == "x.ipynb"


def test_the_chapters_without_a_file_say_what_is_there(tmp_path):
    written(tmp_path, {FILE: SOURCE, "essay.pdf": b"", "broken.zip": b"PK"})
    first, second = files_of(tmp_path)
    assert (first.name, second.name) == (FILE, "")
    assert second.submission.problem == (
        f"There is no file {SECOND}.py in the submission. It has broken.zip, {FILE}, essay.pdf. "
        "broken.zip is not a zip that can be read."
    )


def test_two_different_files_that_serve_equally_well_are_named(tmp_path):
    for inside in ("a", "b"):
        written(tmp_path, {f"{inside}/{FILE}": f"{SOURCE}# {inside}\n"})
    assert "has 2 files for ch01_attention: a/ch01_attention.py and b/ch" in problem(tmp_path)
    written(tmp_path, {f"a/{FILE}": SOURCE, f"b/{FILE}": SOURCE})
    assert source(tmp_path) == SOURCE
    written(tmp_path, {FILE: f"{SOURCE}# top\n"})
    assert source(tmp_path) == f"{SOURCE}# top\n"


def test_notebooks_of_one_chapter_are_read_as_one_if_they_share_no_answer(tmp_path):
    stub = "def attention_head(x):\n    raise NotImplementedError\n"
    first = notebook("scale = 2", SOURCE, stub)
    second = notebook("scale = 3", "def attention_head(x):\n    return scale * x")
    written(tmp_path, {"hw/ch01_attention.ipynb": first, "hw/ch01_more.ipynb": second})
    chapter = read(tmp_path)
    assert chapter.name == "hw/ch01_attention.ipynb and ch01_more.ipynb"
    assert (chapter.n_written, chapter.others) == (2, ())
    assert "return n_pos" in chapter.submission.source
    assert "return scale * x" in chapter.submission.source
    assert "scale = 3" in chapter.submission.source
    written(tmp_path, {"hw/ch01_more.ipynb": notebook(SOURCE, "attention_head = max")})
    assert read(tmp_path).name == "hw/ch01_more.ipynb"
    written(tmp_path, {"hw/ch01_more.ipynb": notebook("scale = 3")})
    assert read(tmp_path).name == "hw/ch01_attention.ipynb"


def test_one_notebook_serves_every_chapter(tmp_path):
    cells = notebook(SOURCE, "def first_token_score(p): return 2")
    (tmp_path / "ada.ipynb").write_text(cells)
    first, second = files_of(tmp_path / "ada.ipynb")
    assert first.submission.source == SOURCE
    assert second.submission.source == "def first_token_score(p): return 2\n"


def test_modules_beside_the_file_come_with_it(tmp_path):
    answer = "from masks.lower import lower\nimport scale, random\nfrom ch02 import x\n" + SOURCE
    written(
        tmp_path / "work",
        {
            FILE: answer,
            "masks/lower.py": "import masks.deep\n",
            "masks/__init__.py": "",
            "masks/deep.py": "1\n",
            "random.py": "no",
            "unused.py": "no",
        },
    )
    written(tmp_path, {"scale.py": "two = 2\n"})
    assert dict(read(tmp_path).submission.beside) == {
        "masks": "",
        "masks.deep": "1\n",
        "masks.lower": "import masks.deep\n",
        "scale": "two = 2\n",
    }


def test_several_entries_are_one_submission(tmp_path):
    written(tmp_path, {"ada_1_ch01_attention.py": SOURCE, "x.zip": packed({"y.txt": ""})})
    files = open_files(tmp_path / "ada_1_ch01_attention.py", tmp_path / "x.zip")
    assert files.names == ["ada_1_ch01_attention.py", "x.zip/y.txt"]


def test_zips_in_zips_have_an_end(tmp_path):
    data = packed({FILE: SOURCE})
    for depth in range(4):
        data = packed({f"{depth}.zip": data, f"{depth}.txt": ""})
    (tmp_path / "ada.zip").write_bytes(data)
    assert open_files(tmp_path / "ada.zip").names[-1].count("/") == 2
    assert "There is no file" in problem(tmp_path / "ada.zip")


def test_a_file_that_is_not_a_notebook_is_reported(tmp_path):
    (tmp_path / "ada.ipynb").write_text("[]")
    assert problem(tmp_path / "ada.ipynb") == "The notebook is not a Jupyter notebook of format 4."


def test_a_notebook_with_too_many_outputs_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("induction_heads.grading.chapter_files.MAX_NOTEBOOK", 2**20)
    (tmp_path / "ada.ipynb").write_text(" " * (2**20 + 1))
    assert problem(tmp_path / "ada.ipynb") == (
        "The notebook is larger than 1 MB. Clear its outputs and hand it in again."
    )


@pytest.mark.parametrize("name", ["../ada.py", "/etc/x", "a/../../b", "C:/x", "a\\..\\b"])
def test_a_zip_with_a_name_that_leads_out_is_refused(tmp_path, name):
    path = zipped(tmp_path, lambda z: z.writestr(zipfile.ZipInfo(name), "x"))
    with pytest.raises(NotAccepted, match="leads out"):
        read(path)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr("zeros", bytes(2 * 2**20)))
    with pytest.raises(NotAccepted, match="far more than its packed size"):
        read(path)


def test_many_files_and_many_bytes_are_refused(tmp_path, monkeypatch):
    path = zipped(tmp_path, lambda z: [z.writestr(str(i), b"abc") for i in range(5)])
    monkeypatch.setattr(hand_in_files, "MAX_UNPACKED", 14)
    with pytest.raises(NotAccepted, match="would unpack"):
        read(path)
    monkeypatch.setattr(hand_in_files, "MAX_ENTRIES", 4)
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


def test_two_files_with_one_name_are_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = zipped(tmp_path, lambda z: [z.writestr(FILE, "1"), z.writestr(FILE, "2")])
    with pytest.raises(NotAccepted, match="same name"):
        read(path)


@pytest.mark.parametrize("how", ["no zip", "cut", "changed", "lzma"])
def test_an_unreadable_zip_is_reported(tmp_path, how):
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
        message = problem(path)
    except NotAccepted as error:
        message = str(error)
    assert {
        "no zip": "is not a zip",
        "cut": "is not a zip",
        "changed": "is damaged",
        "lzma": "unusual compression method",
    }[how] in message


def test_a_false_declared_size_does_not_matter(tmp_path):
    path = zipped(tmp_path, lambda z: z.writestr(FILE, bytes(3 * 2**20)))
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    # Python stops at the declared size, and the checksum fails.
    assert "is damaged" in problem(path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "large", "encoding", "bytes"])
def test_a_file_that_is_not_text_is_reported(tmp_path, kind):
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
        "large": "larger than 512 kB",
        "encoding": "rot",
        "bytes": "not Python source in UTF-8",
    }
    assert expected[kind] in problem(folder)


def test_a_folder_with_countless_files_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(hand_in_files, "MAX_ENTRIES", 3)
    for i in range(4):
        (tmp_path / str(i)).touch()
    with pytest.raises(NotAccepted, match="more than 3 files"):
        read(tmp_path)
