"""The notebook runner: what it ran is what the site build finds in the cache."""

import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_cache import get_cache

ROOT = Path(__file__).parents[2]
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


@pytest.fixture
def runner(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "book"))
    yield __import__("run_notebooks")
    sys.modules.pop("run_notebooks", None)


def notebook(tmp_path: Path, code: str) -> Path:
    cells = [nbformat.v4.new_code_cell(code, metadata={"tags": ["hide-input"]})]
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL}), path)
    return path


def test_a_run_is_found_under_the_code_of_its_file(runner, tmp_path):
    path = notebook(tmp_path, "print(6 * 7)")
    _, ran, _, error = runner.run(path)
    assert error is None
    assert ran.cells[0].outputs[0].text == "42\n"
    cache = get_cache(tmp_path / "cache")
    _, of_the_run = cache.create_hashed_notebook(ran)
    _, of_the_file = cache.create_hashed_notebook(nbformat.read(path, as_version=4))
    assert of_the_run == of_the_file


def test_a_failing_cell_is_reported(runner, tmp_path):
    *_, error = runner.run(notebook(tmp_path, "1 / 0"))
    assert "ZeroDivisionError" in error


def test_the_explorers_page_files_make_no_notebook_run_again(runner):
    suffixes = {file.suffix for file in runner.input_files()}
    assert {".py", ".safetensors"} <= suffixes
    assert not suffixes & {".js", ".css"}


def test_only_a_run_with_this_code_and_these_inputs_is_left_out(runner, tmp_path, monkeypatch):
    book, build = tmp_path / "book", tmp_path / "build"
    book.mkdir()
    paths = {"ROOT": tmp_path, "BOOK": book, "BUILD": build, "CACHE": build / "cache"}
    for name, path in paths.items():
        monkeypatch.setattr(runner, name, path)
    monkeypatch.setattr(runner, "STAMP", build / "stamp")
    monkeypatch.setattr(runner, "inputs_hash", lambda: "as now")
    ran, new = notebook(book, "print(1)"), book / "new.ipynb"
    assert runner.not_run() == [ran], "nothing has run"
    assert runner.main() == 0
    assert runner.not_run() == []
    code = nbformat.read(ran, as_version=4)
    code.cells[0].source = "print(2)"
    nbformat.write(code, new)
    assert runner.not_run() == [new]
    monkeypatch.setattr(runner, "inputs_hash", lambda: "a module has changed")
    assert runner.not_run() == [new, ran]
