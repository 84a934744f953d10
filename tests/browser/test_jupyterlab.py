"""A chapter as `make lab` shows it: JupyterLab itself, where it is installed."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from induction_heads.course.plain_notebooks import write_notebooks

RAW = re.compile(r"\{[\w:-]+\}`|:::|^\([\w-]+\)=$|Figure \?", re.M)
"""Markup of the site."""

SEEN = """() => [...document.querySelectorAll('.jp-RenderedMarkdown')].map((cell) => ({
  text: cell.textContent,
  exercises: [...cell.querySelectorAll('blockquote strong')].map((e) => e.textContent),
  folded: [...cell.querySelectorAll('details')].map((e) => !e.open),
  summaries: [...cell.querySelectorAll('summary')].map((e) => e.textContent),
  terms: [...cell.querySelectorAll('abbr')].map((e) => e.title),
}))"""


@pytest.fixture
def lab(tmp_path):
    """The address of JupyterLab with the notebooks of `init --notebooks`."""
    if not shutil.which("jupyter-lab"):
        pytest.skip("NOT RUN: the jupyter-lab command is not installed (pip install jupyterlab)")
    write_notebooks(tmp_path / "notebooks")
    settings = tmp_path / "JUPYTER_CONFIG_DIR" / "lab" / "user-settings" / "@jupyterlab"
    tracker = settings / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.parent.mkdir(parents=True)
    tracker.write_text('{"windowingMode": "none"}')  # All cells are in the page at once.
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = ["--no-browser", "--allow-root", "--IdentityProvider.token=", f"--port={port}"]
    homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    with open(tmp_path / "log", "w") as log:
        running = subprocess.Popen(
            ["jupyter-lab", *options, tmp_path / "notebooks"],
            env=os.environ | {name: str(tmp_path / name) for name in homes},
            stderr=log,
        )
    yield f"http://127.0.0.1:{port}/lab"
    running.terminate()
    running.wait(60)


@pytest.mark.long
def test_jupyterlab_shows_exercises_terms_and_folded_solutions_and_no_markup(lab, browser):
    page = browser.new_page()
    page.set_default_timeout(120_000)
    for _ in range(120):  # Until the server answers.
        try:
            page.goto(f"{lab}/tree/ch04_induction_heads.ipynb")
            break
        except Exception:
            page.wait_for_timeout(1000)
    last = page.locator("summary", has_text="The terms of this notebook")
    last.wait_for(state="attached")
    cells = page.evaluate(SEEN)
    text = "\n".join(cell["text"] for cell in cells)
    assert RAW.findall(text) == []
    exercises = [name for cell in cells for name in cell["exercises"]]
    assert "Exercise: make_repeated_tokens" in exercises
    assert [cell for cell in cells if not all(cell["folded"])] == []
    summaries = [summary for cell in cells for summary in cell["summaries"]]
    assert any(summary.startswith("Solution: ") for summary in summaries)
    terms = [title for cell in cells for title in cell["terms"]]
    assert len(terms) > 5
    assert all(len(title) > 20 for title in terms)
    page.close()
