"""The version of this package, and the versions that a record of a run states."""

import platform
from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """The version of the installed package, or "0.0.0" if it is used without being installed."""
    try:
        return version("induction-heads")
    except PackageNotFoundError:
        return "0.0.0"


def versions() -> dict[str, str]:
    """The versions of Python and PyTorch, without the build of PyTorch ("+cpu")."""
    return {"python": platform.python_version(), "torch": version("torch").split("+")[0]}
