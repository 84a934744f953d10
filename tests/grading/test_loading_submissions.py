"""A file of answers runs statement by statement, and one failure does not lose the rest."""

import sys
from types import ModuleType

import pytest

from induction_heads.grading.calls import call
from induction_heads.grading.loading import about_failures, make_importable, run_statements


def loaded(source: str) -> tuple[dict, list]:
    module = ModuleType("ch99_trial")
    failures = run_statements(source, "ch99_trial.py", module)
    return module.__dict__, failures


SURVIVES = {
    "a library that is missing": "import nowhere as px\ndef show(): return px\ndef f(): return 1",
    "one of several imports": "from math import nothing, pi\ndef f(): return 1 * (pi > 3)",
    "a failing call below": "def f(): return 1\nprint(undefined)",
    "a failing call above": "1 / 0\ndef f(): return 1",
    "an annotation that is missing": "def f(x: NDArray = 1) -> NDArray: return x",
    "a return outside a function": "def f(): return 1\nreturn 3",
    "a future import": "from __future__ import annotations\ndef f(x: No = 1): return x",
    "an import from the package": (
        "def causal_mask(): return 1\n"
        "from induction_heads.models.attention import causal_mask\ndef f(): return causal_mask()"
    ),
    "the check of the course": (
        "from induction_heads import check, hint, load_model\nimport induction_heads as ih\n"
        "def f(): return 1\nreport = check(f)\nassert report.passed, report\nprint(ih.hint('f'))"
    ),
    "a module called check": "import check\nfrom check import *\ndef f(): return 1\ncheck.check(f)",
    "an assignment, and such an import": (
        "mine = lambda: 1\ncausal_mask = mine\n"
        "from induction_heads.models.attention import *\ndef f(): return causal_mask()"
    ),
}


def test_one_failure_does_not_lose_the_other_answers():
    results = {what: loaded(source)[0]["f"]() for what, source in SURVIVES.items()}
    assert results == dict.fromkeys(SURVIVES, 1)


def test_a_name_that_is_missing_because_of_a_failure_says_so():
    names, failures = loaded("import nowhere\ndef f(): return nowhere.x\nf = 1 / 0\nx = 2")
    assert [failure.line for failure in failures] == [1, 3]
    outcome = call(names["f"], (), {})
    assert outcome.status == "raised"
    assert about_failures(failures, "g", outcome.message) == (
        ". When the file was loaded, it raised ModuleNotFoundError (line 1): "
        "No module named 'nowhere'."
    )
    assert "ZeroDivisionError" in about_failures(failures, "f", "is not defined in ch99_trial.py.")
    assert about_failures(failures, "h", "raised ValueError") == ""


def test_what_ends_the_process_is_not_caught():
    with pytest.raises(SystemExit):
        loaded("import sys\nsys.exit(3)")
    with pytest.raises(SyntaxError):
        loaded("def f(:")


def test_modules_beside_the_file_are_imported(monkeypatch):
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    sources = {
        "ih_masks.low": "from ih_scale import two\nundefined\nx = two",
        "ih_scale": "two = 2",
    }
    make_importable(sources)
    try:
        names, failures = loaded("from ih_masks.low import x\nimport ih_masks\nimport ih_none")
        assert names["x"] == 2
        assert [failure.line for failure in failures] == [3]
    finally:
        for name in ("ih_masks", "ih_masks.low", "ih_scale"):
            sys.modules.pop(name, None)


CALLS = {
    "not written": ("raise NotImplementedError", "calls `g`, which is not written yet (line 2)."),
    "failing": ("return 1 / 0", "calls `g`, which raised ZeroDivisionError (line 2): division by"),
    "inside": ("return [1 / 0 for _ in x]", "calls `g`, which raised ZeroDivisionError (line 2"),
}


def test_a_called_function_that_fails_is_named():
    for body, sentence in CALLS.values():
        source = f"def g(x):\n    {body}\ndef f(x):\n    return g(x)\n"
        outcome = call(loaded(source)[0]["f"], ([1],), {})
        assert outcome.status == "raised"
        assert outcome.message.startswith(sentence)
        own = call(loaded(source)[0]["g"], ([1],), {})
        assert "calls" not in own.message
