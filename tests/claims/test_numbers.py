"""Numbers in prose that state our own results are computed, or asserted in a notebook.

`python -m claims PAGE` lists the sentences with a number that nothing computes.
"""

import tomllib
from pathlib import Path

from each import for_each

from claims.all_claims import ASSERTED, CLAIMS, NOT_MEASURED
from claims.prose import code, one_line, own_results, page, statements, with_numbers
from claims.stored import Claim

UNTIED = tomllib.loads((Path(__file__).parent / "untied.toml").read_text(encoding="utf-8"))
READ_IN_FULL = ("literature", "counter_evidence", "teach/questions", "teach/reflection")


@for_each("claim", CLAIMS)
def test_sentence_states_the_stored_numbers(claim):
    name, sentences = claim()
    text = one_line(page(name))
    for sentence in sentences:
        assert sentence in text, f"{name} should say: {sentence}"


def tied(claims: tuple[Claim, ...]) -> dict[str, list[str]]:
    """Page → the parts of sentences whose numbers are computed."""
    parts: dict[str, list[str]] = {}
    for name, sentences in claims:
        parts.setdefault(name, []).extend(sentences)
    return parts


@for_each("name", READ_IN_FULL)
def test_every_number_of_ours_is_computed_or_has_a_reason(name):
    known = tied(tuple(claim() for claim in CLAIMS)).get(name, [])
    known += [text for each in ASSERTED if each["page"] == name for text in each["says"]]
    known += [each["text"] for each in UNTIED["sentence"] if each["page"] == name]
    loose = [
        sentence
        for sentence in with_numbers(own_results(name))
        if not any(part in sentence or sentence in part for part in known)
    ]
    assert loose == [], f"{name}: compute these in tests/claims"


NOTEBOOKS = (
    "why",
    "ch02_attention_patterns",
    "ch03_previous_token_heads",
    "ch04_induction_heads",
    "ch05_qk_and_ov_circuits",
    "ch06_composition",
    "ch07_ablation",
    "ch07_patching",
    "ch08_phase_change",
    "ch09_what_must_go_right",
    "real_text",
)
"""The notebooks that are read in full."""


@for_each("name", NOTEBOOKS)
def test_every_number_of_a_notebook_is_asserted_in_it_or_is_no_measurement(name):
    own = [each for each in ASSERTED if each["page"] == each["notebook"] == name]
    other = [each for each in NOT_MEASURED if each["notebook"] == name]
    known = [sentence for each in own + other for sentence in each["says"]]
    assert len(known) == len(set(known)), "a sentence is listed twice"
    found = statements(name)
    assert [each for each in found if each not in known] == [], "assert these in the notebook"
    assert [each for each in known if each not in found] == [], "no longer in the notebook"


def test_sentences_that_are_no_measurement_say_why():
    assert {each["notebook"] for each in NOT_MEASURED} <= set(NOTEBOOKS)
    assert all(each["why"].endswith(".") for each in NOT_MEASURED)


@for_each("claim", ASSERTED)
def test_notebook_asserts_what_a_page_states(claim):
    text, source = one_line(page(claim["page"])), one_line(code(claim["notebook"]))
    assert one_line(claim["by"]) in source, f"{claim['notebook']} no longer has: {claim['by']}"
    for sentence in claim["says"]:
        assert sentence in text, f"{claim['page']} should say: {sentence}"


def test_listed_sentences_are_still_on_their_pages():
    for each in UNTIED["sentence"]:
        assert each["text"] in one_line(page(each["page"])), each["text"]
        assert each["why"]


def test_sentences_with_numbers_are_found_and_names_of_places_are_not_numbers():
    assert with_numbers("In 41 of 60 toys a head forms. Nothing else does.") == [
        "In 41 of 60 toys a head forms."
    ]
    assert with_numbers("Two of three heads pass. In L1H0 of `toy-2l` there are $2^3$ paths.") == [
        "Two of three heads pass."
    ]
    assert with_numbers(
        "(ch01)=\n# One of two\n\n| 3 | 4 |\n\n:::{note}\n:class: a\n5 heads.\n:::"
    ) == ["5 heads."]
    assert with_numbers("Heads of layer 1 look at position 0, see {ref}`ch08`.") == []


def test_statements_of_a_notebook_are_neither_tasks_nor_questions(monkeypatch):
    text = (
        "1. Query 3 sees 0.5 of it.\n2. Does it see 0.7?\n- Row 2 of GPT-2 has layer-1 heads.\n\n"
        ":::{exercise} `f`\n★ · 5 minutes.\n:::\n\n:::{prediction} a\n- 3 of them\n:::\n"
    )
    monkeypatch.setattr("claims.prose.page", lambda name: text)
    assert statements("any") == ["Query 3 sees 0.5 of it."]
