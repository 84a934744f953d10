"""The chapters' notebooks in plain Markdown, for editors that do not know MyST.

The site is built from notebooks with MyST directives. Jupyter, Colab and other editors would show
these as raw markup, so here exercises become quotes, solutions are folded, terms carry their
definitions, and references become links or numbers.

Run as a script, this writes the notebooks to a folder: it needs nothing but Python.
"""

import ast
import html
import json
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

PACKAGED = Path(__file__).parent / "notebooks"
"""The notebooks in an installed package. A checkout has them in its folder `book`."""

CHECKOUT = Path(__file__).parents[3] / "book"

FENCE = re.compile(r"^(:{3,})\{([\w-]+)\} *(.*)\n((?:.*\n)*?)\1[ \t]*$", re.M)
OPTION = re.compile(r"\A:[\w-]+:.*\n", re.M)
ROLE = re.compile(r"\{([\w:]+)\}`([^`]+)`")
LABEL = re.compile(r"^\(([\w-]+)\)=\n", re.M)
EQUATION = re.compile(r"^\$\$\n((?:.*\n)*?)\$\$ \(([\w-]+)\)$", re.M)
NAMED = re.compile(r"(.+?)\s*<([^<>]+)>", re.S)
ABBREVIATED = 3
"""A work with at least this many authors is cited as "First et al."."""


class NoNotebooks(ValueError):
    """A copy of the course without its notebooks."""


@dataclass(frozen=True)
class References:
    """What references can point to.

    `places` maps a label to (file, title) of a heading or an exercise, `figures` and `equations` to
    numbers within their notebook, `terms` a term to its definition, `works` a key to
    (authors, year, address). `functions` are the exercises that `check` knows.
    """

    places: dict[str, tuple[str, str]]
    figures: dict[str, int]
    equations: dict[str, int]
    terms: dict[str, str]
    works: dict[str, tuple[str, str, str]]
    functions: frozenset[str]


def plain_notebooks() -> dict[str, str]:
    """Stem → JSON text of every notebook. Raises NoNotebooks if this copy has none."""
    folder = PACKAGED if PACKAGED.is_dir() else CHECKOUT
    paths = sorted(folder.glob("*.ipynb"))
    if not paths:
        raise NoNotebooks("This copy of the course does not include the notebooks.")
    books = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    exercises = Path(__file__).parent / "exercises"
    exercises = exercises if exercises.is_dir() else CHECKOUT.parent / "exercises"
    references = References(
        places=_places(books),
        figures=_numbers(books, _figure_names),
        equations=_numbers(books, _equation_names),
        terms=_terms(_text(folder / "glossary.md")),
        works=_works(_text(folder / "references.bib")),
        functions=frozenset(_functions(exercises)),
    )
    return {stem: _plain(stem, book, references) for stem, book in books.items()}


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _plain(stem: str, book: dict[str, Any], references: References) -> str:
    """One notebook in plain Markdown, as JSON."""
    cells: list[dict[str, Any]] = []
    used: set[str] = set()
    for cell in book["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            source = plain_markdown(source, references, stem, used)
            cells.append(cell | {"source": source.splitlines(keepends=True)})
            continue
        metadata = dict(cell["metadata"])
        if {"hide-input", "hide-cell"} & set(metadata.get("tags", ())):
            metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}
        cells.append(cell | {"metadata": metadata, "outputs": [], "execution_count": None})
        caption = metadata.get("mystnb", {}).get("figure", {})
        if caption.get("caption"):
            number = references.figures.get(caption.get("name", ""))
            figure = f"**Figure {number}.** " if number else ""
            text = _roles(f"{figure}{caption['caption']}", references, stem, used)
            cells.append(_markdown(f"{cell['id']}-caption", text))
    if used:
        cells.append(_markdown("terms", _terms_cell(sorted(used, key=str.lower), references)))
    return json.dumps(book | {"cells": cells}, indent=1, ensure_ascii=False) + "\n"


