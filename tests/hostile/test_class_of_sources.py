"""A class whose files are right answers in a form meant to break what reads or writes them."""

import csv
import json
import os
import py_compile
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from induction_heads.course.registry import Selection, chapter_exercises
from induction_heads.grading import review, source_code
from induction_heads.grading.grade import GradingOptions, grade_folder

STEM = "ch01_attention"
NAME = "causal_mask"
FILE = f"{STEM}.py"
RIGHT = """\
import torch


def causal_mask(n_pos):
    return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()
"""
WRONG = "def causal_mask(n_pos):\n    return n_pos\n"


def _file(text: str, name: str = FILE) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / name).write_text(text)

    return write


def _name_that_is_not_text(folder: Path) -> None:
    _file(RIGHT)(folder)
    with open(os.fsencode(folder) + b"/\xff\xfe.py", "w") as file:
        file.write("x = 1\n")


def _file_of_another_student(folder: Path) -> None:
    with zipfile.ZipFile(folder.with_name(f"{folder.name}.zip"), "w") as file:
        file.writestr(f"ada/{FILE}", WRONG)
        file.writestr(f"exercises/{FILE}", RIGHT)


def _compiled_helper(folder: Path) -> None:
    """The source of the helper is wrong. A compiled file beside it, which claims to be of it, is
    right."""
    _file("from helper import causal_mask as answer\n\ncausal_mask = answer\n")(folder)
    helper = folder / "helper.py"
    helper.write_text(RIGHT)
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(helper), invalidation_mode=mode)
    helper.write_text(WRONG)


def _number_of_too_many_digits(folder: Path) -> None:
    cell = {"cell_type": "code", "source": RIGHT}
    text = json.dumps({"cells": [cell], "nbformat": 4, "metadata": {}})
    folder.with_name(f"{folder.name}.ipynb").write_text(f'{text[:-1]}, "n": {"1" * 5000}}}')


WORKS = {
    "ada": _file(RIGHT),
    "hexadecimal": _file(f"{RIGHT}\n\ndef _n():\n    return 0x{'f' * 5000}\n"),
    "sum": _file(f"{RIGHT}\n\ndef _n(n):\n    return {'1+' * 1500}n\n"),
    "nonlocal": _file(f"{RIGHT}\nnonlocal x\n"),
    "yield": _file(f"{RIGHT}\nyield 3\n"),
    "summary": _file(RIGHT),
    "grades.csv": _file(RIGHT),
    "=1+1": _file(RIGHT),
    "bytes": _name_that_is_not_text,
}
FAILS = {
    "compiled": _compiled_helper,
    "digits": _number_of_too_many_digits,
    # Two files with as many answers: neither is taken, and nothing of it reaches ada.
    "zip": _file_of_another_student,
}


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: file names that are not text")
def test_every_student_of_the_class_has_the_grade_of_the_answers(tmp_path: Path):
    folder, out = tmp_path / "class", tmp_path / "out"
    folder.mkdir()
    for name, write in (WORKS | FAILS).items():
        write(folder / name)
    selection = Selection(STEM, chapter_exercises(STEM))
    options = GradingOptions(folder, out, [selection], without_isolation=True)
    assert grade_folder(options).failed == ()

    with (out / "grades.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    points = {row["Student"].split("~")[0]: float(list(row.values())[-1]) for row in rows}
    passes = {name for name, number in points.items() if number > 0}
    assert passes == {"_1+1", *WORKS} - {"=1+1"}
    assert len(points) == len(WORKS) + len(FAILS)
    assert not [row for row in rows for cell in row.values() if cell[:1] in "=+-@" and cell]
    summary = (out / "summary.html").read_text(encoding="utf-8")
    assert all(name in summary for name in points)


@pytest.mark.parametrize("name", ["hexadecimal", "sum", "nonlocal", "yield"])
def test_a_source_is_read_whatever_is_in_it(name: str, tmp_path: Path):
    WORKS[name](tmp_path / name)
    source = (tmp_path / name / FILE).read_text()
    assert source_code.function_digests(source, [NAME]).keys() == {NAME}
    assert set(review.looks({"ada": [source], "bob": [source]}, [NAME])) == {"ada", "bob"}
