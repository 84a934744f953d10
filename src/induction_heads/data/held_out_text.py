"""The text that the shipped text models have not been trained on, the same for every reader.

It is every twentieth file of the standard library of Python 3.11.7, on whose other files they were
trained. Another version of Python has other files, and a file held out there may be one that the
models were trained on, so the running Python's own files would not do.
`python -m induction_heads.data.held_out_text` writes the file again from a Python 3.11.7. The files
are unchanged, under the PSF License Agreement; see `held_out_source.LICENSE.txt`.
"""

import gzip
import json
import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.python_text import HELD_OUT_EVERY, standard_library_source
from induction_heads.data.tokens import bos_token, with_bos

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SOURCE = Path(__file__).with_name("held_out_source.json.gz")
LICENSE = Path(__file__).with_name("held_out_source.LICENSE.txt")

VERSION = "3.11.7"
"""The Python whose files these are."""


@cache
def held_out_files() -> dict[str, str]:
    """File name → text, sorted by name.

    >>> "argparse.py" in held_out_files(), len(held_out_files())
    (False, 28)
    """
    return json.loads(gzip.decompress(SOURCE.read_bytes()))


def held_out_stream(tokenizer: "Tokenizer") -> Int[Tensor, " stream"]:
    """All files as one stream of token ids, in the tokens of a shipped model.

    `tokenizer` puts its BOS token, if it has one, before each file.
    """
    encoded = tokenizer.encode_batch(list(held_out_files().values()))
    return torch.tensor([token for encoding in encoded for token in encoding.ids])


def library_rows(
    model: Any,
    n_pos: int = 128,
    batch: int = 32,
    seed: int = 0,
    *,
    files: slice = slice(None),
) -> Int[Tensor, "batch pos"]:
    """Rows of `n_pos` tokens from random places of the held-out files of the standard library.

    `model` is a `TransformerBridge` with a tokenizer. The files are `held_out_files`, which the
    text models of this course have not been trained on. `files` takes some of them, so that rows to
    fit something on and rows to test it on share no file. The first token of a row is the BOS token
    if the model has one. Raises ValueError for a model without a tokenizer or with a shorter
    context, and if `files` takes none.
    """
    if getattr(model, "tokenizer", None) is None:
        raise ValueError("This model has no tokenizer, so it cannot read text. Pass token ids.")
    if n_pos > model.cfg.n_ctx:
        raise ValueError(
            f"Rows of {n_pos} tokens do not fit in a context of {model.cfg.n_ctx}. Use fewer."
        )
    texts = list(held_out_files().values())[files]
    if not texts:
        raise ValueError(f"files={files} takes none of the {len(held_out_files())} files.")
    encoded = model.tokenizer(texts, add_special_tokens=False)["input_ids"]
    stream = torch.tensor([token for ids in encoded for token in ids])
    bos = bos_token(model)
    length = n_pos - (bos is not None)
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(stream) - length, (batch, 1), generator=generator)
    return with_bos(stream[starts + torch.arange(length)], bos)


def write_held_out_files() -> None:
    """Write the held-out files of the running Python. Raises RuntimeError for another version."""
    running = ".".join(map(str, sys.version_info[:3]))
    if running != VERSION:
        raise RuntimeError(f"These files are from Python {VERSION}. This is Python {running}.")
    texts = list(standard_library_source().items())[HELD_OUT_EVERY - 1 :: HELD_OUT_EVERY]
    data = json.dumps(dict(texts), ensure_ascii=False, indent=0).encode()
    SOURCE.write_bytes(gzip.compress(data, mtime=0))
    shutil.copyfile(Path(sysconfig.get_paths()["stdlib"]) / "LICENSE.txt", LICENSE)


if __name__ == "__main__":
    write_held_out_files()
