"""Models of text for a page: the weights in parts, the tokenizer, and the mean output of each head.

The page loads the head first (sizes, tokenizer, means) and then the parts, so that it can show how
much has arrived. Joined, the parts are the weights of `exported_model`.
"""

import json
from pathlib import Path
from typing import Any

from torch import Tensor

from induction_heads.data.held_out_text import library_rows
from induction_heads.explorer.export import exported_model
from induction_heads.interp.activations import visit_values
from induction_heads.models.loading import load_attention_only, load_model, zoo_folder

N_PARTS = 8
"""The number of scripts with weights. The page counts those that have arrived."""

MEAN_ROWS = 64
"""Rows of held-out text over which the output of a head is averaged."""


def exported_text_model(name: str) -> dict[tuple[str, str], str]:
    """(kind, name) → the text that `text_model.js` reads: "text-model", and "part-1" to "part-8".

    Raises ValueError for a model that the explorer cannot run, or a tokenizer that it cannot.
    """
    stored = json.loads(exported_model(load_attention_only(name), name))
    weights = stored.pop("weights")
    # Five digits are four bytes: a part must not end within such a group.
    length = -(-len(weights) // (5 * N_PARTS)) * 5
    parts = [weights[start : start + length] for start in range(0, len(weights), length)]
    head = {
        **stored,
        "nParts": len(parts),
        "tokenizer": stored_tokenizer(zoo_folder(name) / "tokenizer.json"),
        "means": mean_outputs(name),
        "meanRows": MEAN_ROWS,
    }
    return {
        ("text-model", name): json.dumps(head, separators=(",", ":")),
        **{(f"part-{i}", name): json.dumps(part) for i, part in enumerate(parts, start=1)},
    }


def stored_tokenizer(path: Path) -> dict[str, Any]:
    """A byte-level BPE tokenizer as `byte_pairs.js` reads it.

    Raises ValueError for another kind of tokenizer: the page would cut its text differently.
    """
    stored = json.loads(path.read_text(encoding="utf-8"))
    model, before = stored["model"], stored["pre_tokenizer"]
    vocabulary = model["vocab"]
    merges = [tuple(pair.split(" ") if isinstance(pair, str) else pair) for pair in model["merges"]]
    first = len(vocabulary) - len(merges)
    expected = {
        "a byte-level BPE model": model["type"] == "BPE" and before["type"] == "ByteLevel",
        "no normalizer": stored["normalizer"] is None,
        "no space put in front": before.get("add_prefix_space") is False,
        "GPT-2's rule for pieces": before.get("use_regex", True) is True,
        "ids in the order of the merges": all(
            vocabulary.get(left + right) == first + rank
            for rank, (left, right) in enumerate(merges)
        ),
        "merges for every piece": not model.get("ignore_merges"),
        "plain special tokens": not any(
            token["lstrip"] or token["rstrip"] or token["single_word"] or token["normalized"]
            for token in stored["added_tokens"]
        ),
    }
    missing = [what for what, holds in expected.items() if not holds]
    if missing:
        raise ValueError(
            f"The explorer cannot read the tokenizer in {path}: expected {missing[0]}."
        )
    return {
        "bytes": [vocabulary[letter] for letter in byte_letters()],
        "merges": [(vocabulary[left], vocabulary[right]) for left, right in merges],
        "firstMerged": first,
        "special": {token["content"]: token["id"] for token in stored["added_tokens"]},
    }


def byte_letters() -> list[str]:
    """The letter that stands for each byte in the vocabulary of a byte-level tokenizer (GPT-2)."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in shown}
    hidden = [byte for byte in range(256) if byte not in letters]
    return [
        letters[byte] if byte in letters else chr(256 + hidden.index(byte)) for byte in range(256)
    ]


def mean_outputs(name: str) -> list[list[list[float]]]:
    """`[layer, head, d_head]`: the mean z of each head over held-out text, BOS left out."""
    bridge = load_model(name)
    rows = library_rows(bridge, n_pos=bridge.cfg.n_ctx, batch=MEAN_ROWS, seed=0)
    means: dict[int, Tensor] = {}

    def keep(layer: int, values: Tensor, mixed: Tensor) -> None:
        means[layer] = mixed[:, 1:].mean(dim=(0, 1))

    visit_values(bridge, rows, keep)
    return [
        [[float(f"{x:.5g}") for x in head] for head in means[layer].tolist()]
        for layer in sorted(means)
    ]
