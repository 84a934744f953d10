"""The student pack: what is in it, what is not, and that it works."""

import ast
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from induction_heads.cli.main import main
from induction_heads.course import student_pack
from induction_heads.course.hints import hints_of
from induction_heads.course.student_pack import (
    NotACheckout,
    digest,
    student_files,
    write_folder,
    write_zip,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def pack() -> student_pack.Pack:
    return student_files(ROOT)


@pytest.fixture(scope="module")
def folder(pack, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("pack") / "course"
    write_folder(pack, path)
    return path


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Another checkout, with other times and with files that are no part of the course."""
    path = tmp_path_factory.mktemp("checkout") / "elsewhere"
    shutil.copytree(ROOT, path, ignore=shutil.ignore_patterns(".git", "_build", ".venv", "tests"))
    for junk in ("exercises/ch01_mine.py", "book/draft.ipynb", "src/induction_heads/x.log"):
        (path / junk).write_text("junk")
    return path


def test_no_solution_no_test_and_no_page_for_teachers_is_in_the_pack(pack):
    tops = {name.split("/")[0] for name in pack}
    assert not tops & {"solutions", "tests", "benchmarks", ".ci", ".git"}
    assert not [name for name in pack if "teach" in name or "__pycache__" in name]
    for name, data in pack.items():
        if name.startswith("book/") and name.endswith((".md", ".yml", ".ipynb")):
            assert b"teach/" not in data, name


def test_every_chapter_has_its_stub_notebook_and_checks(pack):
    for path in (ROOT / "exercises").glob("ch*.py"):
        stem = path.stem
        assert pack[f"exercises/{stem}.py"] == path.read_bytes()
        assert f"src/induction_heads/course/{stem}/checks.py" in pack
    for page in (
        "book/ch01_attention.ipynb",
        "book/index.md",
        "src/induction_heads/zoo/toy-2l/model.safetensors",
    ):
        assert page in pack


def test_two_checkouts_give_the_same_bytes(pack, checkout, tmp_path):
    again = student_files(checkout)
    assert digest(again) == digest(pack)
    assert list(again) == list(pack) == sorted(pack)
    assert write_zip(pack, tmp_path / "a.zip") == write_zip(again, tmp_path / "b.zip")
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_the_zip_holds_the_pack_in_one_folder(pack, tmp_path):
    write_zip(pack, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.testzip() is None
        assert {info.filename.split("/")[0] for info in file.infolist()} == {student_pack.TOP}
        assert {info.date_time for info in file.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert file.read(f"{student_pack.TOP}/README.md") == pack["README.md"]


def test_no_path_of_this_machine_is_in_the_pack(pack):
    for name, data in pack.items():
        assert str(ROOT).encode() not in data, name
        assert str(Path.home()).encode() + b"/" not in data, name


def bodies(source: str) -> dict[str, str]:
    """The statements of every function with at least two, without docstrings and annotations."""
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            if len(body) >= 2:
                found[node.name] = "\n".join(ast.unparse(part) for part in body)
    return found


def test_no_solution_is_in_the_checks_of_the_pack(pack):
    theirs = {
        body: f"{name} {function}"
        for name, data in pack.items()
        if name.startswith(student_pack.COURSE) and name.endswith(".py")
        for function, body in bodies(data.decode()).items()
    }
    n_solutions = 0
    for path in (ROOT / "solutions").glob("ch*.py"):
        for function, body in bodies(path.read_text()).items():
            n_solutions += 1
            assert body not in theirs, f"{path.name} {function} is {theirs[body]}"
    assert n_solutions > 10


NOT_IN_THE_PACK: dict[str, str] = {}
"""A file of the package that students do without → the reason."""


def test_every_file_of_the_package_is_in_the_pack(pack):
    listed = subprocess.run(
        ["git", "ls-files", "-z", "src/induction_heads"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode != 0:
        pytest.skip("NOT RUN: this is not a git checkout")
    files = set(listed.stdout.split("\0")) - {""}
    assert len(files) > 100
    assert sorted(files - pack.keys() - NOT_IN_THE_PACK.keys()) == []
    assert sorted(NOT_IN_THE_PACK.keys() - files) == []


def test_no_other_right_answer_is_in_the_pack(pack):
    assert not [name for name in pack if "also_right" in name or name.startswith("tests/")]


PROBE = """
from induction_heads.course.registry import select
import induction_heads
for s in select(None):
    for e in s.exercises:
        assert len(e.mistakes) >= 4
print(induction_heads.__file__)
"""


def run(folder: Path, *command: str) -> subprocess.CompletedProcess:
    here = os.environ | {"PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=here,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_hints_work_in_the_pack(folder, tmp_path):
    work = shutil.copytree(folder, tmp_path / "work")
    done = run(work, "-m", "induction_heads.cli.main", "hint", "causal_mask")
    assert done.returncode == 0, done.stderr
    assert hints_of("causal_mask")[0][:40] in done.stdout
    assert "hint 1 of 3" in done.stdout


def test_the_checks_of_the_pack_load_without_other_answers(folder):
    done = run(folder, "-c", PROBE)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(folder))


@pytest.mark.parametrize(
    "target", [["ch01"], pytest.param([], marks=pytest.mark.long, id="all chapters")]
)
def test_in_the_pack_stubs_are_not_started_and_solutions_pass(folder, target):
    command = ["-m", "induction_heads.cli.main", "check", *target]
    done = run(folder, *command)
    assert done.returncode == 1
    assert "0 of " in done.stdout
    last = done.stdout.splitlines()[-1]
    n_all, n_open = last.split(" of ")[1].split()[0], last.split(", ")[-1].split()[0]
    assert n_all == n_open, last
    solved = run(folder, *command, "--submission", str(ROOT / "solutions"))
    assert solved.returncode == 0, solved.stdout


def test_the_makefile_keeps_what_works_without_solutions(pack):
    makefile = pack["Makefile"].decode()
    for target in ("book:", "serve:", "install:"):
        assert f"\n{target}" in makefile
    for word in student_pack.AUTHORS_TARGETS:
        assert f"\n{word}:" not in makefile
        assert f"make {word}" not in makefile
    assert ".PHONY: help venv install lab everything book serve clean\n" in makefile


def test_notebooks_lose_outputs_and_keep_their_bytes_otherwise(pack):
    plain = (ROOT / "book/ch01_attention.ipynb").read_bytes()
    assert pack["book/ch01_attention.ipynb"] == plain
    ran = plain.replace(b'"execution_count": null', b'"execution_count": 7')
    assert ran != plain
    assert b'"execution_count": 7' not in student_pack.without_outputs(ran)


def test_the_command_writes_a_folder_and_a_zip_and_prints_their_digests(pack, tmp_path):
    arguments = ["release", "--out", str(tmp_path / "out"), "--zip", "--source", str(ROOT)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert digest(pack) in done.output
    assert (tmp_path / "out" / "README.md").read_bytes() == pack["README.md"]
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    assert "already exists" in again.output
    (tmp_path / "out.zip").unlink()
    assert "is not empty" in CliRunner().invoke(main, arguments).output


def test_a_folder_that_is_not_a_checkout_is_refused(tmp_path):
    with pytest.raises(NotACheckout, match="not a checkout of the course"):
        student_files(tmp_path)
