"""Hover figures: what the HTML holds. tests/browser/ shows that it draws."""

from html.parser import HTMLParser

import pytest
import torch

from induction_heads.figures.hover import hover_patterns

VOID = {"br", "img", "hr"}


class Balance(HTMLParser):
    """Fails on a tag that is closed twice, never, or out of order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        raise AssertionError(f"<{tag}/> is not HTML")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def uniform(n_heads, n_pos):
    pattern = torch.ones(n_pos, n_pos).tril()
    return (pattern / pattern.sum(-1, keepdim=True)).expand(n_heads, -1, -1)


def labels(n_pos):
    return [f"t{position}" for position in range(n_pos)]


@pytest.fixture
def in_book(monkeypatch):
    monkeypatch.setenv("INDUCTION_HEADS_BOOK", "1")


@pytest.mark.usefixtures("in_book")
def test_html_is_balanced():
    parser = Balance()
    parser.feed(hover_patterns(uniform(2, 4), labels(4))._repr_html_())
    assert parser.open == []


@pytest.mark.usefixtures("in_book")
def test_figure_loads_nothing_from_anywhere():
    page = hover_patterns(uniform(2, 4), labels(4))._repr_html_()
    assert "http" not in page
    assert "src=" not in page


@pytest.mark.usefixtures("in_book")
def test_weights_are_rounded_to_three_decimals():
    page = hover_patterns(uniform(1, 3), labels(3))._repr_html_()
    assert "0.333," in page
    assert "0.3333" not in page


@pytest.mark.usefixtures("in_book")
def test_labels_cannot_end_the_script_or_add_markup():
    page = hover_patterns(uniform(1, 2), ["</script>", "<b>"])._repr_html_()
    assert page.count("</script>") == 1
    assert "<b>" not in page.split("<script>")[0]


@pytest.mark.usefixtures("in_book")
def test_text_table_names_the_key_with_the_largest_weight():
    pattern = torch.tensor([[[1.0, 0.0], [0.9, 0.1]]])
    page = hover_patterns(pattern, ["A", "B"], ["L1H0"], alt="Looks at A.")._repr_html_()
    assert '<th scope="row">1 B</th><td>0 A (0.90)</td>' in page
    assert 'aria-label="Looks at A."' in page


def test_outside_the_book_the_figure_carries_the_library(monkeypatch):
    monkeypatch.delenv("INDUCTION_HEADS_BOOK", raising=False)
    page = hover_patterns(uniform(1, 2), labels(2))._repr_html_()
    assert len(page) > 1_000_000
    assert page.count("</script>") == 1


@pytest.mark.parametrize(
    ("pattern", "names", "message"),
    [
        (torch.ones(2, 3), None, "expected \\[head query key\\]"),
        (torch.ones(2, 3, 4), None, "expected \\[head query key\\]"),
        (uniform(2, 4), None, "Got 3 labels for 4 positions"),
        (uniform(2, 3), ["L0H0"], "Got 1 head names for 2 heads"),
    ],
)
def test_sizes_that_do_not_match_are_refused(pattern, names, message):
    with pytest.raises(ValueError, match=message):
        hover_patterns(pattern, labels(3), names)


@pytest.mark.usefixtures("in_book")
def test_the_future_is_hidden_and_the_range_is_fixed():
    page = hover_patterns(uniform(1, 3), labels(3))._repr_html_()
    assert '"minValue":0,"maxValue":1,"maskUpperTri":true' in page


def test_no_tokens_together_keep_the_script_from_ending():
    page = hover_patterns(uniform(1, 4), ["<!--", "<script>", "x", "</script>"]).html
    inside = page[page.index("<script>") + 8 : page.rindex("</script>")]
    assert "<!--" not in inside
    assert "<script" not in inside
