"""Real text that every Python has: the source of its standard library, as tokens."""

import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.tokens import tiled_blocks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BOS = "<bos>"
"""The token before every sequence. Its id is 0."""

_LEFT_OUT = {"site-packages", "test", "tests", "idle_test", "idlelib", "lib2to3", "turtledemo",
             "ensurepip", "pydoc_data", "__pycache__"}  # fmt: skip


def standard_library_source() -> dict[str, str]:
    """File name → text, for the modules of the running Python's standard library, sorted by name.

    Tests, IDLE, demos and installed packages are left out. About 10 MB in Python 3.11. Raises
    FileNotFoundError if this Python came without its source.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    files = (path for path in sorted(root.rglob("*.py")))
    kept = [path for path in files if not _LEFT_OUT & set(path.relative_to(root).parts)]
    texts = {str(p.relative_to(root)): p.read_text("utf-8", errors="ignore") for p in kept}
    if not texts:
        raise FileNotFoundError(
            "This Python came without the source of its standard library. Use a Python that has it."
        )
    return texts


def train_tokenizer(texts: list[str], d_vocab: int = 1024) -> "Tokenizer":
    """A byte-level BPE tokenizer trained on `texts` (Sennrich et al. 2016), the same every time."""
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
    texts: dict[str, str], tokenizer: "Tokenizer", held_out_every: int = 20
) -> tuple[Int[Tensor, " pos"], Int[Tensor, " pos"]]:
    """All files as two streams of token ids, for training and held out, a BOS before each file.

    Every twentieth file in the sorted order is held out.
    """
    encoded = tokenizer.encode_batch(list(texts.values()))
    streams: tuple[list[int], list[int]] = ([], [])
    for number, encoding in enumerate(encoded):
        streams[number % held_out_every == held_out_every - 1].extend(encoding.ids)
    return torch.tensor(streams[0]), torch.tensor(streams[1])


def text_rows(
    stream: Int[Tensor, " pos"],
    n_pos: int,
    batch: int,
    generator: torch.Generator,
    *,
    bos_token: int | None = 0,
) -> Int[Tensor, "batch pos"]:
    """Rows cut from random places of the stream, each with the BOS token, if any, as its first."""
    starts = torch.randint(len(stream) - n_pos, (batch, 1), generator=generator)
    rows = stream[starts + torch.arange(n_pos)]
    if bos_token is not None:
        rows[:, 0] = bos_token
    return rows


@cache
def python_streams(d_vocab: int = 1024) -> "tuple[Tensor, Tensor, Tokenizer]":
    """The running Python's standard library as two streams, and the tokenizer trained on it."""
    texts = standard_library_source()
    tokenizer = train_tokenizer(list(texts.values()), d_vocab)
    return *split_streams(texts, tokenizer), tokenizer


def partly_tiled_rows(
    stream: Int[Tensor, " pos"],
    n_pos: int,
    batch: int,
    generator: torch.Generator,
    *,
    tiled: int,
    shuffled: int = 0,
    bos_token: int | None = 0,
) -> Int[Tensor, "batch pos"]:
    """`text_rows`, but in the first `tiled` rows pieces of the text stand three times.

    A piece has 8 tokens to half a row. In the first `shuffled` of these rows the tokens of the
    text come in random order, so that nothing but the repeat helps.
    """
    rows = text_rows(stream, n_pos, batch, generator, bos_token=bos_token)
    if tiled:
        pieces = rows[:tiled, int(bos_token is not None) :]
        n_text, periods = pieces.shape[1], (8, n_pos // 2)
        order = torch.rand(shuffled, n_text, generator=generator).argsort(dim=1)
        pieces[:shuffled] = pieces[:shuffled].gather(1, order)
        pieces[:] = tiled_blocks(pieces, n_text, generator, periods=periods, copies=3)
    return rows
