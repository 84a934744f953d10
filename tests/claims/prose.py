"""The sentences of a page that state numbers, and those of them that state our own results."""

import json
import re
from pathlib import Path

BOOK = Path(__file__).resolve().parents[2] / "book"

WORDS = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|sixteen|twenty|thirty|"
    "forty|fifty|sixty|half|most|none"
)
NUMBER = re.compile(
    r"(?<![\w.`$])[−-]?\d[\d,]*(?:\.\d+)?(?: ?%)?(?!\w)"
    rf"|\b(?:{WORDS}) (?:of|in) (?:the |our |its )?(?:{WORDS})\b"
    rf"|\ball (?:{WORDS})\b",
    flags=re.IGNORECASE,
)
"""A number in digits, or a count in words such as "two of five" or "all seven"."""

NOT_PROSE = re.compile(
    r"^ *(`{3,}|~{3,})(?s:.*?)^ *\1 *$|\$\$(?s:.*?)\$\$"
    r"|^ *\|.*$|^ *:[\w-]+:.*$|^\(.*\)=$|^#.*$|^ *:{3,}.*$",
    re.M,
)
"""Code, formulas, tables, options and borders of directives, labels, titles."""

MARKUP = re.compile(r"\{[\w:-]+\}`[^`]*`|`[^`]*`|\$[^$\n]*\$")
NOT_RESULTS = re.compile(
    r"^(:{3,})\{(?:exercise|prediction|solution|chapter-opening|check-your-work)\}(?s:.*?)^\1$",
    re.M,
)
"""What a notebook asks, offers as an answer or derives: tasks, choices, solutions."""

PLACES = re.compile(
    r"\b(?:layers?|positions?|arguments?|chapters?|questions?|seeds?|rung|step) "
    r"\d+(?:(?:,| and| to) \d+)*",
    flags=re.IGNORECASE,
)
"""Numbers that name something and count nothing."""


def page(name: str) -> str:
    """The Markdown of a page of the book, or the Markdown cells of a notebook."""
    path = BOOK / f"{name}.md"
    if path.exists():
        return path.read_text(encoding="utf-8")
    cells = json.loads((BOOK / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def code(name: str) -> str:
    """The code cells of a notebook."""
    cells = json.loads((BOOK / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")


def one_line(text: str) -> str:
    return " ".join(text.split())


def sentences(text: str) -> list[str]:
    """The sentences of the prose in Markdown, each on one line."""
    found = []
    for block in re.split(r"\n\s*\n|\n(?=: )|\n(?= *\*\*)", NOT_PROSE.sub("\n\n", text)):
        found += re.split(r"(?<=[.?!:;]) +(?=[A-Z−\d*{])", one_line(block))
    return [sentence.removeprefix(": ") for sentence in found if sentence]


def with_numbers(text: str) -> list[str]:
    """The sentences that state a number, apart from code, formulas and references."""
    return [each for each in sentences(text) if NUMBER.search(PLACES.sub("", MARKUP.sub("", each)))]


def own_results(name: str) -> str:
    """The parts of a page that state what was measured in this course."""
    text = page(name)
    if name == "literature":
        return "\n\n".join(re.findall(r"^  \*\*Here\.\*\* (.+)$", text, flags=re.M))
    if name == "counter_evidence":
        parts = r"^  \*\*(?:Measured|Open)\.\*\* (.+(?:\n  (?!\*\*).+)*)"
        return "\n\n".join(re.findall(parts, text, flags=re.M))
    return "\n\n".join(re.findall(r"^: (.+(?:\n  .+)*)", text, flags=re.M))


NAMED = re.compile(
    r"\b(?:quer(?:y|ies)|keys?|rows?|tokens?) \d+(?:(?:,| and| to) \d+)*\b"
    r"|\blayer-\d|GPT-2|Llama-[\d.]+-\w+|TransformerLens \d[\d.]*",
    flags=re.IGNORECASE,
)
"""More numbers of notebooks that name something: places in a row, models, versions."""


def statements(name: str) -> list[str]:
    """The sentences of a notebook that state a number.

    Questions state none, and neither do tasks, the choices of predictions, and solutions.
    """
    text = re.sub(r"^ *(?:\d+\.|-) ", "\n", NOT_RESULTS.sub("\n\n", page(name)), flags=re.M)
    told = [each for each in sentences(text) if not each.endswith("?")]
    return [each for each in told if with_numbers(NAMED.sub("", each))]