def _markdown(name: str, text: str) -> dict[str, Any]:
    lines = text.splitlines(keepends=True)
    return {"cell_type": "markdown", "id": name[:64], "metadata": {}, "source": lines}


def plain_markdown(text: str, references: References, stem: str, used: set[str]) -> str:
    """A Markdown cell without MyST. The terms in it are added to `used`."""
    text = EQUATION.sub(lambda match: _tagged(match, references), text)
    text = FENCE.sub(lambda match: _block(match, references), text + "\n").rstrip("\n")
    text = LABEL.sub("", text)
    return _roles(text, references, stem, used)


def _tagged(match: re.Match[str], references: References) -> str:
    number = references.equations.get(match[2])
    return f"$$\n{match[1].rstrip()} \\tag{{{number}}}\n$$"


def _block(match: re.Match[str], references: References) -> str:
    """A directive as a quote, or folded if it is a solution."""
    kind, title, body = match[2], match[3].strip(), match[4]
    while option := OPTION.match(body):
        body = body[option.end() :]
    body = body.strip("\n")
    if kind == "solution":
        name = references.places.get(title, ("", title))[1].replace("`", "")
        return f"<details><summary>Solution: {html.escape(name)}</summary>\n\n{body}\n\n</details>"
    if kind == "self-check":
        return f"<details><summary>{html.escape(title)}</summary>\n\n{body}\n\n</details>"
    if kind == "exercise":
        return _quoted(f"**Exercise: {title}**\n\n{body}{_how_to_check(title, references)}")
    if kind == "check-your-work":
        return _quoted(f"**Check your work**\n\n{body}")
    if kind == "drawing":  # It is on the site.
        return ""
    if kind == "prediction":
        return _quoted(f"**Your prediction**\n\n{body}".strip())
    return _quoted(body) if body else ""


def _how_to_check(title: str, references: References) -> str:
    name = title.strip("`")
    if name not in references.functions:
        return ""
    return (
        f"\n\nWrite it in a new cell. `check({name})` checks it and `hint({name})` helps, after "
        "`from induction_heads import check, hint`."
    )


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _roles(text: str, references: References, stem: str, used: set[str]) -> str:
    return ROLE.sub(partial(_role, references=references, stem=stem, used=used), text)


def _role(match: re.Match[str], references: References, stem: str, used: set[str]) -> str:
    role, content = match[1], match[2]
    named = NAMED.fullmatch(content)
    shown, target = (named[1], named[2]) if named else (None, content)
    if role == "term":
        return _term(shown or target, target, references, used)
    if role in ("cite:p", "cite:t"):
        works = [
            _cited(key.strip(), references, in_text=role == "cite:t") for key in target.split(",")
        ]
        return ", ".join(works) if role == "cite:t" else f"({'; '.join(works)})"
    if role == "eq":
        return f"({references.equations.get(target, '?')})"
    if role == "numref":
        return f"Figure {references.figures.get(target, '?')}"
    if role == "ref" and target in references.places:
        file, title = references.places[target]
        shown = shown or title
        return f"[{shown}]({file}.ipynb)" if file != stem else f"*{shown.strip('*')}*"
    return shown or f"*{target.replace('_', ' ').replace('-', ' ').capitalize()}*"


def _term(shown: str, target: str, references: References, used: set[str]) -> str:
    by_lower = {term.lower(): term for term in references.terms}
    term = by_lower.get(" ".join(target.lower().split()))
    if term is None:
        return shown
    used.add(term)
    definition = re.sub(r"[`*$]", "", _without_roles(references.terms[term], references))
    return f'<abbr title="{html.escape(definition)}">{shown}</abbr>'


def _terms_cell(used: Iterable[str], references: References) -> str:
    terms = references.terms
    lines = [f"- **{term}**: {_without_roles(terms[term], references)}" for term in used]
    summary = "<details><summary>The terms of this notebook</summary>"
    return "\n".join([summary, "", *lines, "", "</details>"])


