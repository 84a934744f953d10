"""Build, load, convert and save models; models as plain data."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from induction_heads.models.checkpoint_files import UnknownModel
    from induction_heads.models.loading import load_attention_only, load_model

__all__ = ["UnknownModel", "load_attention_only", "load_model"]

_HOMES = {
    "UnknownModel": "checkpoint_files",
    "load_attention_only": "loading",
    "load_model": "loading",
}


def __getattr__(name: str) -> Any:
    """The names that most programs need, imported when they are first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
