"""What a misspelled name may have meant, for error messages."""

from collections.abc import Iterable
from difflib import get_close_matches


def suggestion(name: str, names: Iterable[str], *, known: str = "The names are") -> str:
    """A sentence with the closest names, or with all of them if none is close.

    >>> suggestion("Toy2l", ["toy-1l", "toy-2l", "gpt2-2l"])
    'Did you mean toy-2l or toy-1l?'
    >>> suggestion("bert", ["toy-1l", "toy-2l"])
    'The names are toy-1l, toy-2l.'
    """
    names = list(names)
    if close := closest(name, names):
        return f"Did you mean {' or '.join(close)}?"
    return f"{known} {', '.join(names)}."


def closest(name: str, names: Iterable[str]) -> list[str]:
    """Up to three names that resemble `name`, the closest first.

    >>> closest("Toy2l", ["toy-1l", "toy-2l", "gpt2-2l"])
    ['toy-2l', 'toy-1l']
    """
    by_key = {_key(each): each for each in names}
    return [by_key[key] for key in get_close_matches(_key(name), by_key, n=3, cutoff=0.6)]


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
