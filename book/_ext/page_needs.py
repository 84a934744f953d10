"""Which scripts and style sheets a page needs, read from the page itself."""

import re

from docutils import nodes

HAS_HOVER = re.compile(r'class="hover-patterns"')
HAS_EXPLORER = re.compile(r"\bdata-(?:text-)?explorer=")
HAS_CODE = re.compile(r'<div class="highlight')
HAS_FOLDED = re.compile(r'class="[^"]*\b(?:toggle|dropdown)\b')
HAS_PREDICTION = re.compile(r'<fieldset class="prediction"')
HAS_MATH = re.compile(r'class="[^"]*\bmath\b')
NEVER = re.compile(r"(?!)")

NEEDED_BY = {
    "thebe": NEVER,  # Its script throws on pages that do not use it.
    "mathjax": HAS_MATH,
    "circuitsvis": HAS_HOVER,
    "explorer.js": HAS_EXPLORER,
    "explorer.css": HAS_EXPLORER,
    "togglebutton": HAS_FOLDED,
    "togglehint": HAS_FOLDED,
    "toggleopenonprint": HAS_FOLDED,
    "predictions.js": HAS_PREDICTION,
    "clipboard": HAS_CODE,
    "copybutton": HAS_CODE,
    "design-tabs": re.compile(r'class="[^"]*\bsd-tab-set'),
    "sphinx-design": re.compile(r'class="[^"]*\bsd-'),
    "exercise.css": re.compile(r'class="[^"]*\b(?:exercise|solution)\b'),
    "mystnb": re.compile(r'class="[^"]*\bcell\b'),
}
"""Part of a file's name or text → what the page's body contains if it needs the file."""


def is_needed(file, body: str) -> bool:
    """Whether a page with this HTML body needs a script or style sheet of Sphinx's context."""
    text = f"{file.filename} {getattr(file, 'attributes', {}).get('body', '')}".lower()
    return all(need.search(body) for name, need in NEEDED_BY.items() if name in text)


def keep_needed(files: list, body: str) -> None:
    """Drop from `files`, in place, what a page with this HTML body does not need."""
    # In place: Sphinx appends what add_js_file adds to this same list.
    files[:] = [file for file in files if is_needed(file, body)]


LARGE = re.compile(r"mathjax/|circuitsvis|explorer\.js")
"""The largest scripts, which earlier pages prefetch."""


def sketch(doctree: nodes.document) -> str:
    """A fragment of HTML that needs the same large scripts as the page of this document."""
    is_math = (nodes.math, nodes.math_block)
    has_math = any(isinstance(node, is_math) for node in doctree.findall())
    raw = "".join(node.astext() for node in doctree.findall(nodes.raw))
    return raw + '<span class="math">' * has_math


def large_scripts(files: list, body: str, next_body: str) -> list:
    """The large scripts of `files` that the next pages need and this one does not."""
    large = [file for file in files if LARGE.search(str(file.filename or ""))]
    return [f for f in large if is_needed(f, next_body) and not is_needed(f, body)]
