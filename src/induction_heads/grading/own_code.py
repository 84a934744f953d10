"""`grade --own-code`: library functions named like an exercise refuse calls from a submission.

Python has no walls between modules, so this is a rule with a clear message and not a protection: a
submission can copy a function's source, or reach it in roundabout ways. `review` shows a teacher
what a file mentions.
"""

import ast
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[1]
LIBRARY = ("data", "models", "interp", "training", "figures", "sweeps")
"""The folders of the package that a submission may import from."""


class WriteYourOwn(RuntimeError):
    """A submission called the package's version of an exercise."""


@cache
def library_functions() -> Mapping[str, str]:
    """The name of each public function of the library → its module."""
    modules = {}
    for folder in LIBRARY:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                    modules[node.name] = ".".join(parts)
    return modules


def exercises_in_library(exercises: Iterable[str]) -> dict[str, str]:
    """The library functions named like one of the exercises: name → module."""
    modules = library_functions()
    return {name: modules[name] for name in exercises if name in modules}


def refuse_calls(functions: Mapping[str, str]) -> None:
    """Make the library functions, given as name → module, raise WriteYourOwn.

    Calls from inside the package still work, so other library functions can use them. Modules that
    are imported later are changed when they are imported.
    """
    if not functions:
        return
    sys.meta_path.insert(0, _Later(functions))
    for name, module in functions.items():
        if module in sys.modules:
            _replace(sys.modules[module], name)


class _Later(importlib.abc.MetaPathFinder):
    """Changes the modules of `functions` right after they are imported."""

    def __init__(self, functions: Mapping[str, str]):
        self._functions = functions

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: Any = None
    ) -> importlib.machinery.ModuleSpec | None:
        names = [name for name, module in self._functions.items() if module == fullname]
        spec = importlib.machinery.PathFinder.find_spec(fullname, path) if names else None
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def exec_module(module: types.ModuleType) -> None:
                run(module)
                for name in names:
                    _replace(module, name)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _replace(module: types.ModuleType, name: str) -> None:
    """Put the refusal in the place of the function, wherever the package has imported it."""
    function = getattr(module, name)
    refusal = _refusing(function, name)
    for other in list(sys.modules.values()):
        if str(getattr(other, "__name__", "")).startswith("induction_heads"):
            for key, value in list(vars(other).items()):
                if value is function:
                    setattr(other, key, refusal)


def _refusing(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    package = f"{PACKAGE}/"

    @wraps(function)
    def refuse(*args: Any, **kwargs: Any) -> Any:
        if sys._getframe(1).f_code.co_filename.startswith(package):
            return function(*args, **kwargs)
        raise WriteYourOwn(
            f"write this one yourself: {name} is an exercise, so your code must not call the "
            "package's version of it."
        )

    del refuse.__wrapped__  # type: ignore[attr-defined]
    return refuse
