"""The modules that a file imports from the files that were handed in with it. Nothing is run."""

import ast
import sys
from collections.abc import Callable, Iterator

from induction_heads.grading.scopes import PACKAGE_NAME

MAX_MODULES = 40
MAX_TEXT = 2**20

Read = Callable[[str], str | None]
"""`read("helpers/masks.py")`: the source of that file, or None if it was not handed in."""


def modules_beside(source: str, read: Read) -> tuple[tuple[str, str], ...]:
    """The name and the source of each module that `source` imports and `read` can read.

    Modules that these modules import are included. Modules of Python itself and of the package of
    the course are not: a file with such a name does not replace them.
    """
    modules: dict[str, str] = {}
    left = MAX_TEXT
    waiting = list(_imported(source))
    seen: set[str] = set()
    while waiting and len(modules) < MAX_MODULES:
        name = waiting.pop()
        if name in seen or name.split(".")[0] in {PACKAGE_NAME, *sys.stdlib_module_names}:
            continue
        seen.add(name)
        path = name.replace(".", "/")
        texts = map(read, (f"{path}.py", f"{path}/__init__.py"))
        text = next((text for text in texts if text is not None), None)
        if text is not None and len(text) <= left:
            left -= len(text)
            modules[name] = text
            waiting += _imported(text)
    return tuple(sorted(modules.items()))


def _imported(source: str) -> Iterator[str]:
    """The modules that a file may import, and the packages in which they are."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[:end]) for end in range(1, len(parts) + 1))
