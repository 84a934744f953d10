"""The explorer of a text model in Chromium, from disk: loading, typing, colors and changes."""

import re

import pytest
import torch
from explorer.text_cases import NAME, stored_model, tokenizer

from induction_heads.explorer.text_element import EXAMPLES
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_attention_only

from .conftest import Visit
from .text_explorer_page import write_text_page

TEXT = EXAMPLES[0][1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return write_text_page(tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def opened(browser, address):
    """One load of the page with the model read; each test sets the text anew."""
    seen = Visit(browser)
    seen.tab.goto(address)
    load(seen.tab)
    yield seen
    assert seen.errors == []
    assert seen.requests_outside("file:") == []
    seen.tab.close()


@pytest.fixture
def tab(opened):
    write(opened.tab, TEXT)
    opened.tab.get_by_role("radio", name="loss", exact=True).check(force=True)
    return opened.tab


def load(tab):
    tab.get_by_role("button", name=f"Load {NAME}").click()
    tab.locator(".ex-piece").first.wait_for()


def write(tab, text):
    tab.get_by_label("type or paste").fill(text)
    frames(tab)


def frames(tab):
    tab.evaluate("() => new Promise((r) => requestAnimationFrame(() => requestAnimationFrame(r)))")


def ids_of(text):
    return tokenizer().encode(text).ids[:128]


def losses_of(text):
    row = torch.tensor([ids_of(text)])
    with torch.inference_mode():
        return per_token_loss(load_attention_only(NAME)(row), row)[0]


def labels(tab):
    return tab.locator(".ex-piece").evaluate_all("all => all.map(one => one.ariaLabel)")


def test_nothing_is_loaded_before_the_reader_asks(visit, address):
    seen = visit()
    seen.tab.goto(address)
    button = seen.tab.get_by_role("button", name=f"Load {NAME}")
    button.wait_for()
    assert not [url for url in seen.requests if NAME in url]
    seen.tab.evaluate(
        """() => {
            window.shares = [];
            const bar = document.querySelector("progress");
            new MutationObserver(() => shares.push(bar.value)).observe(bar, { attributes: true });
        }"""
    )
    load(seen.tab)
    shares = seen.tab.evaluate("shares")
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(set(shares)) >= 4
    assert len([url for url in seen.requests if NAME in url]) == 1 + stored_model()[0]["nParts"]
    assert seen.errors == []


def test_a_part_that_is_missing_can_be_asked_for_again(visit, address):
    seen = visit()
    seen.tab.route("**/*-part-3.js", lambda route: route.abort())
    seen.tab.goto(address)
    seen.tab.get_by_role("button", name=f"Load {NAME}").click()
    seen.tab.get_by_text("does not have the weights of python-2l").wait_for()
    seen.tab.unroute("**/*-part-3.js")
    seen.tab.get_by_role("button", name="Try again").click()
    seen.tab.locator(".ex-piece").first.wait_for()


def test_tokens_and_losses_are_those_of_the_package(tab):
    expected = losses_of(TEXT).tolist()
    assert tab.locator(".ex-piece").count() == len(ids_of(TEXT))
    shown = [float(re.search(r"loss ([\d.]+)", label)[1]) for label in labels(tab)[1:]]
    assert shown == pytest.approx(expected, abs=0.006)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "x = '…'\r\n\tπ😀",
        "<bos>",
        "\x00\x07",
        "    " * 30 + "a",
        "é" * 100,
        "import os\n" * 40,
    ],
)
def test_any_text_is_read(text, tab):
    """Texts that are too long are read as far as they fit, and the page says so."""
    write(tab, text)
    n_tokens = len(tokenizer().encode(text.replace("\r\n", "\n")).ids)  # The box keeps no CR.
    assert tab.locator(".ex-piece").count() == min(n_tokens, 128)
    note = tab.inner_text(".ex-legend-line")
    assert f"{min(n_tokens, 128)} of 128 tokens" in note
    assert ("do not fit" in note) == (n_tokens > 128)
    assert tab.locator(".ex-problem").is_hidden()


def test_markup_in_a_text_stays_text(tab):
    write(tab, "<img src=x onerror='window.hacked = 1'>")
    assert tab.evaluate("window.hacked") is None
    assert "<img" in tab.inner_text(".ex-text").replace("\n", "")


def test_next_piece_and_ranked_heads_are_those_of_the_model(tab):
    assert tab.locator(".ex-bar-token").first.inner_text() == "it"
    row = torch.tensor([ids_of(TEXT)])
    model = load_attention_only(NAME)
    with torch.inference_mode():
        chance = model(row)[0, -1].softmax(dim=-1).max().item()
    share = tab.locator(".ex-bar-share").first.inner_text()
    assert float(share.rstrip("%")) == pytest.approx(100 * chance, abs=0.6)
    tab.wait_for_function(
        "![...document.querySelectorAll('.ex-ranked td')].some(td => td.textContent === '…')"
    )
    adds = tab.locator(".ex-ranked tbody .ex-adds-cell").all_inner_texts()
    numbers = [float(text.replace("−", "-")) for text in adds]
    assert numbers == sorted(numbers, reverse=True)
    rest = tab.locator(".ex-ranked tfoot tr td:nth-child(2)").all_inner_texts()
    own, position, total = (float(text.replace("−", "-")) for text in rest)
    assert sum(numbers) + own + position == pytest.approx(total, abs=0.06)
    with torch.inference_mode():
        logits = model(row)[0, -1]
    assert total == pytest.approx((logits.max() - logits.mean()).item(), abs=0.006)


