"""The held-out text that comes with the package: what it is, and who is measured on it."""

import sys

import pytest
import torch

from induction_heads import load_model
from induction_heads.data import held_out_text
from induction_heads.data.held_out_text import (
    LICENSE,
    VERSION,
    held_out_files,
    held_out_stream,
    library_rows,
    write_held_out_files,
)
from induction_heads.data.python_text import standard_library_source
from induction_heads.models.loading import load_attention_only, zoo_folder
from induction_heads.models.tokenizers import load_tokenizer
from induction_heads.training.text_models import PLAIN
from induction_heads.training.text_record import held_out_losses, natural_batches

RUNNING = ".".join(map(str, sys.version_info[:3]))


def test_it_is_every_twentieth_file_of_one_python():
    texts = standard_library_source()
    if RUNNING == VERSION:
        assert held_out_files() == dict(list(texts.items())[19::20])
    else:  # Most of these files exist in the next versions too.
        assert len(held_out_files().keys() & texts.keys()) > 0.7 * len(held_out_files())
    assert "Python Software Foundation" in LICENSE.read_text(encoding="utf-8")


def test_it_is_written_again_by_that_python_only(tmp_path, monkeypatch):
    before = held_out_text.SOURCE.read_bytes()
    monkeypatch.setattr(held_out_text, "SOURCE", tmp_path / "source.json.gz")
    monkeypatch.setattr(held_out_text, "LICENSE", tmp_path / "LICENSE.txt")
    if RUNNING == VERSION:
        write_held_out_files()
        assert held_out_text.SOURCE.read_bytes()[10:] == before[10:]  # Behind the gzip header.
    else:
        with pytest.raises(RuntimeError, match=VERSION):
            write_held_out_files()


def test_the_stream_is_in_the_tokens_of_the_model():
    tokenizer = load_tokenizer(zoo_folder("natural-2l"))
    stream = held_out_stream(tokenizer.backend_tokenizer)
    files = list(held_out_files().values())
    assert (stream == 0).sum() == len(files)
    first = stream[1 : (stream == 0).nonzero()[1]]
    assert tokenizer.decode(first) == files[0]


def test_rows_of_the_library_are_from_these_files():
    model = load_model("python-2l")
    text = "".join(held_out_files().values())
    for row in library_rows(model, n_pos=40, batch=6, seed=3):
        assert model.tokenizer.decode(row[1:]).strip("\ufffd") in text


def test_a_shipped_model_is_measured_on_the_text_that_it_is_given():
    model = load_attention_only("natural-2l")
    tokenizer = load_tokenizer(zoo_folder("natural-2l")).backend_tokenizer
    held_out = held_out_stream(tokenizer)
    assert held_out_losses(model, PLAIN, held_out)["loss"] < 3
    rows = natural_batches(PLAIN, held_out)[0].tokens
    windows = held_out.unfold(0, rows.shape[1] - 1, 1)
    assert (windows == rows[0, 1:]).all(dim=1).any()
    other = held_out_losses(model, PLAIN, torch.flip(held_out, (0,)))["loss"]
    assert other > 5
