"""The recipe for nbgrader in the page for teachers, run by nbgrader where it is installed."""

import csv
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from induction_heads.grading.students import find_students, read_student

ROOT = Path(__file__).resolve().parents[2]
TEACH = ROOT / "book" / "teach"
NAME = "ch01_attention.ipynb"


def nbgrader_cell() -> str:
    """The cell in the page for teachers."""
    (cell,) = re.findall(r"^```python\n(.*?)^```", (TEACH / "grading.md").read_text(), re.M | re.S)
    return cell


RIGHT = "import torch\ndef causal_mask(n):\n    return torch.ones(n, n).tril().bool()"
IMPORTED = "from induction_heads.models.attention import causal_mask"


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (RIGHT, None),
        (RIGHT.replace("tril", "triu"), "the mask is transposed"),
        (IMPORTED, "Write causal_mask yourself"),
    ],
)
def test_the_nbgrader_cell_passes_what_is_right_and_says_what_is_not(cell, said, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    cells = [nbformat.v4.new_code_cell(source) for source in (cell, nbgrader_cell())]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=600)
    if said is None:
        client.execute()
        return
    with pytest.raises(CellExecutionError) as caught:
        client.execute()
    assert "AssertionError" in str(caught.value)
    assert said in str(caught.value)


def test_grade_reads_what_nbgrader_collected_and_ignores_its_test_cells(tmp_path):
    """`submitted/STUDENT/ASSIGNMENT/NOTEBOOK.ipynb`, with a cell that changes the check."""
    meta = {"nbgrader": {"grade": True, "grade_id": "mask", "points": 0, "locked": True}}
    cells = [nbformat.v4.new_code_cell(source) for source in (RIGHT, CHEAT)]
    cells.append(nbformat.v4.new_code_cell(nbgrader_cell(), metadata=meta))
    notebook = tmp_path / "submitted" / "ada" / "ps1" / "ch01_attention.ipynb"
    notebook.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), notebook)
    ((student,), _) = find_students(tmp_path / "submitted")
    (submission,) = read_student(student, {"ch01_attention": ["causal_mask"]}).submissions
    assert student.name == "ada"
    assert submission.problem is None
    assert "def causal_mask" in submission.source
    assert "CheckReport.passed" not in submission.source
    assert "assert report" not in submission.source


def nbgrader_course(folder: Path, run) -> None:
    """A course with one assignment, handed in by three students and collected by nbgrader."""
    none = {"schema_version": 3, "locked": False, "grade": False, "solution": False, "task": False}
    marked = (
        RIGHT.replace("    return", "    ### BEGIN SOLUTION\n    return") + "\n    ### END SOLUTION"
    )
    test = {"grade_id": "check", "grade": True, "locked": True, "points": 0}
    cells = [
        nbformat.v4.new_code_cell(
            marked, metadata={"nbgrader": none | {"grade_id": "mask", "solution": True}}
        ),
        nbformat.v4.new_code_cell(nbgrader_cell(), metadata={"nbgrader": none | test}),
    ]
    source = folder / "source" / "ps1" / NAME
    source.parent.mkdir(parents=True)
    nbformat.write(nbformat.v4.new_notebook(cells=cells), source)
    run("nbgrader", "generate_assignment", "ps1")
    for student, answer in STUDENTS.items():
        notebook = nbformat.read(folder / "release" / "ps1" / NAME, as_version=4)
        assert "raise NotImplementedError()" in notebook.cells[0].source
        notebook.cells[0].source = answer
        handed_in = folder / "submitted" / student / "ps1" / NAME
        handed_in.parent.mkdir(parents=True)
        nbformat.write(notebook, handed_in)
        (handed_in.parent / "timestamp.txt").write_text("2026-10-05 12:00:00 UTC")


WRONG = RIGHT.replace("tril", "triu")
CHEAT = "\nimport induction_heads.grading.report as r\nr.CheckReport.passed = True"
STUDENTS = {"ada": RIGHT, "bob": WRONG, "mallory": WRONG + CHEAT}


@pytest.mark.long
def test_with_nbgrader_itself_students_get_feedback_and_only_grade_decides(tmp_path):
    """Mallory's cell makes the test cell pass, which is why it is worth no points."""
    if not shutil.which("nbgrader"):
        pytest.skip("NOT RUN: the nbgrader command is not installed (pip install nbgrader)")
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}

    def run(*command: str | Path) -> None:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr

    nbgrader_course(tmp_path, run)
    run("nbgrader", "autograde", "ps1")
    run("nbgrader", "generate_feedback", "ps1")
    pages = {s: (tmp_path / "feedback" / s / "ps1" / NAME).with_suffix(".html") for s in STUDENTS}
    failing = {s for s, page in pages.items() if "AssertionError" in page.read_text()}
    assert failing == {"bob"}
    assert "the mask is transposed" in pages["bob"].read_text()
    grade = [sys.executable, "-m", "induction_heads", "grade", "submitted", "--out", "results"]
    run(*grade, "--chapters", "ch01", "--jobs", "1", "--without-isolation")
    with open(tmp_path / "results" / "grades.csv", newline="") as file:
        points = {
            row["SIS Login ID"]: row["Induction heads: total"] for row in csv.DictReader(file)
        }
    assert points == {"ada": "1.00", "bob": "0.00", "mallory": "0.00"}
