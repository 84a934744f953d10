import pytest

from induction_heads.grading.source_code import (
    called_by,
    function_digests,
    is_untouched,
    remarks,
    with_helpers,
)

FILE = '''"""A file."""

import math

SCALE = 2


def _half(x):
    return x / SCALE


def first(x):
    """The first."""
    return _half(x)


def second(x):
    # Why: it calls the first.
    return first(x) + math.pi


@staticmethod
def third(x):
    """The third."""
    raise NotImplementedError
'''
NAMES = ("first", "second", "third")


def changed(old: str, new: str) -> set[str]:
    assert old in FILE
    before, after = (function_digests(text, NAMES) for text in (FILE, FILE.replace(old, new)))
    return {name for name in NAMES if before[name] != after[name]}


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ("return first(x) + math.pi", "return first(x)", {"second"}),
        ("return _half(x)", "return 1", {"first", "second"}),
        ("return x / SCALE", "return x", {"first", "second"}),
        ("SCALE = 2", "SCALE = 3", {"first", "second", "third"}),
        ("import math", "import cmath as math", {"first", "second", "third"}),
        ("@staticmethod", "@classmethod", {"first", "second", "third"}),
        ("def third(x)", "def third(x=0)", {"first", "second", "third"}),
        ("# Why: it calls the first.", "# Another comment,\n    # longer.", set()),
        ("raise NotImplementedError", "return 1", {"third"}),
        ("return _half(x)", 'return globals()["second"](x)', {"first", "second", "third"}),
        ("return _half(x)", "return _half(x", {"first", "second", "third"}),
        ("SCALE = 2", "SCALE = 2\nfirst(SCALE)", {"first", "second", "third"}),
    ],
)
def test_digest_changes_with_what_the_function_depends_on(old: str, new: str, names: set[str]):
    assert changed(old, new) == names


def test_code_that_runs_on_loading_counts_for_every_function():
    file = FILE + "\n\nTABLE = second(1)\n"
    before = function_digests(file, ["third"])
    assert function_digests(file.replace("math.pi", "math.e"), ["third"]) != before


def test_function_that_is_missing_has_a_digest_too():
    assert function_digests("", ["first"])["first"]


@pytest.mark.parametrize(
    "body",
    [
        "raise NotImplementedError",
        '"""D."""\n    raise NotImplementedError',
        'raise NotImplementedError("later")',
    ],
)
def test_stub_is_untouched(body: str):
    assert is_untouched(f"def f(x):\n    {body}\n", "f")


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "x = 1\n    raise NotImplementedError",
        "return None",
        "raise ValueError",
        "raise",
        "...",
    ],
)
def test_anything_else_is_an_attempt(body: str):
    assert not is_untouched(f"def f(x):\n    {body}\n", "f")


def test_a_missing_function_or_invalid_python_is_not_untouched():
    assert not is_untouched("", "f")
    assert not is_untouched("def f(:", "f")
    twice = "def f():\n    raise NotImplementedError\n"
    assert not is_untouched(twice + "def f():\n    return 1\n", "f")


def test_code_of_a_function_has_its_private_helpers_and_comments():
    assert with_helpers(FILE, "second") == (
        "def _half(x):\n    return x / SCALE\n\n\n"
        "def second(x):\n    # Why: it calls the first.\n    return first(x) + math.pi"
    )
    assert (with_helpers(FILE, "third") or "").startswith("@staticmethod\ndef third")
    assert with_helpers(FILE, "fourth") is None
    assert with_helpers("def f(:", "f") is None


EXPLAINED = {
    "def casual_mask(): pass": "The file defines `casual_mask` (line 1). Should that be",
    "def causalMask(): pass": "The file defines `causalMask` (line 1). Should that be",
    "def a():\n    def causal_mask(): pass": "`causal_mask` is defined inside `a` (line 2). Move",
    "def causal_mask(): 1\ndef causal_mask(): 2": "`causal_mask` is defined 2 times, on lines 1",
}


def test_what_may_explain_a_missing_function_is_said():
    names = ["causal_mask", "causal_masks"]
    for source, sentence in EXPLAINED.items():
        assert [r[: len(sentence)] for r in remarks(source, "causal_mask", names)] == [sentence]
    silent = (
        "def causal_mask(): pass",
        "causal_mask = 3",
        "def causal_masks(): pass",
        "def f(:",
        "",
    )
    assert [remarks(source, "causal_mask", names) for source in silent] == [[]] * len(silent)


def test_called_exercises_are_found_through_helpers():
    assert called_by(FILE, "second", ["first", "third"]) == ["first"]
    assert called_by("def f(:", "f", ["g"]) == []


@pytest.mark.parametrize("value", [f"0x{'f' * 5000}", "1+" * 1500 + "n"])
def test_what_cannot_be_written_out_again_has_the_digest_of_the_file(value: str):
    source = f"def first(n):\n    return n\n\n\ndef second(n):\n    return {value}\n"
    one, other = (function_digests(text, ["first", "second"]) for text in (source, source + "#"))
    assert one["first"] == one["second"] != other["first"]
