"""The student pack as students get it: its zip, installed, and the site that it builds."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
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


@pytest.fixture
def pack(tmp_path) -> Path:
    """The unpacked zip."""
    write_zip(student_files(ROOT), tmp_path / "pack.zip")
    with zipfile.ZipFile(tmp_path / "pack.zip") as file:
        file.extractall(tmp_path)
    return tmp_path / TOP


@dataclass(frozen=True)
class Installed:
    """An installed pack: its folder, the Python that has it, and where its package has to be."""

    folder: Path
    python: Path
    package: Path
    paths: tuple[Path, ...] = ()

    def run(self, *command: str) -> subprocess.CompletedProcess:
        """What `python COMMAND` says in the folder of the pack."""
        paths = os.pathsep.join(map(str, [*self.paths, ROOT / "tests"]))
        return subprocess.run(
            [self.python, *command],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=1800,
        )


def with_these_libraries(pack: Path) -> Installed:
    """The package in an empty folder, put there by pip if it can build here: without network."""
    target = pack.parent / "installed"
    if importlib.util.find_spec("hatchling") is None:  # A wheel has the same files.
        shutil.copytree(pack / "src", target)
    else:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        command += ["--no-build-isolation", "--target", str(target), str(pack)]
        subprocess.run(command, check=True, timeout=600)
    return Installed(pack, Path(sys.executable), target, (target,))


def in_a_fresh_environment(pack: Path) -> Installed:
    """`make everything`, as in the README: a new environment with all that the site needs."""
    reach = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest"]
    if subprocess.run([*reach, pack.parent, "click"], capture_output=True).returncode != 0:
        pytest.skip("NOT RUN: pip does not reach a package index")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = ["make", "everything", f"PYTHON={sys.executable}"]
    done = subprocess.run(command, cwd=pack, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return Installed(pack, pack / ".venv" / "bin" / "python", pack / "src")


@pytest.mark.long
@pytest.mark.parametrize(
    "install", [with_these_libraries, in_a_fresh_environment], ids=["these libraries", "fresh"]
)
def test_the_pack_from_its_zip_helps_checks_and_builds_a_site_that_works(install, pack, browser):
    """The site is built without running the notebooks, which other tests do: without figures."""
    if importlib.util.find_spec("jupyter_book") is None:
        pytest.skip("NOT RUN: jupyter-book is not installed")
    installed = install(pack)
    hint = installed.run("-m", "induction_heads", "hint", "causal_mask")
    assert (hint.returncode, "hint 1 of" in hint.stdout) == (0, True), hint.stderr
    command = ["-m", "induction_heads", "check", "causal_mask"]
    assert "not started" in installed.run(*command).stdout
    solved = installed.run(*command, "--submission", str(ROOT / "solutions"))
    assert solved.returncode == 0, solved.stdout + solved.stderr
    page = str(pack.parent / "page.html")
    written = installed.run("-c", PAGE, str(installed.package), page)
    assert written.returncode == 0, written.stderr
    seen = Visit(browser)
    seen.tab.goto(written.stdout.strip())
    seen.tab.locator(".ex-body").wait_for()
    assert "What comes after the second B?" in seen.tab.inner_text(".ex-prediction")
    seen.tab.goto(built_site(installed).as_uri())
    seen.tab.locator(".ex-body").first.wait_for()
    assert seen.tab.locator("a[href='ch15_capstone_sycophancy.html']").count() > 0
    assert seen.errors == []
    seen.tab.close()


def built_site(installed: Installed) -> Path:
    """The first page of the site that the pack builds."""
    settings = installed.folder / "_config.yml"
    text = settings.read_text(encoding="utf-8")
    off = text.replace("execute_notebooks: cache", 'execute_notebooks: "off"')
    assert text.count("execute_notebooks: ") == 1
    settings.write_text(off, encoding="utf-8")
    build = (
        "import sys; from jupyter_book.cli.main import main; sys.argv[0] = 'jupyter-book'; main()"
    )
    done = installed.run("-c", build, "build", "book/", "-n", "--keep-going")
    assert done.returncode == 0, done.stderr[-2000:]
    warnings = [line for line in done.stderr.splitlines() if re.search("WARNING|ERROR", line)]
    assert [line for line in warnings if "undefined label: 'fig-" not in line] == []
    return installed.folder / "_build" / "html" / "index.html"
