"""The explorer as an element of a web page, and the files that such a page loads.

The element holds the options; the page's script finds it and mounts the explorer in it. Weights
are scripts that set one entry of the global `explorerData`: a page opened from disk can load them.
"""

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from induction_heads.explorer.script import FOLDER, explorer_script
from induction_heads.figures.markup import rendered

SITE_MODELS = ("toy-2l", "toy-1l", "toy-1l-smeared")
"""The models that a built site has as files, with their snapshots."""

PARTS = ("patterns", "change", "time", "weights", "train")

DEFAULT_TOKENS = (0, 1, 2, 0, 1)
"""A B C A B: the tokens of an explorer by default."""

MARK = "data-explorer="
"""Pages that contain this text need the script and the style."""

ModelTexts = Mapping[tuple[str, str], str]
"""(kind, name) → the text from `export.py`; the kind is "model" or "snapshots"."""


@dataclass(frozen=True)
class Explorer:
    """The settings of one explorer: options of `mountExplorer`, alternative text and caption.

    `models` are (name, title) pairs. `head` and `query` are selected and the section `open` is open
    at the start; a `state` sets all three.

    Raises ValueError for settings that contradict each other.
    """

    models: tuple[tuple[str, str], ...]
    tokens: tuple[int, ...] | None = None
    words: tuple[str, ...] | None = None
    head: tuple[int, int] | None = None
    query: int | None = None
    period: int | None = None
    parts: tuple[str, ...] | None = None
    open: str | None = None
    state: str | None = None
    alt: str = "Live explorer of a small attention-only transformer."
    caption: str | None = None

    def __post_init__(self) -> None:
        unknown = [part for part in (*(self.parts or ()), self.open) if part not in (None, *PARTS)]
        if unknown:
            raise ValueError(
                f"The explorer has no section {unknown[0]!r}. Sections: {', '.join(PARTS)}."
            )
        if self.open and self.parts is not None and self.open not in self.parts:
            raise ValueError(
                f"open={self.open!r} is not among parts={self.parts}. Add it, or open another."
            )
        if self.tokens is not None and not self.tokens:
            raise ValueError(
                "Got an empty list of tokens. Pass at least one, or None for the default."
            )
        if self.period is not None and not self.period >= 1:
            raise ValueError(f"Got period={self.period}; the length of a copy must be at least 1.")
        n_pos = len(self.tokens or DEFAULT_TOKENS)
        if self.query is not None and not 0 <= self.query < n_pos:
            raise ValueError(f"Got query={self.query}; the {n_pos} positions are 0 to {n_pos - 1}.")
        if self.state is not None and (self.head, self.query) != (None, None):
            raise ValueError("Pass either `state` or `head` and `query`: a state sets both.")

    def options(self) -> dict[str, object]:
        """The options that are set, as values for JSON."""
        options = {
            "models": [{"name": name, "title": title} for name, title in self.models],
            "tokens": self.tokens,
            "words": self.words,
            "period": self.period,
            "parts": self.parts,
            "open": self.open,
            "state": self.opening_state(),
        }
        return {name: value for name, value in options.items() if value is not None}

    def opening_state(self) -> str | None:
        """The state at the start, in the format of `explorer_state.js`, or None for the default."""
        if self.state is not None or (self.head, self.query) == (None, None):
            return self.state
        settings = {
            "t": None if self.tokens is None else "-".join(map(str, self.tokens)),
            "h": None if self.head is None else f"{self.head[0]}-{self.head[1]}",
            "q": self.query,
            "p": self.period,
            "v": self.open,
        }
        return "~".join(f"{key}.{value}" for key, value in settings.items() if value is not None)


def tokens_from_text(text: str) -> tuple[int, ...]:
    """The ids of letters (A is 0) and numbers separated by spaces, such as `A B C A B`.

    Raises ValueError for anything else.
    """
    letters = {letter: place for place, letter in enumerate(string.ascii_uppercase)}
    pieces = text.split()
    wrong = [piece for piece in pieces if piece not in letters and not piece.isdecimal()]
    if wrong or not pieces:
        raise ValueError(
            f"Cannot read the tokens {text!r}: expected letters A to Z or numbers"
            f"{f', got {wrong[0]!r}' if wrong else ''}. Separate them with spaces: A B C A B."
        )
    return tuple(letters[piece] if piece in letters else int(piece) for piece in pieces)


def explorer_element(explorer: Explorer, element_id: str | None = None) -> str:
    """The HTML of an explorer for a page that has the script. Until that runs it shows `alt`."""
    return rendered(
        "explorer/templates/element.html.j2",
        id=element_id,
        options=json.dumps(explorer.options(), separators=(",", ":"), ensure_ascii=False),
        alt=explorer.alt,
        caption=explorer.caption,
    )


def data_script(kind: str, name: str, text: str) -> str:
    """A script that gives a page a model or its snapshots. `text` is from `export.py`."""
    # "</" would end the script element early. Weights never contain it, but a name could.
    entry = f"[{json.dumps(f'{kind} {name}')}] = {text};\n".replace("</", "<\\u002f")
    return f"(globalThis.explorerData ??= {{}}){entry}"


def element_with_data(explorer: Explorer, data: ModelTexts) -> str:
    """The element, after a script with those of its models that the page does not load as files."""
    return rendered(
        "explorer/templates/element_with_data.html.j2",
        element=Markup(explorer_element(explorer)),
        data=_data_scripts(data),
    )


def page_script() -> str:
    """The script of a page: it mounts an explorer in every element with `data-explorer`."""
    return f"{explorer_script()}explorer.mountAll(document.currentScript);\n"


def explorer_style() -> str:
    """The style of the explorer, in light and dark."""
    return "\n".join(path.read_text() for path in sorted(FOLDER.glob("page/*.css")))


def standalone_html(explorer: Explorer, data: ModelTexts, element_id: str) -> str:
    """An explorer with its script, style and models. It needs no other file and no network."""
    return rendered(
        "explorer/templates/standalone.html.j2",
        id=element_id,
        style=Markup(explorer_style()),
        element=Markup(explorer_element(explorer, element_id)),
        script=Markup(_inline(explorer_script())),
        data=_data_scripts(data),
    )


def _data_scripts(data: ModelTexts) -> Markup:
    return Markup("".join(data_script(*key, text) for key, text in data.items()))


def _inline(script: str) -> str:
    """The script itself. Raises ValueError if it holds text that would end its script element."""
    if "</script" in script or "<!--" in script:
        raise ValueError("The explorer's script contains </script or <!--. Split that string.")
    return script
