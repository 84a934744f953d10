"""One test over many pages or names: it fails with a list of all offenders, not with the first."""

import functools
import inspect
from collections.abc import Callable, Iterable
from typing import Any


def for_each(name: str, values: Iterable[Any]) -> Callable[[Callable], Callable]:
    """`@for_each("stem", STEMS)`: the test gets each value in turn as the argument `name`.

    Meant for checks that take milliseconds. Use `pytest.mark.parametrize` where a case takes longer
    or needs fixtures of its own.
    """
    each = tuple(values)

    def decorate(test: Callable) -> Callable:
        def run(**fixtures: Any) -> None:
            offenders = {}
            for value in each:
                try:
                    test(**{name: value}, **fixtures)
                except AssertionError as error:
                    offenders[getattr(value, "stem", str(value))] = str(error)
            assert not offenders, "\n\n".join(f"{who}: {why}" for who, why in offenders.items())

        functools.update_wrapper(run, test)
        del run.__wrapped__
        parameters = inspect.signature(test).parameters
        fixtures = [p.replace(kind=p.KEYWORD_ONLY) for n, p in parameters.items() if n != name]
        run.__signature__ = inspect.Signature(fixtures)  # type: ignore[attr-defined]
        return run

    return decorate
