"""The report page says what the report says, escapes what it shows and needs nothing else."""

import re
from dataclasses import replace

import pytest

from induction_heads.figures.report_page import (
    COLUMNS,
    _type_figure,
    pictures,
    report_html,
    summary_sentences,
    table_rows,
)
from induction_heads.interp.analysis import analyze, strongest_stripe
from induction_heads.interp.scores import induction_score
from induction_heads.models.hand_built import hand_built, hand_built_heads

MODEL = hand_built("induction", n_heads=3)
REPORT = analyze(MODEL, name="hand-built <b>")


@pytest.fixture(scope="module")
def figures():
    return pictures(MODEL, REPORT)


def test_every_head_has_a_row_of_all_columns():
    rows = table_rows(REPORT)
    assert [row[0] for row in rows] == ["L0H0", "L0H1", "L0H2", "L1H0", "L1H1", "L1H2"]
    assert all(len(row) == len(COLUMNS) for row in rows)


def test_the_summary_names_the_heads():
    (_, previous), (_, induction) = (
        hand_built_heads("induction", n_heads=3)[name] for name in ("previous_token", "induction")
    )
    assert summary_sentences(REPORT) == [
        f"induction: L1H{induction} (1.00)",
        f"previous-token: L0H{previous} (1.00)",
        f"tokens that must match: L1H{induction} 1 (short-prefix)",
    ]


def test_a_report_without_finds_says_so():
    nothing = replace(REPORT, heads=tuple(replace(head, kinds=()) for head in REPORT.heads))
    (sentence,) = summary_sentences(nothing)
    assert sentence.startswith("No head has a kind at threshold 0.4. The highest score is 1.00 (")


def test_a_score_above_the_threshold_is_not_denied():
    """A mean of .42 with a probe below .4 gives no kind, but "no head reaches .4" was false."""
    head = REPORT.heads[0]
    low = dict.fromkeys(head.score, 0.1)
    for lowest, control, why in (
        (0.39, 0.0, "but its lowest probe is 0.39."),
        (0.41, 0.3, "the limit is half of its lowest probe, 0.20."),
    ):
        almost = replace(
            head,
            kinds=(),
            score=low | {"induction": 0.42},
            lowest=low | {"induction": lowest},
            control=low | {"induction": control},
        )
        (sentence,) = summary_sentences(replace(REPORT, heads=(almost,)))
        assert "The highest score is 0.42 (induction, " in sentence
        assert sentence.endswith(why)


def test_the_page_stands_alone_and_escapes_the_name(figures):
    text = report_html(REPORT, figures)
    assert "hand-built &lt;b&gt;" in text
    assert "<b>" not in text
    assert not re.search(r"(src|href)=['\"]?(http|//)", text)
    assert text.count("<img") == 3
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', text)
    assert len(alts) == 3
    assert all(alts)


def test_the_page_says_what_stands_in_front_of_the_probes(figures):
    assert "without a BOS token" in report_html(REPORT, figures)
    assert "each after the BOS token 3." in report_html(replace(REPORT, bos_token=3), figures)


def test_the_figures_are_png_and_captions_are_sentences(figures):
    for figure in figures:
        assert figure.png.startswith(b"\x89PNG")
        assert figure.caption.endswith((".", ")"))


def test_the_stripe_shown_is_that_of_the_strongest_head():
    place, pattern, period = strongest_stripe(MODEL, REPORT)
    assert place == hand_built_heads("induction", n_heads=3)["induction"]
    assert induction_score(pattern, period).item() > 0.99


def test_columns_hold_mean_deviation_lowest_control_and_copying():
    head = REPORT.heads[0]
    changed = replace(
        head,
        score=head.score | {"induction": 0.51},
        spread=head.spread | {"induction": 0.12},
        lowest=head.lowest | {"induction": 0.34},
        control=head.control | {"induction": 0.05},
        copying=-0.25,
        repeat_copying=0.75,
        repeat_logits=3.14159,
        olsson_copying=-0.85,
        prefix_curve=(0.0, 0.125, 0.75),
        match_length=2,
    )
    (row,) = table_rows(replace(REPORT, heads=(changed,)))
    copying = ("+0.75", "+3.14", "-0.85", "-0.25")
    assert row[-9:] == ("0.51 ± 0.12", "0.34", "0.05", "0.12", "2", *copying)
    (row,) = table_rows(replace(REPORT, heads=(replace(changed, match_length=None),)))
    assert row[-6:] == ("–", "–", *copying)


def test_a_head_of_several_kinds_is_drawn_as_the_last_one():
    head = replace(REPORT.heads[0], kinds=("first_token", "induction"))
    report = replace(REPORT, heads=(head, *REPORT.heads[1:]))
    (axes,) = _type_figure(report).axes
    bars = {bar.get_label(): [patch.get_height() for patch in bar] for bar in axes.containers}
    assert "first-token" not in bars
    assert bars["induction"][0] == 1
