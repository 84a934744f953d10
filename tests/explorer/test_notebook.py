"""`explore`: which models and tokens it takes, what it returns, and its words when it refuses."""

import json
import sys

import pytest
import torch

from induction_heads import explore
from induction_heads.explorer.models import SMEARED, attention_only, explorer_models
from induction_heads.models.hand_built import hand_built
from induction_heads.models.loading import load_attention_only, load_model, load_snapshots
from induction_heads.models.rotary_positions import RotaryPositions
from induction_heads.models.smeared_keys import with_smeared_keys

from .test_element import attributes
from .test_model import random_model

ALL = ["patterns", "change", "time", "weights", "train"]


@pytest.fixture
def in_book(monkeypatch):
    monkeypatch.setenv("INDUCTION_HEADS_BOOK", "1")


@pytest.fixture(autouse=True)
def outside_the_book(monkeypatch):
    monkeypatch.delenv("INDUCTION_HEADS_BOOK", raising=False)


def test_widget_has_the_model_and_its_snapshots():
    widget = explore("toy-1l", torch.tensor([5, 9, 5]), head=(0, 1), query=2)
    assert set(widget.data) == {"model toy-1l", "snapshots toy-1l"}
    assert list(widget.options["tokens"]) == [5, 9, 5]
    assert list(widget.options["parts"]) == ALL
    assert widget.state == "t.5-9-5~h.0-1~q.2"
    assert "state" not in widget.options


def test_widget_has_a_page_element_for_where_widgets_are_not_shown():
    bundle, *_ = explore("toy-1l", "A B A", alt="One layer.")._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "One layer."
    options = json.loads(attributes(bundle["text/html"])["data-explorer"])
    assert options["parts"] == [part for part in ALL if part != "time"]
    assert 'explorerData ??= {})["model toy-1l"]' in bundle["text/html"]


def test_state_that_was_set_is_in_the_page_element():
    widget = explore("toy-1l", "A B A")
    widget.state = "t.0-1~h.0-1"
    options = json.loads(attributes(widget._html())["data-explorer"])
    assert options["state"] == "t.0-1~h.0-1"


def test_weights_of_the_zoo_are_known_in_every_form():
    module = load_attention_only("toy-2l")
    for source in ("toy-2l", module, load_model("toy-2l")):
        assert explorer_models(source)[0].name == "toy-2l"
    with torch.no_grad():
        module.W_E[0, 0] += 1
    assert not explorer_models(module)[0].in_site


def test_models_of_the_course_are_shown():
    plain = random_model()
    for model in (plain, with_smeared_keys(plain), hand_built("induction")):
        widget = explore(model, "A B A")
        assert "time" not in widget.options["parts"]
        ((key, text),) = widget.data.items()
        assert key == f"model {widget.options['models'][0]['name']}"
        assert json.loads(text)["sizes"]["nHeads"] == model.config.n_heads


def test_several_models_stand_side_by_side():
    widget = explore(["toy-1l", "toy-2l"])
    assert [one["title"] for one in widget.options["models"]] == ["toy-1l", "toy-2l"]
    named = explore({"before": random_model(seed=1), "after": random_model(seed=2)})
    assert [one["title"] for one in named.options["models"]] == ["before", "after"]
    assert len(named.data) == 2


def test_the_smeared_toy_is_known_by_name_and_by_its_weights():
    for source in (SMEARED, attention_only(SMEARED)):
        widget = explore(source, "A B A")
        assert set(widget.data) == {f"model {SMEARED}", f"snapshots {SMEARED}"}
    assert json.loads(widget.data[f"model {SMEARED}"])["sizes"]["smeared"]


def test_a_small_model_of_the_zoo_brings_its_snapshots_and_a_large_one_does_not():
    small, large = (explore(name, [1, 2]) for name in ("markov-2l", "python-2l"))
    assert {key.split()[0] for key in small.data} == {"model", "snapshots"}
    assert {key.split()[0] for key in large.data} == {"model"}


def test_models_of_the_zoo_without_snapshots_are_shown():
    for name in ("matching/lags", "sycophant-2l/seed-1"):
        assert {key.split()[0] for key in explore(name, [1, 2]).data} == {"model"}


def test_own_snapshots_end_with_the_model():
    model, early = random_model(seed=1), random_model(seed=2)
    widget = explore(model, snapshots={0: early, 10: model.state_dict()})
    assert "time" in widget.options["parts"]
    assert any(key.startswith("snapshots model-") for key in widget.data)
    with pytest.raises(ValueError, match=r"last snapshot \(step 10\) differs from the model"):
        explore(model, snapshots={0: model, 10: early})
    with pytest.raises(ValueError, match="Got snapshots with 2 models"):
        explore(["toy-1l", "toy-2l"], snapshots=load_snapshots("toy-1l"))


@pytest.mark.usefixtures("in_book")
def test_in_the_book_a_model_of_the_zoo_is_an_element_alone():
    text = explore("toy-2l", "A B C A B", section="weights")._repr_html_()
    assert "<script" not in text
    assert len(text) < 2_000
    assert json.loads(attributes(text)["data-explorer"])["open"] == "weights"


@pytest.mark.usefixtures("in_book")
def test_in_the_book_other_models_stand_in_the_page():
    text = explore(random_model())._repr_html_()
    (one,) = json.loads(attributes(text)["data-explorer"])["models"]
    assert f'explorerData ??= {{}})["model {one["name"]}"] = {{' in text


@pytest.mark.usefixtures("in_book")
def test_in_the_book_no_widget_is_loaded(monkeypatch):
    """So a built page asks for no widget script. Importing these two would raise."""
    for name in ("anywidget", "ipywidgets"):
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "induction_heads.explorer.widget", raising=False)
    assert "widget" not in explore("toy-1l", "A B A")._repr_html_()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((3,), "Got an object of type int, but the explorer runs only attention-only models"),
        ((RotaryPositions(random_model().config),), "Got an object of type RotaryPositions"),
        (("gpt2-2l",), "not attention-only"),
        (("toy-3l",), "markov-2l, natural-2l, python-2l, sycophant-2l, toy-1l, toy-2l"),
        (([],), "Got no model"),
        (("toy-1l", [0, 64]), "Got token 64, but the ids of toy-1l are 0 to 63"),
        (("toy-1l", range(33)), "Got 33 tokens, but toy-1l takes at most 32"),
        (("toy-1l", torch.zeros(1, 2, dtype=torch.int64)), r"Got \[0, 0\] among .*tokens\[0\]"),
        (("toy-1l", torch.zeros(4)), "Got 0.0 among the tokens; expected integers"),
        (("toy-1l", [0, "B"]), "Got 'B' among the tokens"),
    ],
)
def test_what_the_explorer_cannot_show_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        explore(*arguments)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"head": (1, 0)}, "toy-1l has 1 layers of 2 heads"),
        ({"words": ["A"]}, "Got 1 words for the 64 ids"),
        ({"section": "heads"}, "no section 'heads'"),
    ],
)
def test_settings_that_do_not_fit_the_model_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        explore("toy-1l", "A B A", **settings)


def test_a_model_with_bos_opens_on_rows_that_begin_with_it():
    widget = explore("sycophant-2l")
    assert list(widget.options["tokens"]) == [0, 1, 2, 3, 1, 2]
    assert json.loads(next(iter(widget.data.values())))["bosToken"] == 0
    assert "tokens" not in explore("toy-1l").options
