"""Parts of a long analysis that are kept on disk, so that a run that was killed can continue."""

import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from induction_heads.files import digest, write_atomically

Part = dict[str, Tensor]

Once = Callable[[str, Callable[[], Part]], Part]
"""Takes the name of a part and a function that computes it; returns the part."""


def computed(name: str, compute: Callable[[], Part]) -> Part:
    """The part, computed now: nothing is kept."""
    return compute()


class KeptParts:
    """The parts of one analysis in a folder. Called with a name, it reads the part or computes it.

    `settings` is plain data on which every part depends: parts of other settings are not read. A
    file that a kill left unfinished is computed again.
    """

    def __init__(self, folder: Path, settings: object):
        self.folder = folder / f"unfinished-{digest(settings)[:16]}"
        self.n_read = 0

    def __call__(self, name: str, compute: Callable[[], Part]) -> Part:
        """The part of this name."""
        path = self.folder / f"{name.replace(' ', '-')}.safetensors"
        try:
            part = load_file(path)
            self.n_read += 1
            return part
        except (OSError, SafetensorError):
            part = {key: values.contiguous().cpu() for key, values in compute().items()}
        write_atomically(path, save(part))
        return part

    def remove(self) -> None:
        """Remove the parts: the analysis is finished."""
        shutil.rmtree(self.folder, ignore_errors=True)
