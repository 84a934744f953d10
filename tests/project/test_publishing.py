"""What publishes the site, opens its notebooks elsewhere, and numbers its version."""

import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
site_version = import_module("site_version")


def commands(text: str) -> list[str]:
    """The `make` commands of a script, in its order, one for each target and without options."""
    lines = re.findall(r"^\s*(?:- run: )?make (?!--version)(.+)$", text, flags=re.M)
    return [command for line in lines for command in _one_each(line.split())]


def _one_each(words: list[str]) -> list[str]:
    """`make` with one target after the other, each with the variables that were set."""
    targets = [word for word in words if not word.startswith("-") and not word.isdigit()]
    variables = [word for word in targets if "=" in word]
    return [
        " ".join(["make", word, *(variables if word == "bench" else [])])
        for word in targets
        if "=" not in word
    ]


@pytest.fixture(scope="module")
def workflow() -> dict[Any, Any]:
    return yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text())


def test_workflow_and_ci_run_the_same_commands():
    ci = commands((ROOT / ".ci/run").read_text())
    assert commands((ROOT / ".github/workflows/site.yml").read_text()) == ci
    assert [command.split()[1] for command in ci] == ["book", "test", "check", "bench"]


def test_commands_of_the_workflow_are_targets_and_stand_in_the_readme(workflow):
    makefile, readme = ((ROOT / name).read_text() for name in ("Makefile", "README.md"))
    ran = [step["run"] for step in workflow["jobs"]["build"]["steps"] if "run" in step]
    targets = [run.split()[1] for run in ran if run.startswith("make ")]
    assert targets == ["book", "test", "check", "bench", "ebook"]
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.M)
        assert f"make {target}" in readme


def test_site_is_published_from_main_only_and_after_the_tests(workflow):
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    upload = build["steps"][-1]
    assert upload["uses"].startswith("actions/upload-pages-artifact@")
    assert upload["with"] == {"path": "_build/html"}
    assert deploy["needs"] == "build"
    condition = "github.ref == 'refs/heads/main' && github.event_name != 'pull_request'"
    assert deploy["if"] == condition
    assert upload["if"] == f"{condition} && matrix.python == '3.11'"
    assert [step["uses"].split("@")[0] for step in deploy["steps"]] == ["actions/deploy-pages"]


def test_the_workflow_runs_every_python_that_the_package_accepts(workflow):
    versions = workflow["jobs"]["build"]["strategy"]["matrix"]["python"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [c.rsplit(" ", 1)[1] for c in project["classifiers"] if "Python :: 3." in c]
    assert versions == named
    assert project["requires-python"] == f">={versions[0]}"


def test_the_long_tests_run_on_a_schedule():
    nightly = yaml.safe_load((ROOT / ".github/workflows/all_tests.yml").read_text())
    assert nightly[True]["schedule"]  # YAML reads `on` as True.
    steps = [step for step in nightly["jobs"]["all-tests"]["steps"] if "run" in step]
    assert "make test-all" in [step["run"] for step in steps]
    other_processor = [s["run"] for s in steps if "ATEN_CPU_CAPABILITY" in s.get("env", {})]
    assert len(other_processor) == 1
    assert "--nbval-lax book/*.ipynb" in other_processor[0]


def test_reader_installs_less_than_the_book_needs():
    makefile = (ROOT / "Makefile").read_text()
    assert "pip install -c .venv/pins.txt -e .\n" in makefile
    assert re.search(r"^book: everything$", makefile, flags=re.M)


def test_only_publishing_may_write(workflow):
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["build"]
    assert workflow["jobs"]["deploy"]["permissions"] == {"pages": "write", "id-token": "write"}
    assert workflow["jobs"]["notebooks"]["permissions"] == {"contents": "write"}


def test_launch_buttons_open_the_branch_that_the_workflow_writes(workflow):
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    options = config["sphinx"]["config"]["html_theme_options"]
    (commands_of_job,) = [s["run"] for s in workflow["jobs"]["notebooks"]["steps"] if "run" in s]
    assert f"plain_notebooks {options['path_to_docs']}\n" in commands_of_job
    assert f"HEAD:{options['repository_branch']}\n" in commands_of_job
    boxes = (ROOT / "book/_ext/chapter_boxes.py").read_text()
    assert f"blob/{options['repository_branch']}/{options['path_to_docs']}/{{stem}}" in boxes
    assert workflow["jobs"]["notebooks"]["needs"] == "build"
    assert workflow["jobs"]["notebooks"]["if"] == workflow["jobs"]["deploy"]["if"]


def test_every_job_has_a_limit_and_packages_are_cached(workflow):
    assert all("timeout-minutes" in job for job in workflow["jobs"].values())
    (python,) = [
        step
        for step in workflow["jobs"]["build"]["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    ]
    assert python["with"]["cache"] == "pip"
    assert (ROOT / python["with"]["cache-dependency-path"]).exists()


def test_binder_installs_the_environment_of_the_course():
    """Binder runs pip at the root, where `-e .` of the included file is the course."""
    folder = ROOT / ".binder"
    lines = (folder / "requirements.txt").read_text().splitlines()
    (included,) = [line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    assert (folder / included).resolve() == ROOT / "requirements.txt"
    assert "-e ." in (ROOT / "requirements.txt").read_text().splitlines()
    assert (folder / "runtime.txt").read_text() == (ROOT / "runtime.txt").read_text()


def test_buttons_lead_to_the_repository_of_the_package():
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert config["repository"]["url"] == project["urls"]["Repository"]
    assert config["repository"]["path_to_book"] == "book"
    assert {"binderhub_url", "colab_url"} <= set(config["launch_buttons"])


def test_footer_shows_the_version_of_the_package():
    number = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    config, context = SimpleNamespace(version="", release=""), {}
    site_version.set_version(None, config)
    site_version.show_version(None, "index", "page.html", context, None)
    assert config.release == number
    assert f"Version {number}<" in context["theme_extra_footer"]
