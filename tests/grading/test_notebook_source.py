import ast
import json
import re
from collections import Counter
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from induction_heads.grading.cell_text import cell_text
from induction_heads.grading.notebook_source import (
    NotANotebook,
    exported_source,
    is_exported,
    notebook_source,
    python_of_exported,
)


def source(*cells: str | list[str], names: str = "f g doubled") -> str:
    message = [{"cell_type": "code", "source": cell} for cell in cells]
    return notebook_source(json.dumps({"cells": message}).encode(), names.split())


def namespace(*cells: str, names: str = "f g doubled") -> dict:
    """What the source of a notebook defines when it runs."""
    result: dict = {}
    exec(source(*cells, names=names), result)
    return result


def test_definitions_are_taken_with_what_they_need_and_nothing_else():
    message = source(
        "from induction_heads import check, load_model\nimport torch",
        "SCALE = torch.tensor(2.0)\nunused = load_model('toy-2l')\nprint('hello')",
        "def doubled(x):\n    return SCALE * x  # twice",
        "report = check(doubled)\nassert report\ncheck(doubled)",
    )
    assert message == (
        "import torch\n\nSCALE = torch.tensor(2.0)\n\n"
        "def doubled(x):\n    return SCALE * x  # twice\n"
    )


def test_the_needs_of_an_assignment_are_taken_too():
    message = source("a = 1\nb = a + 1\nb += 3\nc = 9", "def f(): return b")
    assert message == "a = 1\n\nb = a + 1\n\nb += 3\n\ndef f(): return b\n"


def test_magics_are_replaced_and_python_stays():
    cells = {
        "%matplotlib inline\nx = 1": "pass\nx = 1",
        "!pip install \\\n  'it\nx = 1": "pass\n\nx = 1",
        "try:\n    y\nexcept E:\n    !pip y": "try:\n    y\nexcept E:\n    pass",
        "files = !ls": "files = None",
        "f?": "pass",
        "?f": "pass",
        "%%time\nx = 1": "\nx = 1",
        "%%capture out\n%%time\nx = 1": "\n\nx = 1",
        "%%bash\nrm -rf x": "",
        "%time x = f(1)": "x = f(1)",
        "t = %time 1": "t = 1",
        "%run ./helpers.py": "from helpers import *",
        "    x = 1\n    y = 2": "x = 1\ny = 2",
        "\n\n  %%time\n  x = 1": "\n\n\nx = 1",
        "x = (3\n%  4)": "x = (3\n%  4)",
        "x = a \\\n% 4": "x = a \\\n% 4",
        "s = '''\n%time\n'''\n%who": "s = '''\n%time\n'''\npass",
        "# don't (\n!ls": "# don't (\npass",
        "x = 'a\\\n%b'": "x = 'a\\\n%b'",
    }
    assert {cell: cell_text(cell).python for cell in cells} == cells


def test_a_cell_that_writes_a_file_is_that_file():
    written = cell_text("%%writefile -a 'ch01_attention.py'\nx = 1\n")
    assert (written.python, written.file, written.adds) == ("x = 1\n", "ch01_attention.py", True)


def test_a_cell_in_another_language_is_left_out():
    assert source("%%bash\nrm -rf x", "def f(): pass") == "def f(): pass\n"


def test_a_function_in_a_broken_cell_says_where_it_is_broken():
    functions = namespace("x = 1", "def f(x) return x", "def g(): return 1")
    assert functions["g"]() == 1
    with pytest.raises(SyntaxError, match="cell 2 of the notebook, line 1"):
        functions["f"](3)


def test_future_imports_come_first_and_once():
    message = source("def f(x: Later): pass", *["from __future__ import annotations"] * 2)
    assert message == "from __future__ import annotations\n\ndef f(x: Later): pass\n"


def test_definitions_inside_a_condition_are_taken():
    assert source("if True:\n    def f(): pass\nelse:\n    y = 1").startswith("if True:\n    def f")


