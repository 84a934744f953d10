"""Plain English and American spelling, in the pages and in the text of the code.

This covers README, CONTRIBUTING, CHANGELOG, the Markdown pages of the book, and the strings,
docstrings and comments of the package, the hints, the exercises and the solutions. Notebooks are
not covered yet, except for their spelling; neither are the questions that a page quotes from them.
"""

import ast
import io
import json
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "book").glob("*.md")),
    *sorted((ROOT / "book" / "teach").rglob("*.md")),
]
PYTHON = [
    path
    for folder in ("src/induction_heads", "exercises", "solutions")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
HINTS = sorted((ROOT / "src" / "induction_heads" / "course").rglob("hints.toml"))
NOTEBOOKS = sorted((ROOT / "book").glob("*.ipynb"))

# After "no", these do not make a noun: "is no longer", "is no more than", "is no better".
COMPARED = (
    r"longer|more|less|fewer|better|worse|larger|smaller|higher|lower|greater|faster|slower|later|"
    r"earlier|further|different|stronger|weaker|shorter|closer|sooner|older|one else"
)
# After "stand", these make an idiom: "stands out", "stands for P", "a stand-in for".
IDIOM = r"out|for (?!nothing)|still|up|alone|apart|in for|the test"
UNIT = r"row|file|line|folder|page|entry|point|column|note|test|task|process|thread|loop|seed|word"

TICS = {
    "got": r"\bcame in\b(?! (?:handy|pairs|first|second|last))",
    "returned": r"\b(?:came|comes?|coming) back\b",
    "came from": r"\b(?:came|comes?) of (?:it|this|that|them)\b",
    "is not a": rf"(?<!\bthere )\b(?:is|are|was|were) no (?!(?:{COMPARED})\b)\w+",
    "is, appears": rf"\b(?:stands?|stood|standing)\b(?!-)(?! (?:{IDIOM}))",
    "for those who": r"\bfor who\b",
    "the number": r"\bso many (?!\w+ that\b)\w+s\b",
    "sandboxed": r"\bshut in\b",
    "says about": r"\b(?:say|says|said|tell|tells|told) of\b",
    "evenly": r"\b(?:all|everything|every \w+|tokens|keys|heads) alike\b",
    "differently": r"\b(?:rounds?|does|goes?|goes? on|decides?|c[ao]me out|written) otherwise\b",
    "to each other": r"\bone with another\b(?! \w)",
    "per": rf"\bone (?:{UNIT}) an? \w+",
    "which nothing needs": r"\bneeds? nothing of\b",
    "forever": r"\bfor ever\b",
    "current": r"\b(?:points|checks|code|state) of now\b",
    "is not available": r"\bcannot be had\b",
    "a training run": r"\b(?:a|an unfinished|no) training (?:that|to|of|with|can)\b",
}
"""What a native writer would say → the phrase that keeps it out."""

BRITISH = (
    r"\b(?:\w*(?:behaviour|colour|favour|neighbour|honour|labour|flavour)\w*|centres?|centred|metres?|"
    r"grey(?:ed|s)?|analys(?:e[ds]?|ing)(?<!analyses)|catalogue[ds]?|defence|licence[ds]?|judgement|whilst|amongst|"
    r"labell(?:ed|ing)|modell(?:ed|ing)|cancell(?:ed|ing)|travell(?:ed|ing)|fulfil|programmes?|"
    r"(?:normal|organ|general|initial|summar|optim|recogn|real|minim|maxim|special|serial|visual|"
    r"token|random|factor|penal|capital|categor|emphas|parameter|local|util|memor|character)"
    r"is(?:e[drs]?|ing|ations?))\b"
)
"""Words in British spelling."""


def prose_of_page(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each line outside code, without quotations.

    Quoted are the first column of a table "before | after" and the questions of the chapters, which
    are the terms of definition lists in `reflection.md`.
    """
    fenced = before_column = False
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, (line, following) in enumerate(zip(lines, [*lines[1:], ""], strict=True), start=1):
        if line.lstrip().startswith("```"):
            # A directive such as {note} or {glossary} has text; code has none.
            fenced = not fenced and not re.match(r"\s*```\{(?:note|glossary)\}", line)
        before_column = line.startswith("|") and (before_column or line == "| before | after |")
        if before_column:
            line = line.split(" | ", 1)[-1]
        question = path.name == "reflection.md" and following.startswith(": ")
        if not fenced and not question:
            yield number, re.sub(r"`[^`]*`", "`code`", line)


def prose_of_python(path: Path) -> Iterator[tuple[int, str]]:
    """Line number and text of each string constant, docstring and comment."""
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def prose_of_notebook(path: Path) -> Iterator[tuple[int, str]]:
    """Number and source of each cell."""
    for number, cell in enumerate(json.loads(path.read_text(encoding="utf-8"))["cells"], start=1):
        yield number, "".join(cell["source"])


READERS = {".py": prose_of_python, ".ipynb": prose_of_notebook, ".md": prose_of_page}


def paragraphs(path: Path) -> Iterator[tuple[int, str]]:
    """Pieces of text without line breaks, each with the number of its first line."""
    start, lines = 1, []
    for number, text in READERS.get(path.suffix, prose_of_page)(path):
        if path.suffix != ".md":
            yield number, " ".join(text.split())
        elif text.strip() and lines:
            lines.append(text.strip())
        else:
            yield start, " ".join(lines)
            start, lines = number, [text.strip()] if text.strip() else []
    yield start, " ".join(lines)


def offenders(paths: list[Path], patterns: dict[str, str]) -> list[str]:
    """`file:line: "phrase" → what to write`, for each match."""
    return [
        f'{path.relative_to(ROOT)}:{number}: "{match[0]}" → {better}'
        for path in paths
        for number, text in paragraphs(path)
        for better, pattern in patterns.items()
        for match in re.finditer(pattern, text, flags=re.IGNORECASE)
    ]


def listed(found: list[str]) -> str:
    return "\n".join([f"{len(found)} phrases to write differently:", *found])


def test_pages_are_in_plain_english():
    found = offenders(PAGES, TICS)
    assert found == [], listed(found)


def test_text_of_the_code_is_in_plain_english():
    found = offenders([*PYTHON, *HINTS], TICS)
    assert found == [], listed(found)


def test_spelling_is_american():
    found = offenders([*PAGES, *PYTHON, *HINTS, *NOTEBOOKS], {"American spelling": BRITISH})
    assert found == [], listed(found)


@pytest.mark.parametrize(
    "text",
    [
        "A tensor of shape [3] came in.",
        "True came back, False was expected.",
        "Random tokens are no words.",
        "The mark stands in the residual stream.",
        "The entry stands for nothing.",
        "A line for who wants to know more.",
        "Ask for so many seeds.",
        "Code that is shut in.",
        "What the file says of itself.",
        "It raises all tokens alike.",
        "One file a command.",
        "It would wait for ever.",
        "Graded with the points of now.",
        "The text cannot be had.",
        "Continue a training that was stopped.",
    ],
)
def test_a_tic_is_found(text: str):
    assert [p for p in TICS.values() if re.search(p, text, flags=re.IGNORECASE)]


@pytest.mark.parametrize(
    "text",
    [
        "It is no longer needed, and is no more than a sketch.",
        "There is no head of this kind, and there were no others.",
        "One head stands out.",
        "P stands for the period; the curve stands still.",
        "It has so many heads that none matters.",
        "The two look alike.",
        "The analyses of two models and an analysis of one.",
        "Exercise: revise, otherwise raise the size of the promise.",
        "For now a training run that was stopped has a training set.",
        "For whoever reads this, one is a head, and one with another seed is not.",
    ],
)
def test_good_english_is_not_a_tic(text: str):
    patterns = [*TICS.values(), BRITISH]
    assert [p for p in patterns if re.search(p, text, flags=re.IGNORECASE)] == []
