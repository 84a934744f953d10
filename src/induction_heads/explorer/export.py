"""Models and training snapshots as text that can stand inside a page.

A model is JSON: its sizes, and its weights in half precision, four bytes in five characters. Those
characters need no escape in a script, an attribute or JSON, so a page that is opened from disk can
carry the text. `weights.js` reads it.

Snapshots are stored backward from the final model, each as differences from the one after it. A
difference is a whole number of units. The unit is `UNIT` standard deviations of the final weights
of that matrix. Differences are taken from what the reader will have rebuilt, so errors do not add
up: no weight is off by more than half a unit. The numbers are Rice-coded, about four bits each.
"""

import json
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped

from induction_heads.attention_only import AttentionOnly
from induction_heads.smeared_keys import SmearedKeys

FORMAT = 1
UNIT = 0.055
DIGITS = "!#()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_abcdefghijklmnopqrstuvwxyz{|}~"

Differences = list[list[Int[np.ndarray, " weight"]]]
"""For each snapshot before the last, from late to early: whole numbers for each weight matrix."""


def exported_model(model: AttentionOnly, name: str) -> str:
    """The model as JSON for `modelFrom` in `weights.js`.

    Raises ValueError for a model that is neither plain nor with smeared keys, and for weights that
    half precision cannot hold.
    """
    weights = np.concatenate([weight.ravel() for weight in _weights(model).values()])
    if not np.abs(weights).max() < 65504:
        raise ValueError(
            f"{name}: a weight of size {np.abs(weights).max():.3g} came in; half precision ends at "
            "65504. Scale the weights down."
        )
    half = weights.astype("<f2")
    stored = {
        "format": FORMAT, "name": name, "sizes": _sizes(model),
        "bosToken": model.config.bos_token, "weights": text_of(half.tobytes()),
    }  # fmt: skip
    return json.dumps(stored, separators=(",", ":"))


def exported_snapshots(snapshots: dict[int, AttentionOnly], name: str) -> str:
    """Training step → model, as JSON for `snapshotsFrom` in `weights.js`.

    The last model is not in it: the reader starts from the text of `exported_model`. Raises
    ValueError for fewer than two snapshots, or models of different sizes.
    """
    spacing, differences = quantized(snapshots)
    low_bits = [[_low_bits(numbers) for numbers in row] for row in differences]
    bits = [
        rice_bits(numbers, low)
        for row, lows in zip(differences, low_bits, strict=True)
        for numbers, low in zip(row, lows, strict=True)
    ]
    stored = {
        "format": FORMAT, "name": name, "steps": sorted(snapshots), "spacing": spacing,
        "lowBits": low_bits, "differences": text_of(np.packbits(np.concatenate(bits)).tobytes()),
    }  # fmt: skip
    return json.dumps(stored, separators=(",", ":"))


def quantized(snapshots: dict[int, AttentionOnly]) -> tuple[list[float], Differences]:
    """The unit of each weight matrix, and the differences in units, from late to early.

    Raises ValueError as `exported_snapshots` does.
    """
    models = [snapshots[step] for step in sorted(snapshots)]
    if len(models) < 2 or any(_sizes(model) != _sizes(models[0]) for model in models):
        raise ValueError("Two snapshots or more are needed, all of the same sizes.")
    rebuilt = _rounded(models[-1])
    spacing = [UNIT * float(weight.std()) or 1.0 for weight in rebuilt]
    differences: Differences = []
    for model in models[-2::-1]:
        row = []
        for at, weight in enumerate(_weights(model).values()):
            number = np.rint((weight.ravel() - rebuilt[at]) / spacing[at]).astype(np.int64)
            rebuilt[at] = rebuilt[at] + number * spacing[at]
            row.append(number)
        differences.append(row)
    return spacing, differences


def snapshots_as_read(snapshots: dict[int, AttentionOnly]) -> dict[int, AttentionOnly]:
    """The models that the page will have: what is lost is the error of the scheme."""
    spacing, differences = quantized(snapshots)
    steps = sorted(snapshots)
    last = snapshots[steps[-1]]
    rebuilt = _rounded(last)
    models = {steps[-1]: _with_weights(last, rebuilt)}
    for step, row in zip(steps[-2::-1], differences, strict=True):
        parts = zip(rebuilt, row, spacing, strict=True)
        rebuilt = [weight + number * unit for weight, number, unit in parts]
        models[step] = _with_weights(last, rebuilt)
    return {step: models[step] for step in steps}


def text_of(data: bytes) -> str:
    """Four bytes as five of 85 characters; the end is filled with zeros."""
    words = np.frombuffer(data + bytes(-len(data) % 4), dtype=">u4").astype(np.int64)
    digits = words[:, None] // 85 ** np.arange(4, -1, -1) % 85
    return np.frombuffer(DIGITS.encode(), dtype=np.uint8)[digits].tobytes().decode()


def rice_bits(numbers: Int[np.ndarray, " weight"], low_bits: int) -> Shaped[np.ndarray, " bits"]:
    """The bits of whole numbers: u >> low_bits ones, a zero, the low bits of u.

    u counts 0, −1, 1, −2, 2, … so that small numbers of either sign are short.
    """
    codes = _codes(numbers)
    ones = codes >> low_bits
    starts = np.cumsum(ones + 1 + low_bits) - (ones + 1 + low_bits)
    bits = np.zeros(int((ones + 1 + low_bits).sum()), dtype=np.uint8)
    within = np.arange(ones.sum()) - np.repeat(np.cumsum(ones) - ones, ones)
    bits[np.repeat(starts, ones) + within] = 1
    for bit in range(low_bits):
        bits[starts + ones + 1 + bit] = codes >> (low_bits - 1 - bit) & 1
    return bits


def _codes(numbers: np.ndarray) -> np.ndarray:
    return np.where(numbers < 0, -2 * numbers - 1, 2 * numbers)


def _low_bits(numbers: np.ndarray) -> int:
    """The number of low bits that makes the code shortest."""
    codes = _codes(numbers)
    return min(range(12), key=lambda low: int(((codes >> low) + 1 + low).sum()))


def _sizes(model: AttentionOnly) -> dict[str, Any]:
    """The sizes by their JavaScript names. Raises ValueError for another kind of model."""
    if type(model) not in (AttentionOnly, SmearedKeys):
        raise ValueError(
            f"A model of type {type(model).__name__} came in; the explorer runs AttentionOnly and "
            "SmearedKeys models."
        )
    config = model.config
    return {
        "nLayers": config.n_layers, "nHeads": config.n_heads, "dModel": config.d_model,
        "dHead": config.d_head, "dVocab": config.d_vocab, "nCtx": config.n_ctx,
        "layerNorm": config.normalization == "LN", "smeared": type(model) is SmearedKeys,
    }  # fmt: skip


def _weights(model: AttentionOnly) -> dict[str, Float[np.ndarray, "..."]]:
    """Name → weight in double precision, in the order of `weightShapes` in `sizes.js`."""
    _sizes(model)
    return {name: weight.detach().double().numpy() for name, weight in model.named_parameters()}


def _rounded(model: AttentionOnly) -> list[Float[np.ndarray, " weight"]]:
    """The weights as `exported_model` stores them."""
    return [
        weight.ravel().astype(np.float16).astype(np.float64) for weight in _weights(model).values()
    ]


def _with_weights(like: AttentionOnly, weights: list[np.ndarray]) -> AttentionOnly:
    model = type(like)(like.config)
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight.astype(np.float32)).view_as(parameter))
    return model.requires_grad_(False).eval()
