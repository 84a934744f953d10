"""The explorer as an element of a page: what the HTML holds, and what a page loads for it."""

import gzip
import html
import json
import re
from html.parser import HTMLParser

import pytest

from induction_heads.explorer.element import (
    SITE_MODELS,
    Explorer,
    data_script,
    explorer_element,
    explorer_style,
    page_script,
    standalone_html,
    tokens_from_text,
)
from induction_heads.explorer.models import explorer_models

TOY = (("toy-2l", "toy-2l"),)


class Attributes(HTMLParser):
    """The attributes of the element that asks for an explorer."""

    def __init__(self):
        super().__init__()
        self.attributes = {}

    def handle_starttag(self, tag, attrs):
        if {"data-explorer", "data-text-explorer"} & set(dict(attrs)):
            self.attributes = dict(attrs)


def attributes(text):
    parser = Attributes()
    parser.feed(text)
    return parser.attributes


def compressed(*texts):
    return sum(len(gzip.compress(text.encode())) for text in texts)


def test_element_says_what_is_shown():
    shown = Explorer(TOY, tokens=(0, 1, 0), period=2, parts=("patterns",), open="patterns")
    assert json.loads(attributes(explorer_element(shown))["data-explorer"]) == {
        "models": [{"name": "toy-2l", "title": "toy-2l"}],
        "tokens": [0, 1, 0],
        "period": 2,
        "parts": ["patterns"],
        "open": "patterns",
    }


def test_words_cannot_leave_the_element():
    words = ('"><script>', "'", "</div>", "&amp;", "<b>")
    text = explorer_element(Explorer(TOY, words=words, alt='"><b>', caption="<i>"))
    of_element = attributes(text)
    assert tuple(json.loads(of_element["data-explorer"])["words"]) == words
    assert of_element["aria-label"] == '"><b>'
    assert not re.search("<script|<b>|<i>", text)


def test_before_the_script_runs_the_element_says_what_would_be_there():
    text = explorer_element(Explorer(TOY, alt="Two heads at work."))
    assert "<p" in text
    assert "Two heads at work. It runs in your browser and needs JavaScript." in text


def test_opening_state_is_what_the_page_reads(node, tmp_path):
    """`decodeState` of the page takes the head, the query and the section from the text."""
    shown = Explorer(TOY, tokens=(3, 4, 3), head=(1, 0), query=1, period=2, open="change")
    (tmp_path / "script.cjs").write_text(
        page_script().replace("explorer.mountAll(document.currentScript);", "")
        + f"const read = explorer.decodeState({json.dumps(shown.opening_state())});\n"
        "const { tokens, head, query, period, section } = read.state;\n"
        "console.log(JSON.stringify([read.problem, tokens, head, query, period, section]));"
    )
    assert json.loads(node(tmp_path / "script.cjs")) == [None, [3, 4, 3], [1, 0], 1, 2, "change"]


def test_text_of_tokens():
    assert tokens_from_text("A B C A 30") == (0, 1, 2, 0, 30)
    for text in ("A b", "", "A -1"):
        with pytest.raises(ValueError, match="Separate them with spaces: A B C A B"):
            tokens_from_text(text)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"open": "heads"}, "Sections: patterns, change, time, weights, train"),
        ({"parts": ("patterns", "all")}, "no section 'all'"),
        ({"parts": ("patterns",), "open": "time"}, "is not among"),
        ({"tokens": ()}, "Got an empty list of tokens"),
        ({"period": 0}, "at least 1"),
        ({"query": 5}, "the 5 positions are 0 to 4"),
        ({"state": "h.0-0", "head": (0, 0)}, "a state sets both"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Explorer(TOY, **settings)


def test_data_of_a_model_cannot_end_its_script():
    script = data_script("model", "</script>", '{"name":"</script>"}')
    assert "</" not in script
    assert json.loads(script.split(" = ")[1].rstrip(";\n"))["name"] == "</script>"


def test_page_script_and_weights_fit_in_400_kilobytes_compressed():
    """The trainer included. The snapshots of all models: 1.5 MB, uncompressed too."""
    models = {}
    for name in SITE_MODELS:
        models |= explorer_models(name)[0].data()
    weights = [text for (kind, _), text in models.items() if kind == "model"]
    snapshots = [text for (kind, _), text in models.items() if kind == "snapshots"]
    assert compressed(page_script(), explorer_style(), *weights) <= 400_000
    assert max(map(len, weights)) <= 120_000
    assert sum(map(len, snapshots)) <= 1_500_000


def test_standalone_html_holds_all_that_it_needs():
    (toy,) = explorer_models("toy-2l")
    text = standalone_html(Explorer(TOY), toy.data(), "explorer-1")
    assert attributes(text)["id"] == "explorer-1"
    assert "src=" not in re.sub(r"<script>.*</script>", "", text, flags=re.S)
    assert text.count("</script>") == 1
    assert not re.search(r"@import|url\((?!data:)", html.unescape(explorer_style()))
