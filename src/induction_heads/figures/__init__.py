"""Draws figures and writes pages. Computes nothing."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from induction_heads.figures.hover import hover_patterns
    from induction_heads.figures.plots import attention_heatmap

__all__ = ["attention_heatmap", "hover_patterns"]

_HOMES = {"attention_heatmap": "plots", "hover_patterns": "hover"}


def __getattr__(name: str) -> Any:
    """The names that most programs need, imported when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
