"""The environment files agree with each other and with what the course says of itself."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from induction_heads.course import exercise_files, plain_notebooks

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text().splitlines()
    if line and not line.startswith(("#", "-e"))
]
BOUNDS = [
    Requirement(bound)
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for bound in group
]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.name)
def test_requirement_is_an_exact_pin(pin):
    assert re.fullmatch(r"==[0-9][0-9a-z.]*", str(pin.specifier))


@pytest.mark.parametrize("bound", BOUNDS, ids=lambda bound: bound.name)
def test_pins_hold_every_dependency_within_its_bounds(bound):
    pins = {canonicalize_name(pin.name): str(pin.specifier)[2:] for pin in PINS}
    assert pins[canonicalize_name(bound.name)] in bound.specifier


def test_requirements_end_with_the_package_itself():
    assert (ROOT / "requirements.txt").read_text().rstrip().endswith("\n-e .")


def test_environment_has_the_pinned_versions():
    wrong = {
        pin.name: version(pin.name)
        for pin in PINS
        if (pin.marker is None or pin.marker.evaluate())
        and version(pin.name).split("+")[0] != str(pin.specifier)[2:]
    }
    assert wrong == {}, "run: pip install -r requirements.txt"


def test_the_wheel_brings_exercises_and_notebooks_and_stays_small():
    """`induction-heads init` writes them; `release` and the site have them from the checkout."""
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    wheel, sdist = build["targets"]["wheel"], build["targets"]["sdist"]
    package = ROOT / "src" / "induction_heads"
    for source, packaged in (
        ("exercises", exercise_files.PACKAGED),
        ("book", plain_notebooks.PACKAGED),
    ):
        target = package.parent / wheel["sources"][source]
        assert target == packaged
        assert not target.exists(), "a checkout has them outside the package"
    paths = [path for pattern in wheel["include"] for path in ROOT.glob(pattern.lstrip("/"))]
    assert {path.name for path in paths} > {"ch01_attention.py", "ch01_attention.ipynb"}
    assert set(wheel["include"]) - {"/src/induction_heads", "/exercises/ch*.py"} < set(
        sdist["include"]
    )
    files = [f for path in paths for f in ([path] if path.is_file() else path.rglob("*"))]
    shipped = [f for f in files if f.is_file() and "__pycache__" not in f.parts]
    assert sum(f.stat().st_size for f in shipped) < 45_000_000


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (\S+?),", (ROOT / "CHANGELOG.md").read_text(), flags=re.M).group(1)
    assert citation["version"] == newest == PROJECT["version"]


def test_launch_buttons_point_to_the_repository():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert config["repository"]["url"] == PROJECT["urls"]["Repository"]
