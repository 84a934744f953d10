"""Models and training snapshots as text for a page. `weights.js` reads it.

A model is JSON: its sizes, and its weights in half precision, in base 85. The digits are characters
that need no escape in a script, an attribute or JSON, so a page opened from disk can hold the text.

Snapshots are stored backward from the final model, each as differences from the next one. A
difference is an integer number of units. One unit is `UNIT` standard deviations of the final
weights of that matrix. Differences are taken from the weights that the reader will have rebuilt, so
errors do not accumulate: no weight is off by more than half a unit. All differences together are
compressed by zlib and written in base 85. For toy-2l this takes 536 kB (435 kB when a server
compresses it again with gzip). Rice coding, about 70 lines more, took 529 kB (429 kB); base 64
would take 572 kB (432 kB), and 1.55 MB instead of 1.46 MB for the three toys of the zoo.
"""

import base64
import json
import string
import zlib
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.smeared_keys import SmearedKeys

FORMAT = 2
UNIT = 0.055
DIGITS = "!#()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~"
# Some digits of Python's base 85 need an escape in HTML or in a template literal.
_PYTHON_DIGITS = (
    f"{string.digits}{string.ascii_uppercase}{string.ascii_lowercase}!#$%&()*+-;<=>?@^_`{{|}}~"
)
_TO_DIGITS = bytes.maketrans(_PYTHON_DIGITS.encode(), DIGITS.encode())

Differences = list[list[Int[np.ndarray, " weight"]]]
"""For each snapshot before the last, from late to early: the integers of each weight matrix."""


def exported_model(model: AttentionOnly, name: str) -> str:
    """The model as JSON for `modelFrom` in `weights.js`.

    Raises ValueError for other models than AttentionOnly and SmearedKeys, and for weights that half
    precision cannot represent.
    """
    weights = np.concatenate([weight.ravel() for weight in _weights(model).values()])
    if not np.abs(weights).max() < 65504:
        raise ValueError(
            f"{name} has a weight of size {np.abs(weights).max():.3g}, but half precision ends at "
            "65504. Scale the weights down."
        )
    half = weights.astype("<f2")
    stored = {
        "format": FORMAT,
        "name": name,
        "sizes": _sizes(model),
        "bosToken": model.config.bos_token,
        "weights": base85(half.tobytes()),
    }
    return json.dumps(stored, separators=(",", ":"))


def exported_snapshots(snapshots: dict[int, AttentionOnly], name: str) -> str:
    """Training step → model, as JSON for `snapshotsFrom` in `weights.js`.

    The last model is not included: the reader starts from the text of `exported_model`. Raises
    ValueError for fewer than two snapshots, models of different sizes, or differences too large to
    store.
    """
    spacing, differences = quantized(snapshots)
    numbers = np.concatenate([matrix for row in differences for matrix in row])
    bits = _width(numbers, name)
    stored = {
        "format": FORMAT,
        "name": name,
        "steps": sorted(snapshots),
        "spacing": spacing,
        "bits": bits,
        "differences": base85(_compressed(numbers, bits)),
    }
    return json.dumps(stored, separators=(",", ":"))


def quantized(snapshots: dict[int, AttentionOnly]) -> tuple[list[float], Differences]:
    """The unit of each weight matrix, and the differences in units, from late to early.

    Raises ValueError for fewer than two snapshots or models of different sizes.
    """
    models = [snapshots[step] for step in sorted(snapshots)]
    if len(models) < 2 or any(_sizes(model) != _sizes(models[0]) for model in models):
        raise ValueError(
            f"Got {len(models)} snapshots; expected at least two, all of the same sizes."
        )
    rebuilt = _rounded(models[-1])
    spacing = [UNIT * float(weight.std()) or 1.0 for weight in rebuilt]
    differences: Differences = []
    for model in models[-2::-1]:
        row = []
        for matrix, weight in enumerate(_weights(model).values()):
            units = np.rint((weight.ravel() - rebuilt[matrix]) / spacing[matrix]).astype(np.int64)
            rebuilt[matrix] = rebuilt[matrix] + units * spacing[matrix]
            row.append(units)
        differences.append(row)
    return spacing, differences


def base85(data: bytes) -> str:
    """Four bytes as five of the 85 characters in `DIGITS`; n < 4 bytes at the end as n + 1."""
    return base64.b85encode(data).translate(_TO_DIGITS).decode()


def _compressed(numbers: Int[np.ndarray, " weight"], bits: int) -> bytes:
    # Matches between distant differences are coincidences, and encoding them costs 9 %.
    deflate = zlib.compressobj(level=9, strategy=zlib.Z_HUFFMAN_ONLY)
    return deflate.compress(numbers.astype(f"<i{bits // 8}").tobytes()) + deflate.flush()


def _width(numbers: Int[np.ndarray, " weight"], name: str) -> int:
    """8, 16 or 32: the bits that hold every number. Raises ValueError if 32 are too few."""
    for bits in (8, 16, 32):
        if np.abs(numbers).max() < 2 ** (bits - 1):
            return bits
    raise ValueError(
        f"{name}: a weight changes by {np.abs(numbers).max():.3g} units between two snapshots; at "
        "most 2³¹ fit. Pass snapshots of one training run."
    )


def _sizes(model: AttentionOnly) -> dict[str, Any]:
    """The sizes under their JavaScript names. Raises ValueError for other kinds of models."""
    if type(model) not in (AttentionOnly, SmearedKeys):
        raise ValueError(
            f"Got a {type(model).__name__}, but the explorer runs AttentionOnly and SmearedKeys "
            "models. Pass one of them."
        )
    config = model.config
    return {
        "nLayers": config.n_layers,
        "nHeads": config.n_heads,
        "dModel": config.d_model,
        "dHead": config.d_head,
        "dVocab": config.d_vocab,
        "nCtx": config.n_ctx,
        "layerNorm": config.normalization == "LN",
        "smeared": type(model) is SmearedKeys,
    }


def _weights(model: AttentionOnly) -> dict[str, Float[np.ndarray, "..."]]:
    """Name → weight in double precision, in the order of `weightShapes` in `sizes.js`."""
    _sizes(model)
    return {name: weight.detach().double().numpy() for name, weight in model.named_parameters()}


def _rounded(model: AttentionOnly) -> list[Float[np.ndarray, " weight"]]:
    """The weights as `exported_model` stores them."""
    return [
        weight.ravel().astype(np.float16).astype(np.float64) for weight in _weights(model).values()
    ]
