"""Models of text in the page: the tokens and the logits are those of the package."""

import gzip
import json

import numpy as np
import pytest
import torch

from induction_heads.data.held_out_text import library_rows
from induction_heads.explorer.text_element import EXAMPLES, TEXT_MODELS, text_explorer_element
from induction_heads.explorer.text_models import (
    MEAN_ROWS,
    exported_text_model,
    stored_tokenizer,
)
from induction_heads.models.loading import load_attention_only, load_model, zoo_folder

from .cases import largest_difference
from .test_element import attributes
from .text_cases import (
    NAME,
    generated_texts,
    library_lines,
    random_text_triples,
    stored_model,
    tokenizer,
)


def require_equal_tokens(ask, texts):
    expected = [number for one in tokenizer().encode_batch(texts) for number in split(one.ids)]
    answered = ask("tokens", tokenizer=stored_model()[0]["tokenizer"], texts=texts)
    assert answered.tolist() == expected


def split(ids):
    """The number of ids and the ids, without the BOS that the tokenizer puts in front."""
    return [len(ids) - 1, *ids[1:]]


def test_tokens_of_library_lines_and_of_awkward_text_equal_the_tokenizer(ask):
    require_equal_tokens(ask, [*library_lines()[::25], *generated_texts(3000)])


@pytest.mark.long
def test_tokens_of_every_library_line_equal_the_tokenizer(ask):
    lines = library_lines()
    assert len(lines) > 100_000
    require_equal_tokens(ask, [*lines, *generated_texts(20_000, seed=1)])


@pytest.mark.parametrize("name", TEXT_MODELS)
@pytest.mark.parametrize(
    "n_cases", [25, pytest.param(250, marks=pytest.mark.long, id="1000-triples")]
)
def test_logits_equal_torch_on_random_triples(n_cases, name, ask):
    """Four rows a case; a row, a change and the model's half-precision weights are a triple."""
    request, expected = random_text_triples(name, n_cases)
    kinds = {json.dumps(sorted(case["change"])) for case in request["cases"]}
    assert len(kinds) == 5
    difference = largest_difference(ask(**request), expected)
    print(f"{4 * n_cases} triples: largest difference {difference:.2e}")
    assert difference < 1e-3
    assert np.abs(expected).max() > 5


@pytest.mark.parametrize("name", TEXT_MODELS)
def test_a_model_is_less_than_a_megabyte_after_compression(name):
    texts = exported_text_model(name).values()
    assert sum(len(gzip.compress(text.encode())) for text in texts) < 1_000_000
    assert f"{sum(map(len, texts)) / 1e6:.0f} MB" == TEXT_MODELS[name].size


def test_all_models_have_the_tokenizer_of_the_cases():
    for name in TEXT_MODELS:
        assert stored_model(name)[0]["tokenizer"] == stored_model()[0]["tokenizer"]


def test_parts_hold_every_weight():
    _, parts = stored_model()
    n_weights = sum(weight.numel() for weight in load_attention_only(NAME).parameters())
    assert sum(map(len, parts)) * 4 // 5 == 2 * n_weights
    assert all(len(part) % 5 == 0 for part in parts[:-1])


def test_means_are_those_of_held_out_text():
    bridge = load_model(NAME)
    rows = library_rows(bridge, n_pos=bridge.cfg.n_ctx, batch=MEAN_ROWS, seed=0)
    with torch.inference_mode():
        _, cache = bridge.run_with_cache(rows)
    for layer, means in enumerate(stored_model()[0]["means"]):
        expected = cache[f"blocks.{layer}.attn.hook_z"][:, 1:].mean(dim=(0, 1))
        torch.testing.assert_close(torch.tensor(means), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda stored: stored["model"].update(type="Unigram"), "byte-level BPE"),
        (lambda stored: stored["pre_tokenizer"].update(add_prefix_space=True), "no space put in"),
        (lambda stored: stored.update(normalizer={"type": "NFC"}), "no normalizer"),
        (lambda stored: stored["model"]["merges"].reverse(), "order of the merges"),
        (lambda stored: stored["added_tokens"][0].update(lstrip=True), "plain special tokens"),
    ],
)
def test_a_tokenizer_that_the_page_would_read_differently_is_refused(change, words, tmp_path):
    stored = json.loads((zoo_folder(NAME) / "tokenizer.json").read_text(encoding="utf-8"))
    change(stored)
    (tmp_path / "tokenizer.json").write_text(json.dumps(stored), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        stored_tokenizer(tmp_path / "tokenizer.json")


def test_element_holds_the_model_and_the_examples():
    options = json.loads(
        attributes(text_explorer_element(NAME, alt="Python."))["data-text-explorer"]
    )
    assert (options["model"], options["head"]) == (NAME, [1, 0])
    assert [one["text"] for one in options["examples"]] == [text for _, text in EXAMPLES]
    with pytest.raises(ValueError, match="no text model 'toy-2l'"):
        text_explorer_element("toy-2l", alt="")


def test_the_first_examples_are_copied_by_one_model_and_mostly_not_by_the_other():
    """What the page of `natural-2l` says of the two models."""
    for (_, text), copied in zip(EXAMPLES, ("it", "u", "al"), strict=False):
        ids = torch.tensor([tokenizer().encode(text).ids])
        piece = tokenizer().token_to_id(copied)
        with torch.inference_mode():
            chances = {
                name: load_attention_only(name)(ids)[0, -1].softmax(dim=-1)[piece].item()
                for name in TEXT_MODELS
            }
        assert chances["python-2l"] > 0.8
        assert chances["natural-2l"] < 1 / 3


def test_every_example_fits_the_model():
    for _, text in EXAMPLES:
        assert len(tokenizer().encode(text).ids) <= 128