def test_attention_follows_the_pointer(tab):
    tab.get_by_role("radio", name="attention", exact=True).check(force=True)
    tab.get_by_label("of head").select_option("1-0")
    last = len(ids_of(TEXT)) - 1
    tab.locator(".ex-piece").nth(last).hover()
    frames(tab)
    model = load_attention_only(NAME)
    stream = model.embed(torch.tensor([ids_of(TEXT)]))
    with torch.inference_mode():
        stream = stream + model.layers[0](stream)
        pattern = model.layers[1].pattern(model.layers[1].norm(stream))[0, 0]
    weights = [float(label.split("weight ")[1]) for label in labels(tab)]
    assert weights == pytest.approx(pattern[last].tolist(), abs=0.006)
    tab.locator(".ex-piece").nth(9).hover()
    frames(tab)
    weights = [float(label.split("weight ")[1]) for label in labels(tab)]
    assert weights == pytest.approx(pattern[9].tolist(), abs=0.006)
    assert "from position 9" in tab.inner_text(".ex-legend")


def test_keys_move_along_the_text(tab):
    pieces = tab.locator(".ex-piece")
    pieces.nth(3).click()
    frames(tab)
    assert pieces.nth(3).get_attribute("aria-pressed") == "true"
    tab.keyboard.press("ArrowRight")
    frames(tab)
    assert "at position 4" in tab.inner_text(".ex-prediction .ex-heading")
    assert tab.evaluate("document.activeElement.ariaLabel").startswith("Position 4:")
    tab.keyboard.press("Enter")
    frames(tab)
    assert f"at position {pieces.count() - 1}" in tab.inner_text(".ex-prediction .ex-heading")


def test_a_silenced_head_costs_what_its_column_says(tab):
    """The table's prediction of a change is what the change then does."""
    tab.wait_for_function(
        "![...document.querySelectorAll('.ex-ranked td')].some(td => td.textContent === '…')"
    )
    row = tab.locator(".ex-ranked tbody tr").filter(has_text="L1H0")
    expected = row.locator("td").nth(2).inner_text()
    tab.locator("summary").first.click()
    tab.get_by_role("group", name="L1H0").get_by_label("mean").check()
    frames(tab)
    assert "Change the model (1)" in tab.inner_text("summary >> nth=0")
    bars = dict(
        zip(
            tab.locator(".ex-bar-token").all_inner_texts(),
            tab.locator(".ex-bar-share").all_inner_texts(),
            strict=True,
        )
    )
    assert bars["it"] == expected
    tab.get_by_role("button", name="Undo all").click()
    tab.locator("summary").first.click()
    frames(tab)
    assert tab.locator(".ex-bar-token").first.inner_text() == "it"


def test_the_address_brings_text_and_state_back(visit, address):
    """After a reload, and as a link: the weights are loaded at once."""
    seen = visit()
    seen.tab.goto(address)
    load(seen.tab)
    write(seen.tab, "é = '%7E~'\n\tprint(é")
    seen.tab.get_by_role("radio", name="attention", exact=True).check(force=True)
    seen.tab.get_by_label("of head").select_option("1-3")
    seen.tab.wait_for_function(
        "location.hash.includes('y.attention') && location.hash.includes('h.1-3')"
    )
    link = seen.tab.evaluate("location.href")
    seen.tab.reload()
    seen.tab.locator(".ex-piece").first.wait_for()
    other = visit()
    other.tab.goto(link)
    other.tab.locator(".ex-piece").first.wait_for()
    for tab in (seen.tab, other.tab):
        assert tab.get_by_label("type or paste").input_value() == "é = '%7E~'\n\tprint(é"
        assert tab.get_by_label("of head").input_value() == "1-3"
        assert tab.get_by_role("radio", name="attention", exact=True).is_checked()
    other.tab.evaluate("location.hash = '#explorer=x.$$$'")
    other.tab.get_by_text("The link could not be read").wait_for()
    assert other.errors == []


def test_it_fits_a_phone_in_both_modes(tab, opened):
    for mode in ("light", "dark"):
        opened.show(390, mode)
        for piece in (tab.locator(".ex-text"), tab.locator(".ex-input"), tab.locator(".ex-bars")):
            box = piece.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    opened.show(1280, "light")


def test_system_colors_keep_the_numbers_visible(tab):
    tab.emulate_media(forced_colors="active")
    sizes = tab.locator(".ex-piece").evaluate_all(
        "all => all.map(one => parseFloat(getComputedStyle(one).backgroundSize))"
    )
    tab.emulate_media(forced_colors="none")
    losses = losses_of(TEXT)
    assert sizes[int(losses.argmax()) + 1] == max(sizes) > 50
    assert sizes[int(losses.argmin()) + 1] < 10
