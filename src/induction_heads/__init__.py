"""Induction Heads: a hands-on course. Its functions are loaded when first used."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from induction_heads.explorer.notebook import explore as explore
    from induction_heads.grading.in_notebook import check as check
    from induction_heads.grading.in_notebook import hint as hint
    from induction_heads.grading.in_notebook import solution as solution
    from induction_heads.grading.in_notebook import status as status
    from induction_heads.grading.saved_input import load_input as load_input
    from induction_heads.models.loading import load_model as load_model

_HOMES = {
    "explore": "induction_heads.explorer.notebook",
    "check": "induction_heads.grading.in_notebook",
    "hint": "induction_heads.grading.in_notebook",
    "load_input": "induction_heads.grading.saved_input",
    "solution": "induction_heads.grading.in_notebook",
    "status": "induction_heads.grading.in_notebook",
    "load_model": "induction_heads.models.loading",
}


def __getattr__(name: str) -> Any:
    # Importing PyTorch takes a second or two: `induction-heads --help` must not wait for it.
    if name == "__version__":
        from induction_heads.versions import package_version

        return package_version()
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'induction_heads' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES, "__version__"])
