"""The student pack as students get it: its zip, installed in an empty folder, without network."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from induction_heads.course.student_pack import TOP, student_files, write_zip

from .conftest import Visit

ROOT = Path(__file__).resolve().parents[2]
PAGE = """
import sys
from pathlib import Path
import induction_heads
from browser.explorer_page import write_page
assert induction_heads.__file__.startswith(sys.argv[1]), induction_heads.__file__
print(write_page(Path(sys.argv[2])))
"""


@pytest.fixture(scope="module")
def pack(tmp_path_factory) -> Path:
    """The unpacked zip."""
    folder = tmp_path_factory.mktemp("pack")
    write_zip(student_files(ROOT), folder / "pack.zip")
    with zipfile.ZipFile(folder / "pack.zip") as file:
        file.extractall(folder)
    return folder / TOP


@pytest.fixture(scope="module")
def installed(pack) -> Path:
    """The package of the pack in an empty folder, put there by pip if it can build here."""
    target = pack.parent / "installed"
    if importlib.util.find_spec("hatchling") is None:  # A wheel has the same files.
        return shutil.copytree(pack / "src", target)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(target), str(pack)]
    subprocess.run(command, check=True, timeout=600)
    return target


def run(installed: Path, folder: Path, *command: str) -> subprocess.CompletedProcess:
    paths = os.pathsep.join([str(installed), str(ROOT / "tests")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
    )


@pytest.mark.long
def test_in_the_installed_pack_hints_checks_and_the_explorer_work(installed, pack, browser):
    hint = run(installed, pack, "-m", "induction_heads", "hint", "causal_mask")
    assert (hint.returncode, "hint 1 of" in hint.stdout) == (0, True), hint.stderr
    command = ["-m", "induction_heads", "check", "causal_mask"]
    assert "not started" in run(installed, pack, *command).stdout
    solved = run(installed, pack, *command, "--submission", str(ROOT / "solutions"))
    assert solved.returncode == 0, solved.stdout + solved.stderr
    written = run(installed, pack, "-c", PAGE, str(installed), str(pack.parent / "page.html"))
    assert written.returncode == 0, written.stderr
    seen = Visit(browser)
    seen.tab.goto(written.stdout.strip())
    seen.tab.locator(".ex-body").wait_for()
    assert "What comes after the second B?" in seen.tab.inner_text(".ex-prediction")
    assert seen.errors == []
    seen.tab.close()


@pytest.mark.long
def test_the_site_of_the_pack_builds_and_its_explorer_runs(installed, pack, browser):
    """Without running the notebooks, which other tests do: figures have no labels then."""
    if importlib.util.find_spec("jupyter_book") is None:
        pytest.skip("NOT RUN: jupyter-book is not installed")
    work = shutil.copytree(pack, pack.parent / "site")
    settings = (work / "_config.yml").read_text(encoding="utf-8")
    assert settings.count("execute_notebooks: cache") == 1
    settings = settings.replace("execute_notebooks: cache", 'execute_notebooks: "off"')
    (work / "_config.yml").write_text(settings, encoding="utf-8")
    build = (
        "import sys; from jupyter_book.cli.main import main; sys.argv[0] = 'jupyter-book'; main()"
    )
    done = run(installed, work, "-c", build, "build", "book/", "-n", "--keep-going")
    assert done.returncode == 0, done.stderr[-2000:]
    warnings = [line for line in done.stderr.splitlines() if re.search("WARNING|ERROR", line)]
    assert [line for line in warnings if "undefined label: 'fig-" not in line] == []
    seen = Visit(browser)
    seen.tab.goto((work / "_build/html/index.html").as_uri())
    seen.tab.locator(".ex-body").first.wait_for()
    assert seen.tab.locator("a[href='ch15_capstone_sycophancy.html']").count() > 0
    assert seen.errors == []
    seen.tab.close()
