"""What teachers copy into GitHub Classroom, Gradescope and nbgrader works as it stands."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from induction_heads.checks.registry import chapter_exercises, select

ROOT = Path(__file__).resolve().parents[1]
TEACH = ROOT / "book" / "teach"
WORKFLOW = yaml.safe_load((TEACH / "classroom" / "classroom.yml").read_text())
STEPS = WORKFLOW["jobs"]["run-autograding-tests"]["steps"]
GRADERS = {step["id"]: step for step in STEPS if "command-grader" in step.get("uses", "")}
STARS = sum(exercise.difficulty for exercise in chapter_exercises("ch01_attention"))
SELECTIONS = {s.stem[:4]: s for s in select(None)}


@pytest.fixture
def command(tmp_path) -> dict[str, str]:
    """An environment in which `induction-heads` is the command of this checkout."""
    script = tmp_path / "bin" / "induction-heads"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m induction_heads.cli "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {
        "PATH": path, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip


def test_the_workflow_has_a_step_for_each_chapter_worth_its_stars():
    assert WORKFLOW[True] == ["push", "workflow_dispatch"]  # YAML reads `on` as true.
    assert set(SELECTIONS) <= set(GRADERS)
    for chapter, selection in SELECTIONS.items():
        stars = sum(exercise.difficulty for exercise in selection.exercises)
        assert GRADERS[chapter]["with"]["max-score"] == stars


def test_the_workflow_reports_every_step():
    report = STEPS[-1]
    assert report["with"]["runners"].split(",") == list(GRADERS)
    assert report["env"] == {
        f"{step.upper()}_RESULTS": f"${{{{steps.{step}.outputs.result}}}}" for step in GRADERS
    }


@pytest.mark.parametrize(("folder", "status"), [("solutions", 0), ("exercises", 1)])
def test_the_command_of_a_step_tells_solutions_from_stubs(tmp_path, command, folder, status):
    shutil.copytree(ROOT / folder, tmp_path / "exercises")
    for extra in ([], ["--json"]):
        done = subprocess.run(
            [*shlex.split(GRADERS["ch01"]["with"]["command"]), *extra], cwd=tmp_path, env=command,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
    found = json.loads(done.stdout)
    assert found["passed"] is (status == 0)
    assert len(found["exercises"]) == len(SELECTIONS["ch01"].exercises)


def test_gradescope_gets_its_results_from_the_script(tmp_path, command):
    root = tmp_path / "autograder"
    (root / "source").mkdir(parents=True)
    (root / "source" / "seed.txt").write_text("secret words")
    (root / "submission").mkdir()
    shutil.copy(ROOT / "solutions" / "ch01_attention.py", root / "submission")
    done = subprocess.run(
        ["bash", TEACH / "classroom" / "run_autograder", root], env=command | {"CHAPTERS": "ch01"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((root / "results" / "results.json").read_text())
    assert found["score"] == sum(test["max_score"] for test in found["tests"]) == STARS
    assert {test["status"] for test in found["tests"]} == {"passed"}


@pytest.mark.parametrize("script", ["run_autograder", "setup.sh"])
def test_a_script_is_executable_and_bash_can_read_it(script):
    path = TEACH / "classroom" / script
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", path], check=True)


def nbgrader_cell() -> str:
    """The cell in the page for teachers."""
    (cell,) = re.findall(r"^```python\n(.*?)^```", (TEACH / "grading.md").read_text(), re.M | re.S)
    return cell


RIGHT = "import torch\ndef causal_mask(n):\n    return torch.ones(n, n).tril().bool()"
FITTED = (
    "import torch\nfrom induction_heads.checks.registry import chapter_exercises, select\n"
    "sizes = [c.args[0] for c in select('causal_mask')[0].exercises[0].cases(0)]\n"
    "def causal_mask(n):\n    return torch.ones(n, n).tril().bool() if n in sizes else None"
)


@pytest.mark.parametrize(("cell", "said"), [
    (RIGHT, None),
    (RIGHT.replace("tril", "triu"), "the mask is transposed"),
    (FITTED, "Is a `return` missing?"),
])  # fmt: skip
def test_the_nbgrader_cell_passes_what_is_right_and_says_what_is_not(cell, said, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    cells = [nbformat.v4.new_code_cell(source) for source in (cell, nbgrader_cell())]
    client = NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120)
    if said is None:
        client.execute()
        return
    with pytest.raises(CellExecutionError) as caught:
        client.execute()
    assert "AssertionError" in str(caught.value)
    assert said in str(caught.value)


def test_the_weights_in_the_page_are_understood(tmp_path):
    from induction_heads.grading.weights import read_weights

    (example,) = re.findall(r"^```toml\n(.*?)^```", (TEACH / "grading.md").read_text(), re.M | re.S)
    (tmp_path / "grading.toml").write_text(example)
    worths = read_weights(tmp_path / "grading.toml", select("ch04"))
    assert worths["induction_score"].points == 10
    assert not worths["induction_score"].partial
