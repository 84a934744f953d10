"""The explorer of a text model as an element of a web page."""

import json
from typing import NamedTuple

from induction_heads.figures.markup import rendered


class TextModel(NamedTuple):
    """A model of text that a built site has as files.

    `size` is how much a page loads for it, `head` the layer and the head that it opens on.
    """

    size: str
    head: tuple[int, int]


TEXT_MODELS = {
    "python-2l": TextModel("1 MB", (1, 0)),
    "natural-2l": TextModel("1 MB", (1, 2)),
}
"""Name → model."""

TEXT_MARK = "data-text-explorer="
"""Pages that contain this text need the script and the style, as those with `element.MARK`."""

EXAMPLES = (
    (
        "a name in two pieces",
        "def get_opacity(self):\n    return self._opacity\n\n"
        "def set_opacity(self, value):\n    self._opac",
    ),
    (
        "a made-up name",
        "zebra_quux = load(zebra_file)\nprint(zebra_qu",
    ),
    (
        "a person's name",
        "if verbose:\n    print('Harry Kowalski')\n\nraise ValueError('Harry Kow",
    ),
    (
        "lines that repeat with a difference",
        "def test_red(self):\n    self.check('red', 1)\n\n"
        "def test_blue(self):\n    self.check('blue', 1)\n\n"
        "def test_green(self):\n    self.check('",
    ),
    (
        "no repeat",
        "import sys\n\nfor line in open(path):\n    key, value = line.split('=')\n",
    ),
)
"""Names and texts that a reader can choose; the first is there at the start."""


def text_explorer_element(name: str, *, alt: str, caption: str | None = None) -> str:
    """The HTML of an explorer of a model of text. Until its script runs it shows `alt`.

    Raises ValueError for a model that the site does not have.
    """
    if name not in TEXT_MODELS:
        raise ValueError(
            f"The site has no text model {name!r}. Text models: {', '.join(TEXT_MODELS)}."
        )
    options = {
        "model": name,
        "size": TEXT_MODELS[name].size,
        "head": TEXT_MODELS[name].head,
        "examples": [{"name": title, "text": text} for title, text in EXAMPLES],
    }
    return rendered(
        "explorer/templates/text_element.html.j2",
        options=json.dumps(options, separators=(",", ":"), ensure_ascii=False),
        alt=alt,
        caption=caption,
    )
