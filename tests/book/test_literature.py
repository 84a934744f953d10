"""The literature map has a paragraph for every work that the book cites, and for no other."""

import re
import sys
from importlib import import_module
from pathlib import Path

from each import for_each
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
sys.path.insert(0, str(BOOK / "_ext"))

cited_works = import_module("cited_works")

MAP = (BOOK / "literature.md").read_text(encoding="utf-8")
OBJECTIONS = (BOOK / "counter_evidence.md").read_text(encoding="utf-8")
RESEARCH = ["Claim", "Evidence", "Here", "Not here"]
PARTS = ["What it is", "Here", "Not here"]
OBJECTION = ["Against it", "Measured", "Open"]
NO_PARAGRAPH = "book/literature.md has no paragraph for"


def definitions(page: str) -> list[tuple[str, str]]:
    """Term and definition of every entry of the definition lists of a page."""
    return re.findall(r"^(\S.*)\n: ((?:.+\n)+)", page, flags=re.M)


def labels(paragraph: str) -> list[str]:
    """The words in bold that open a part of a paragraph."""
    return re.findall(r"^ *\*\*(.+?)\.\*\* +\S", paragraph, flags=re.M)


BIBLIOGRAPHY = parse_file(BOOK / "references.bib").entries
PARAGRAPHS = {next(cited_works.keys(term)): paragraph for term, paragraph in definitions(MAP)}
each_work = for_each("key", PARAGRAPHS)


def test_every_cited_work_has_a_paragraph():
    missing = {
        key: [path.name for path in paths]
        for key, paths in cited_works.citations().items()
        if key not in PARAGRAPHS
    }
    assert missing == {}, f"{NO_PARAGRAPH} {sorted(missing)}"


def test_teachers_pages_cite_nothing_without_a_paragraph():
    cited = {key for path in BOOK.glob("teach/*.md") for key in cited_works.keys(path.read_text())}
    assert cited <= PARAGRAPHS.keys(), f"{NO_PARAGRAPH} {sorted(cited - PARAGRAPHS.keys())}"


def test_bibliography_and_map_hold_the_same_works_once_each():
    terms = [next(cited_works.keys(term)) for term, _ in definitions(MAP)]
    assert sorted(terms) == sorted(BIBLIOGRAPHY)


@each_work
def test_paragraph_says_claim_evidence_what_is_here_and_what_is_not(key):
    before, _, _ = MAP.partition(f"\n{{cite:t}}`{key}`, *")
    section = re.findall(r"^## (.+)$", before, flags=re.M)[-1]
    wanted = PARTS if section == "Parts, models, tools" else RESEARCH
    assert labels(PARAGRAPHS[key]) == wanted


@each_work
def test_term_has_the_title_of_the_work(key):
    (title,) = re.findall(rf"^\{{cite:t\}}`{key}`, \*(.+)\*$", MAP, flags=re.M)
    full_title = BIBLIOGRAPHY[key].fields["title"].replace("{", "").replace("}", "")
    assert title.lower().replace("\\", "") in full_title.lower()


def test_every_objection_says_what_was_measured_and_what_is_open():
    found = definitions(OBJECTIONS)
    assert len(found) >= 10
    for story, answer in found:
        assert re.fullmatch(r'".+"', story), story
        assert labels(answer) == OBJECTION, story


def test_table_has_a_row_for_each_cited_work_and_links_its_pages():
    rows = cited_works.table(cited_works.citations())[2:]
    assert len(rows) == len(cited_works.citations())
    (row,) = [row for row in rows if "`xiao2024`" in row]
    assert row.startswith("| {cite:t}`xiao2024` | {ref}`ch02`, ")
    assert row.endswith("{doc}`glossary` |")


def test_keys_of_one_role_are_separate_works():
    assert list(cited_works.keys("as {cite:p}`elhage2021, olsson2022` say")) == [
        "elhage2021",
        "olsson2022",
    ]


def test_every_work_has_one_level_of_reading():
    _, _, levels = MAP.partition("(literature-read)=")
    levels, _, _ = levels.partition("\n## Where each work is cited")
    rows = re.findall(r"^\| [a-z ]+ \| (\{cite:t\}.+) \|$", levels, flags=re.M)
    assert len(rows) == 5
    assert sorted(cited_works.keys("\n".join(rows))) == sorted(BIBLIOGRAPHY)