NEEDED = {
    "an answer that is assigned": ("def g(): return 2\nf = g", 2),
    "a lambda": ("f = lambda: 3", 3),
    "a list that is filled in a loop": ("l = []\nfor c in 'QKV':\n    l.append(c)", "QKV"),
    "a dictionary that is filled": ("l = {}\nl['a'] = 1\nl.update(b=2)", {"a": 1, "b": 2}),
    "a function that fills": ("def fill(x):\n    x.append(1)\nl = []\nfill(l)", [1]),
    "a name that is swapped": ("l, m = 1, 2\nl, m = m, l", 2),
    "a constant of a helper": ("import math\ndef h(): return math.e > N\nN = 2\nl = h()", True),
    "a class": ("class A:\n    x = 4\nl = A.x", 4),
    "a comprehension": ("n = 3\nl = [n * i for i in range(2)]", [0, 3]),
    "a walrus": ("if (l := 5) > 4:\n    pass", 5),
    "a with block": ("import io\nwith io.StringIO('x') as file:\n    l = file.read()", "x"),
    "a try block": ("try:\n    l = 1 / 0\nexcept ZeroDivisionError:\n    l = 6", 6),
    "a global": ("def set_it():\n    global l\n    l = 7\nl = 0", 0),
    "a decorator": ("def d(x): return 8\n@d\ndef l(): pass", 8),
    "a default": ("n = 9\ndef h(x=n): return x\nl = h()", 9),
}


def test_what_an_answer_needs_is_taken_however_it_is_built():
    results = {}
    for what, (cell, _) in NEEDED.items():
        answer = () if "f = " in cell else ("def f():\n    return l",)
        value = namespace("print(undefined)", cell, *answer)["f"]()
        results[what] = "".join(value) if isinstance(value, list) and "Q" in value else value
    assert results == {what: value for what, (_, value) in NEEDED.items()}


def test_local_names_need_nothing():
    """The cells train a model and set names that the answer uses only inside itself."""
    taken = source(
        "model = train(1000)\ntokens = model(3)\nfor head in heads:\n    show(head)",
        "def f(tokens, *heads, n=2):\n    model = list(heads)\n    return model + tokens",
        "show(f(tokens))",
    )
    assert "train" not in taken
    assert "show" not in taken
    assert taken.startswith("def f(tokens, *heads, n=2):")


def test_an_import_from_the_package_does_not_replace_an_answer():
    taken = source("def f():\n    return g()", "from induction_heads.interp.scores import f, g, h")
    assert taken == "def f():\n    return g()\n\nfrom induction_heads.interp.scores import g\n"


def test_a_stub_does_not_replace_an_answer():
    functions = namespace("def f(): return 1", "def f():\n    raise NotImplementedError")
    assert functions["f"]() == 1


def test_settings_of_an_imported_module_are_kept():
    taken = source("import torch, os\ntorch.manual_seed(0)\nos.nice(3)\ndef f(): return torch")
    assert taken == "import torch\n\ntorch.manual_seed(0)\n\ndef f(): return torch\n"


def test_cells_that_cannot_be_in_a_module_are_left_out():
    assert source("await f()\nreturn 3\ndef f(): return 1") == "def f(): return 1\n"


def test_a_script_that_was_a_notebook_is_read_like_one():
    script = (
        "# In[1]:\nget_ipython().run_line_magic('matplotlib', 'inline')\n"
        "get_ipython().run_cell_magic('time', '', 'def f():\\n    return N')\n"
        "# In[2]:\nN = 2\ntrain()"
    )
    assert is_exported(script)
    assert not is_exported("def f(x):\n    return x %% 2\n")
    assert exported_source(script, ["f"]) == "def f():\n    return N\n\nN = 2\n"
    assert exported_source("# %%\ndef f(:", ["f"]) == "# %%\ndef f(:"


def test_a_file_of_colab_keeps_its_answers_in_spite_of_shell_lines():
    script = (
        '"""Copy of ch01.ipynb\n\nAutomatically generated by Colab.\n"""\n\n'
        "!pip install -q induction-heads\nfiles = !ls\nfrom google.colab import drive\n"
        "drive.mount('/content')\n# Commented out IPython magic to ensure Python compatibility.\n"
        "# %matplotlib inline\nN = 2\n\ndef f():\n    return N % 5\n"
    )
    assert is_exported(script)
    assert exported_source(script, ["f"]) == "N = 2\n\ndef f():\n    return N % 5\n"
    # Valid Python is not touched, and what no notebook can read is left for its error message.
    for other in ("x = (7\n% 5)\n", "!pip install x\ndef f(:\n"):
        assert python_of_exported(other) is None
        assert not is_exported(other)


