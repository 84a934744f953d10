"""Notebooks of the book and their cells, read by nbformat."""

from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode


@cache
def notebook(path: Path) -> NotebookNode:
    """The notebook at a path, in the format in which it is stored."""
    return nbformat.read(path, as_version=nbformat.NO_CONVERT)


def cells(path: Path, kind: str | None = None) -> list[NotebookNode]:
    """The cells of a notebook in order, or those of one kind: "markdown" or "code"."""
    return [cell for cell in notebook(path).cells if kind in (None, cell.cell_type)]


def prose(path: Path) -> str:
    """The Markdown of a notebook, with an empty line between cells."""
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))
