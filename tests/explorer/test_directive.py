"""The `{explorer}` directive of the book, and the files that a build writes for it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "book" / "_ext"))

from explorer_element import TextExplorerDirective, explorer_from, write_explorer_files

from induction_heads.explorer.element import SITE_MODELS
from induction_heads.explorer.text_element import TEXT_MODELS
from induction_heads.explorer.text_models import N_PARTS


def test_options_of_the_directive():
    shown = explorer_from(
        {"models": "toy-2l toy-1l", "tokens": "A B A", "head": "1 0", "query": 2, "alt": "Heads."},
        "Look here.",
    )
    assert shown.models == (("toy-2l", "toy-2l"), ("toy-1l", "toy-1l"))
    assert (shown.tokens, shown.head, shown.query) == ((0, 1, 0), (1, 0), 2)
    assert (shown.alt, shown.caption) == ("Heads.", "Look here.")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "needs `:alt:`"),
        ({"alt": "x", "models": "python-2l"}, "no model 'python-2l'"),
        ({"alt": "x", "head": "1"}, "expected a layer and a head"),
        ({"alt": "x", "tokens": "a"}, "letters A to Z"),
        ({"alt": "x", "open": "y"}, "no section 'y'"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        explorer_from(options, "")


def test_a_build_writes_each_file_once(tmp_path):
    """A second build leaves them alone; a changed model is written again."""
    app = SimpleNamespace(outdir=str(tmp_path), builder=SimpleNamespace(format="html"))
    static = tmp_path / "_static"
    (static / "explorer").mkdir(parents=True)
    write_explorer_files(app, None)
    files = sorted(path for path in static.rglob("*") if path.is_file())
    assert len(files) == 2 + 2 * len(SITE_MODELS) + (1 + N_PARTS) * len(TEXT_MODELS)
    text = (static / "explorer" / "toy-1l.js").read_text()
    stored = json.loads(text[text.index("] = ") + 4 :].rstrip(";\n"))
    assert stored["name"] == "toy-1l"
    stale = static / "explorer" / "toy-1l-snapshots.js"
    stale_part = static / "explorer" / "python-2l-part-3.js"
    part = stale_part.read_text()
    for file in (stale, stale_part):
        file.write_text("// other\n")
    times = {path: path.stat().st_mtime_ns for path in files if path not in (stale, stale_part)}
    write_explorer_files(app, None)
    assert stale.read_text().startswith(text.splitlines()[0])
    assert stale_part.read_text() == part
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_a_build_that_failed_writes_nothing(tmp_path):
    app = SimpleNamespace(outdir=str(tmp_path), builder=SimpleNamespace(format="html"))
    write_explorer_files(app, RuntimeError())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [({}, "needs `:alt:`"), ({"alt": "x", "model": "toy-2l"}, "no text model")],
)
def test_options_of_a_text_explorer_that_do_not_fit_are_refused(options, words):
    directive = TextExplorerDirective.__new__(TextExplorerDirective)
    directive.options, directive.content = options, []
    directive.error = ValueError
    with pytest.raises(ValueError, match=words):
        directive.run()
