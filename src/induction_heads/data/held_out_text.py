"""The text that the shipped text models have not been trained on, the same for every reader.

It is every twentieth file of the standard library of Python 3.11.7, on whose other files they were
trained. In another Python these files differ, and a file that is held out there was trained on
here, so the running Python's own files would not do. `python -m induction_heads.data.held_out_text`
writes the file again from a Python 3.11.7. The text is under the PSF License Agreement; see
`held_out_source.LICENSE.txt`.
"""

import gzip
import json
import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SOURCE = Path(__file__).with_name("held_out_source.json.gz")
LICENSE = Path(__file__).with_name("held_out_source.LICENSE.txt")

VERSION = "3.11.7"
"""The Python whose files these are."""

EVERY = 20
"""Of the files in sorted order, every twentieth is held out."""


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


def write_held_out_files() -> None:
    """Write the held-out files of the running Python. Raises RuntimeError for another version."""
    from induction_heads.data.python_text import standard_library_source

    running = ".".join(map(str, sys.version_info[:3]))
    if running != VERSION:
        raise RuntimeError(f"These files are from Python {VERSION}. This is Python {running}.")
    texts = list(standard_library_source().items())[EVERY - 1 :: EVERY]
    data = json.dumps(dict(texts), ensure_ascii=False, indent=0).encode()
    SOURCE.write_bytes(gzip.compress(data, mtime=0))
    shutil.copyfile(Path(sysconfig.get_paths()["stdlib"]) / "LICENSE.txt", LICENSE)


if __name__ == "__main__":
    write_held_out_files()
