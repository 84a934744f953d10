import json

import pytest

from induction_heads.grading.notebook_source import NotANotebook, notebook_source


def source(*cells: str | list[str]) -> str:
    found = [{"cell_type": "code", "source": cell} for cell in cells]
    return notebook_source(json.dumps({"cells": found}).encode())


def test_definitions_are_taken_with_what_they_need_and_nothing_else():
    found = source(
        "from induction_heads import check, load_model\nimport torch",
        "SCALE = torch.tensor(2.0)\nunused = load_model('toy-2l')\nprint('hello')",
        "def doubled(x):\n    return SCALE * x  # twice",
        "report = check(doubled)\nassert report\ncheck(doubled)",
    )
    assert found == (
        "import torch\n\nSCALE = torch.tensor(2.0)\n\n"
        "def doubled(x):\n    return SCALE * x  # twice\n"
    )


def test_what_an_assignment_needs_is_taken_too():
    found = source("a = 1\nb = a + 1\nb += 3\nc = 9", "def f(): return b")
    assert found == "a = 1\n\nb = a + 1\n\nb += 3\n\ndef f(): return b\n"


@pytest.mark.parametrize(
    "magic", ["%matplotlib inline", "!pip install x", "files = !ls", "f?", "%%time", "t = %time 1"]
)
def test_magics_are_dropped(magic):
    assert source(f"{magic}\ndef f():\n    return 1") == "def f():\n    return 1\n"


def test_a_line_that_only_looks_like_magic_stays():
    cell = "def f(x):\n    return (x\n%  3)"
    assert source(f"!ls\n{cell}") == f"{cell}\n"


def test_a_cell_in_another_language_is_left_out():
    assert source("%%bash\nrm -rf x", "def f(): pass") == "def f(): pass\n"


def test_a_function_in_a_broken_cell_says_where_it_is_broken():
    namespace: dict = {}
    exec(source("x = 1", "def f(x) return x", "def g(): return 1"), namespace)
    assert namespace["g"]() == 1
    with pytest.raises(SyntaxError, match="cell 2 of the notebook, line 1"):
        namespace["f"](3)


def test_future_imports_come_first_and_once():
    found = source("def f(x: Later): pass", *["from __future__ import annotations"] * 2)
    assert found == "from __future__ import annotations\n\ndef f(x: Later): pass\n"


def test_definitions_inside_a_condition_are_taken():
    assert source("if True:\n    def f(): pass\nelse:\n    y = 1").startswith("if True:\n    def f")


def test_statements_that_share_a_line_are_taken_apart():
    assert source("a = 1; b = 2; print(a)", "def f(): return b") == "b = 2\n\ndef f(): return b\n"


def test_lines_are_counted_as_python_counts_them():
    assert source("x = 'a\u2028b'\r\ndef f():\r\n    return x") == (
        "x = 'a\u2028b'\n\ndef f():\n    return x\n"
    )


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"cells": 3}', b'{"cells": [1]}', b"\xff\xfe", b"[" * 100_000,
     b'{"cells": [{"cell_type": "code", "source": [1]}]}',
     b'{"cells": [{"cell_type": "code"}]}'],
)  # fmt: skip
def test_what_is_no_notebook_is_refused(data):
    with pytest.raises(NotANotebook):
        notebook_source(data)


@pytest.mark.parametrize(
    "cell", ["-" * 100_000 + "1", "(" * 5000, "+".join("1" * 50_000), "x" + ".y" * 100_000,
             "lambda:" * 50_000 + "1", "x = 1\0", "1 if 1 else " * 20_000 + "1"]
)  # fmt: skip
def test_code_made_to_break_the_parser_does_not(cell):
    said = "def f"
    try:
        found = source(cell, "def f(): pass")
    except NotANotebook as error:
        found, said = str(error), "nested too deeply"
    assert said in found


def test_too_much_code_is_refused():
    with pytest.raises(NotANotebook, match="kB of code"):
        source("x = 1\n" * 100_000)
