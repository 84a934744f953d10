"""What a misspelled name may have meant, for error messages."""

import difflib
from collections.abc import Iterable


def suggestion(name: str, names: Iterable[str], *, known: str = "The names are") -> str:
    """A sentence with the closest names, or with all of them if none is close.

    >>> suggestion("Toy2l", ["toy-1l", "toy-2l", "gpt2-2l"])
    'Did you mean toy-2l or toy-1l?'
    >>> suggestion("bert", ["toy-1l", "toy-2l"])
    'The names are toy-1l, toy-2l.'
    """
    by_key = {_key(each): each for each in names}
    close = difflib.get_close_matches(_key(name), by_key, n=3, cutoff=0.6)
    if close:
        return f"Did you mean {' or '.join(by_key[key] for key in close)}?"
    return f"{known} {', '.join(by_key.values())}."


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