ROOT = Path(__file__).resolve().parents[2]


def cells_with_answers(path: Path, answers: str, place: str) -> list[dict]:
    """A chapter's own notebook with the solutions at its end, after its first cell, or in place."""
    cells = json.loads(path.read_text())["cells"]
    code = {"cell_type": "code", "source": answers}
    first = next(i for i, cell in enumerate(cells) if cell["cell_type"] == "code")
    if place == "end":
        return [*cells, code]
    if place == "first":
        return [*cells[: first + 1], code, *cells[first + 1 :]]
    return list(_in_place(cells, answers))


def _in_place(cells: list[dict], answers: str) -> Iterator[dict]:
    """Each function after the exercise that asks for it, and what is left before the first one."""
    parts = {n.name: ast.unparse(n) for n in ast.parse(answers).body if hasattr(n, "name")}
    rest = [n for n in ast.parse(answers).body if not hasattr(n, "name")]
    yield {"cell_type": "code", "source": "\n".join(map(ast.unparse, rest))}
    for cell in cells:
        yield cell
        for name in re.findall(r"\{exercise\} `(\w+)`", "".join(cell["source"])):
            yield {"cell_type": "code", "source": parts.pop(name)}
    yield {"cell_type": "code", "source": "\n\n".join(parts.values())}


def statements(source: str) -> Counter:
    """The statements of a source but for its imports."""
    nodes = [n for n in ast.parse(source).body if not isinstance(n, (ast.Import, ast.ImportFrom))]
    return Counter(map(ast.dump, nodes))


def imported(source: str) -> set[str]:
    nodes = [n for n in ast.parse(source).body if isinstance(n, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def test_from_a_chapters_own_notebook_only_the_answers_are_taken():
    differing = []
    for path in sorted((ROOT / "solutions").glob("ch*.py")):
        folder = ROOT / f"src/induction_heads/course/{path.stem}"
        checks = "".join(part.read_text() for part in sorted(folder.glob("*checks.py")))
        names = re.findall(r'\n    name="(\w+)"', checks)
        assert len(names) >= 3
        answers = notebook_source(
            json.dumps({"cells": [{"cell_type": "code", "source": path.read_text()}]}).encode(),
            names,
        )
        pages = sorted((ROOT / "book").glob(f"{path.stem[:4]}_*.ipynb"))
        for page, place in product(pages, ("end", "first", "in place")):
            cells = cells_with_answers(page, path.read_text(), place)
            taken = notebook_source(json.dumps({"cells": cells}).encode(), names)
            replaced = imported(taken) & set(names)
            if statements(taken) != statements(answers) or replaced:
                differing.append((page.stem, place, replaced))
    assert differing == []


def test_statements_that_share_a_line_are_taken_apart():
    assert source("a = 1; b = 2; print(a)", "def f(): return b") == "b = 2\n\ndef f(): return b\n"


def test_lines_are_counted_as_python_counts_them():
    assert source("x = 'a\u2028b'\r\ndef f():\r\n    return x") == (
        "x = 'a\u2028b'\n\ndef f():\n    return x\n"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"cells": 3}',
        b'{"cells": [1]}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"cells": [{"cell_type": "code", "source": [1]}]}',
        b'{"cells": [{"cell_type": "code"}]}',
    ],
)
def test_a_file_that_is_not_a_notebook_is_refused(data):
    with pytest.raises(NotANotebook):
        notebook_source(data, ["f"])


@pytest.mark.parametrize(
    "cell",
    [
        "-" * 100_000 + "1",
        "(" * 5000,
        "+".join("1" * 50_000),
        "x" + ".y" * 100_000,
        "lambda:" * 50_000 + "1",
        "x = 1\0",
        "1 if 1 else " * 20_000 + "1",
    ],
)
def test_malicious_code_does_not_break_the_parser(cell):
    expected = "def f"
    try:
        message = source(cell, "def f(): pass")
    except NotANotebook as error:
        message, expected = str(error), "nested too deeply"
    assert expected in message


def test_too_much_code_is_refused():
    with pytest.raises(NotANotebook, match="kB of code"):
        source("x = 1\n" * 100_000)
