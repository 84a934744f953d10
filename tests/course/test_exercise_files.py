from pathlib import Path

import pytest

from induction_heads.course.exercise_files import CHECKOUT, NoStub, emptied, stub_text
from induction_heads.course.registry import chapter_stems

HERE = Path("file.py")
WRITTEN = '''\
import math


def one(x):
    """A docstring.

    Of two lines.
    """
    # A comment.
    y = x
    return y  # End.


def two(x): return x


def three(
    x: int,
) -> int:
    return x


def kept(x):
    return x
'''


def test_bodies_are_emptied_and_all_else_stays():
    text = emptied(WRITTEN, ["one", "two", "three"], HERE)
    compile(text, "file", "exec")
    assert text.count("raise NotImplementedError") == 3
    assert '    Of two lines.\n    """\n    raise NotImplementedError\n' in text
    assert "def two(x):\n    raise NotImplementedError\n" in text
    assert ") -> int:\n    raise NotImplementedError\n" in text
    assert text.endswith("def kept(x):\n    return x\n")
    assert emptied(text, ["one", "two", "three"], HERE) == text


def test_the_stubs_of_the_course_are_already_empty():
    """So in a checkout nobody has edited, what `init` writes is the file itself."""
    changed = [s for s in chapter_stems() if stub_text(s) != (CHECKOUT / f"{s}.py").read_text()]
    assert changed == []


def test_invalid_source_is_refused():
    with pytest.raises(NoStub, match=r"file\.py is not valid Python \(line 1\)"):
        emptied("def one(:", ["one"], HERE)
