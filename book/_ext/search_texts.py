"""The text of every page for the excerpts of the search, which then also work from disk."""

import json
from pathlib import Path

from docutils import nodes
from sphinx.environment import BuildEnvironment

SCRIPT = "search_texts.js"


def prose(doctree: nodes.document) -> str:
    """The paragraphs of a page, each once, without code and outputs."""
    return " ".join(
        " ".join(paragraph.astext().split()) for paragraph in doctree.findall(nodes.paragraph)
    )


def write_search_texts(env: BuildEnvironment, static: Path) -> None:
    """Write a script that gives the search page the text of each page by its name."""
    texts = {name: prose(env.get_doctree(name)) for name in sorted(env.found_docs)}
    script = f"window.searchTexts = {json.dumps(texts, ensure_ascii=False)};\n"
    (static / SCRIPT).write_text(script, encoding="utf-8")
