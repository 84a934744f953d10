"""Figures with a slider: what the HTML holds. tests/browser/ shows that it moves."""

import json
import re
from html.parser import HTMLParser

import pytest
import torch

from induction_heads.figures.frames import pattern_frames


class Balance(HTMLParser):
    """Fails on a tag that is closed twice, never, or out of order."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "input":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


FACTS = [{"step": 0, "loss": 4.1589}, {"step": 40, "loss": 1.0}]


def two_frames(n_pos=6):
    even = torch.ones(n_pos, n_pos).tril()
    return torch.stack([even / even.sum(-1, keepdim=True), torch.eye(n_pos)])


def data_of(page):
    (data,) = re.findall(r'"frames-\w+",(\{.*\})\);</script>', page, re.S)
    return json.loads(data)


def test_html_is_balanced_and_loads_nothing():
    page = pattern_frames(two_frames(), FACTS)._repr_html_()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "http" not in page
    assert "src=" not in page


def test_frames_hold_the_weights_of_the_lower_triangle_in_hundredths():
    data = data_of(pattern_frames(two_frames(3), FACTS)._repr_html_())
    assert data["frames"] == [[100, 50, 50, 33, 33, 33], [100, 0, 100, 0, 0, 100]]
    assert data["facts"] == ["step 0, loss 4.16", "step 40, loss 1.00"]


def test_stripe_is_that_of_the_last_copy():
    data = data_of(pattern_frames(two_frames(6), FACTS, period=3)._repr_html_())
    assert data["stripe"] == [[3, 1], [4, 2], [5, 3]]
    assert data_of(pattern_frames(two_frames(6), FACTS)._repr_html_())["stripe"] == []


def test_slider_has_a_label_and_says_its_value():
    page = pattern_frames(two_frames(), FACTS, label="Training step")._repr_html_()
    (slider,) = re.findall(r'<input type="range" id="([^"]+)"', page)
    assert f'<label for="{slider}">Training step</label>' in page
    assert f'<output for="{slider}" aria-live="polite">step 0, loss 4.16</output>' in page
    assert 'aria-valuetext="step 0, loss 4.16"' in page
    assert 'max="1"' in page


def test_text_is_escaped():
    facts = [{"</script><b>": 1}]
    page = pattern_frames(two_frames()[:1], facts, alt='a "b"', caption="1 < 2")._repr_html_()
    assert page.count("</script>") == 1
    assert "<b>" not in page.replace("&lt;b&gt;", "").split("<script>")[0]
    assert 'aria-label="a &#34;b&#34;"' in page
    assert "1 &lt; 2" in page


def test_every_frame_has_a_row_in_the_table():
    page = pattern_frames(two_frames(), FACTS)._repr_html_()
    assert page.count("<tr>") == 3
    assert "<td>40</td><td>1.00</td>" in page


@pytest.mark.parametrize(
    ("patterns", "facts", "message"),
    [
        (torch.ones(2, 3, 4), FACTS, "as many queries as keys"),
        (torch.ones(0, 3, 3), [], "at least one frame"),
        (two_frames(), FACTS[:1], "Got 1 facts for 2 frames"),
        (two_frames(), [{"step": 1}, {"loss": 1.0}], "the same names"),
    ],
)
def test_input_that_does_not_fit_is_refused(patterns, facts, message):
    with pytest.raises(ValueError, match=message):
        pattern_frames(patterns, facts)


def test_a_period_that_does_not_fit_twice_is_refused():
    with pytest.raises(ValueError, match="does not fit twice"):
        pattern_frames(two_frames(6), FACTS, period=4)
