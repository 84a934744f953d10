"""Real text that comes with every Python: the source of its standard library, as tokens."""

import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.token_ranks import count_tokens
from induction_heads.data.tokens import tiled_blocks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BOS = "<bos>"
"""The token before every sequence. Its id is 0."""

_LEFT_OUT = {
    "site-packages",
    "test",
    "tests",
    "idle_test",
    "idlelib",
    "lib2to3",
    "turtledemo",
    "ensurepip",
    "pydoc_data",
    "__pycache__",
}


HELD_OUT_EVERY = 20
"""Of the files in sorted order, every twentieth is held out."""


def standard_library_source() -> dict[str, str]:
    """File name → text, for the modules of the running Python's standard library, sorted by name.

    Without tests, IDLE, demos and installed packages. About 10 MB in Python 3.11. Raises
    FileNotFoundError if this Python has no source files.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = [
        path
        for path in sorted(root.rglob("*.py"))
        if not _LEFT_OUT & set(path.relative_to(root).parts)
    ]
    texts = {str(p.relative_to(root)): p.read_text("utf-8", errors="ignore") for p in paths}
    if not texts:
        raise FileNotFoundError(
            "This Python lacks the source of its standard library. Use a Python that has it."
        )
    return texts


def train_tokenizer(texts: list[str], d_vocab: int = 1024) -> "Tokenizer":
    """A byte-level BPE tokenizer (Sennrich et al. 2016) trained on `texts`, the same every time."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=d_vocab,
        special_tokens=[BOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(  # type: ignore[assignment]
        single=f"{BOS} $A", special_tokens=[(BOS, 0)]
    )
    return tokenizer


def split_streams(
    texts: dict[str, str], tokenizer: "Tokenizer"
) -> tuple[Int[Tensor, " stream"], Int[Tensor, " held_out"]]:
    """All files as two streams of token ids, for training and held out, with a BOS per file.

    Every twentieth file in the sorted order is held out.
    """
    encoded = tokenizer.encode_batch(list(texts.values()))
    streams: tuple[list[int], list[int]] = ([], [])
    for number, encoding in enumerate(encoded):
        streams[number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1].extend(encoding.ids)
    return torch.tensor(streams[0]), torch.tensor(streams[1])


def python_token_counts(d_vocab: int = 1024) -> list[int]:
    """How often each token occurs in the training files, without the BOS token of each file."""
    stream = python_streams(d_vocab)[0]
    return count_tokens(stream[stream != 0].tolist(), d_vocab)


def text_rows(
    stream: Int[Tensor, " stream"],
    n_pos: int,
    batch: int,
    generator: torch.Generator,
    *,
    bos_token: int | None = 0,
) -> Int[Tensor, "batch pos"]:
    """Rows from random places of the stream; the BOS token, if any, replaces the first token."""
    starts = torch.randint(len(stream) - n_pos, (batch, 1), generator=generator)
    rows = stream[starts + torch.arange(n_pos)]
    if bos_token is not None:
        rows[:, 0] = bos_token
    return rows


@cache
def python_streams(d_vocab: int = 1024) -> "tuple[Tensor, Tensor, Tokenizer]":
    """The standard library of this Python as two streams, and the tokenizer trained on it."""
    texts = standard_library_source()
    tokenizer = train_tokenizer(list(texts.values()), d_vocab)
    return *split_streams(texts, tokenizer), tokenizer


def partly_tiled_rows(
    stream: Int[Tensor, " stream"],
    n_pos: int,
    batch: int,
    generator: torch.Generator,
    *,
    tiled: int,
    shuffled: int = 0,
    bos_token: int | None = 0,
) -> Int[Tensor, "batch pos"]:
    """`text_rows`, but in the first `tiled` rows passages of the text appear three times.

    A passage has 8 tokens to half a row. In the first `shuffled` of these rows the tokens of the
    text are in random order, so that only the repeat helps to predict them.
    """
    rows = text_rows(stream, n_pos, batch, generator, bos_token=bos_token)
    if tiled:
        pieces = rows[:tiled, int(bos_token is not None) :]
        n_text, periods = pieces.shape[1], (8, n_pos // 2)
        order = torch.rand(shuffled, n_text, generator=generator).argsort(dim=1)
        pieces[:shuffled] = pieces[:shuffled].gather(1, order)
        pieces[:] = tiled_blocks(pieces, n_text, generator, periods=periods, copies=3)
    return rows