def _without_roles(definition: str, references: References) -> str:
    """A definition without citations, and with the words that a reader sees for other roles."""

    def shown(match: re.Match[str]) -> str:
        named = NAMED.fullmatch(match[2])
        _, title = references.places.get(match[2], ("", match[2]))
        return named[1] if named else title

    return ROLE.sub(shown, re.sub(r"\s*\{cite:\w\}`[^`]*`", "", definition))


def _cited(key: str, references: References, *, in_text: bool) -> str:
    if key not in references.works:
        return key
    authors, year, address = references.works[key]
    text = f"{authors} ({year})" if in_text else f"{authors}, {year}"
    return f"[{text}]({address})" if address else text


def _places(books: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Label → (stem, title) of every labeled heading and exercise."""
    heading = re.compile(r"^\(([\w-]+)\)=\n#+ (.+)$", re.M)
    places = {}
    for stem, book in books.items():
        for source in _markdown_sources(book):
            places |= {label: (stem, title) for label, title in heading.findall(source)}
            for match in FENCE.finditer(source + "\n"):
                label = re.search(r"^:label: *(\S+)", match[4], re.M)
                if label:
                    places[label[1]] = (stem, match[3].strip())
    return places


def _markdown_sources(book: dict[str, Any]) -> list[str]:
    return ["".join(c["source"]) for c in book["cells"] if c["cell_type"] == "markdown"]


def _numbers(books: dict[str, Any], names_in: Callable[[Any], list[str]]) -> dict[str, int]:
    """Name → number, counted from 1 in each notebook."""
    return {
        name: number
        for book in books.values()
        for number, name in enumerate(names_in(book), start=1)
    }


def _figure_names(book: dict[str, Any]) -> list[str]:
    figures = [c["metadata"].get("mystnb", {}).get("figure", {}) for c in book["cells"]]
    return [figure["name"] for figure in figures if "name" in figure]


def _equation_names(book: dict[str, Any]) -> list[str]:
    return [match[2] for source in _markdown_sources(book) for match in EQUATION.finditer(source)]


def _terms(glossary: str) -> dict[str, str]:
    """Term → definition on one line, from the page of the glossary."""
    block = re.search(r"^```\{glossary\}\n(.*?)^```", glossary, re.M | re.S)
    terms = {}
    for entry in re.split(r"\n\s*\n", block[1].strip("\n")) if block else []:
        lines = entry.splitlines()
        definition = " ".join(line.strip() for line in lines if line.startswith(" "))
        terms |= {line.strip(): definition for line in lines if not line.startswith(" ")}
    return terms


def _works(bibliography: str) -> dict[str, tuple[str, str, str]]:
    """Key → (authors, year, address) of every entry."""
    works = {}
    for entry in re.split(r"^@", bibliography, flags=re.M)[1:]:
        key = re.match(r"\w+\{([^,]+),", entry)
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?\s*$", entry, re.M))
        if key:
            address = fields.get("url") or (
                f"https://doi.org/{fields['doi']}" if "doi" in fields else ""
            )
            works[key[1]] = (_authors(fields.get("author", "")), fields.get("year", ""), address)
    return works


def _authors(field: str) -> str:
    """The family names as in a citation: "Olsson et al."."""
    people = [person.split(",")[0].strip("{} ") for person in field.split(" and ")]
    if len(people) >= ABBREVIATED:
        return f"{people[0]} et al."
    return " and ".join(people)


def _functions(folder: Path) -> list[str]:
    """The names of all functions in the files of exercises."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.glob("ch*.py")]
    return [node.name for tree in trees for node in tree.body if isinstance(node, ast.FunctionDef)]


def write_notebooks(folder: Path) -> list[Path]:
    """Write every notebook to a folder, over those that are there. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in plain_notebooks().items():
        paths.append(folder / f"{name}.ipynb")
        paths[-1].write_text(text, encoding="utf-8")
    return paths


if __name__ == "__main__":
    print(f"Wrote {len(write_notebooks(Path(sys.argv[1])))} notebooks to {sys.argv[1]}.")
