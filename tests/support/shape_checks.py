"""How the types in signatures are checked while the tests run: an int is also a float."""

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_checks: dict[tuple, Callable[..., Any]] = {}
_written = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(stub: Callable[..., Any]) -> Callable[..., Any]:
    """A function that checks the arguments of `stub`, or its result, against its annotations.

    jaxtyping makes a stub for the arguments of each function and another for its result, and does
    so again whenever an inner function is defined. Beartype needs milliseconds to write a check,
    so a check is written when it is first called, and once for all stubs that are alike.
    """
    hints = stub.__annotations__
    if hints.get("return", Any) is not Any:  # The other stub has checked the arguments.
        hints = stub.__annotations__ = {"return": hints["return"]}
    code = stub.__code__
    alike = (stub.__module__, stub.__qualname__, code.co_varnames, code.co_flags, repr(hints))

    def check(*args: Any, **kwargs: Any) -> Any:
        if alike not in _checks:
            _checks[alike] = _written(stub)
        return _checks[alike](*args, **kwargs)

    return check
