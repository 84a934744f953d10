"""The text that python-2l is trained on, as tokens."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer

from induction_heads.data.python_text import (
    BOS,
    split_streams,
    standard_library_source,
    text_rows,
    train_tokenizer,
)
from induction_heads.models.loading import load_model, zoo_folder
from induction_heads.models.tokenizers import load_tokenizer

pytestmark = pytest.mark.xdist_group("python text")  # Its tokens take 10 s in each process.


TEXTS = {
    f"{number}.py": f"def function_{number}(x):\n    return x + {number}\n" for number in range(40)
}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return train_tokenizer(list(TEXTS.values()), d_vocab=300)


def test_the_standard_library_is_here_without_its_tests():
    texts = standard_library_source()
    assert "textwrap.py" in texts
    left_out = {"test", "tests", "site-packages", "idlelib", "turtledemo", "lib2to3", "ensurepip"}
    assert not any(left_out & set(Path(name).parts) for name in texts)
    assert list(texts) == sorted(texts)


def test_the_tokenizer_reads_back_what_it_wrote(tokenizer: Tokenizer):
    ids = tokenizer.encode("for é in range(3):\n\tpass").ids
    assert ids[0] == tokenizer.token_to_id(BOS) == 0
    assert tokenizer.decode(ids[1:]) == "for é in range(3):\n\tpass"


def test_the_same_text_gives_the_same_tokenizer(tokenizer: Tokenizer):
    assert train_tokenizer(list(TEXTS.values()), d_vocab=300).to_str() == tokenizer.to_str()


def test_every_twentieth_file_is_held_out(tokenizer: Tokenizer):
    training, held_out = split_streams(TEXTS, tokenizer)
    assert (training == 0).sum() == 38
    assert (held_out == 0).sum() == 2
    assert "function_19" in tokenizer.decode(held_out.tolist())
    assert "function_19" not in tokenizer.decode(training.tolist())


def test_rows_are_pieces_of_the_stream_after_a_bos():
    stream = torch.arange(1, 1000)
    rows = text_rows(stream, 16, 5, torch.Generator().manual_seed(0))
    assert rows.shape == (5, 16)
    assert (rows[:, 0] == 0).all()
    assert (rows[:, 2:] - rows[:, 1:-1] == 1).all()


def test_the_shipped_tokenizer_is_the_one_of_the_model():
    shipped = load_tokenizer(zoo_folder("python-2l"))
    assert shipped is not None
    assert len(shipped) == load_model("python-2l").cfg.d_vocab == 1024
