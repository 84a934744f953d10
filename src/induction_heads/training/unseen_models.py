"""Models to take apart without knowing what is in them: in the zoo, for each owner, an example."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import parameter_count
from induction_heads.models.loading import load_attention_only, save_model
from induction_heads.models.planted import (
    SIZES,
    PlantedKey,
    hidden_toy,
    planted,
    planted_with_key,
)
from induction_heads.training.cards import GENERATED, Card
from induction_heads.training.recipes import RECIPES, run_recipe
from induction_heads.training.zoo_files import save_record

NAME = "unseen"

ZOO_MODELS: dict[str, dict[str, Any]] = {
    "X": {"rule": "two tokens", "gains": (4.7, 1.8), "seed": 501},
    "Y": {"rule": "Q", "gains": (5.6, -1.7), "lag": 2, "seed": 502},
    "Z": {"rule": "K", "gains": (5.1,), "shift": 9, "seed": 503},
}
"""What was planted in the models "unseen/X", "unseen/Y" and "unseen/Z" of the zoo."""

ZOO_VOCABULARY = 24
"""The size of their vocabulary. The larger one of the other hidden models would take more room."""


def zoo_model(letter: str) -> tuple[AttentionOnly, PlantedKey]:
    """A hidden model of the zoo, built again, and what was planted where.

    >>> model, key = zoo_model("X")
    >>> model.config.n_layers, model.config.n_heads
    (3, 4)
    """
    return planted_with_key(**ZOO_MODELS[letter], d_vocab=ZOO_VOCABULARY)


def build_zoo_models(out: Path | None = None) -> dict[str, Any]:
    """Build the hidden models of the zoo, write them and their card to `out`, and return a record.

    The record does not say what was planted.
    """
    models = {letter: zoo_model(letter)[0] for letter in ZOO_MODELS}
    record = {
        "name": NAME,
        "command": f"induction-heads train {NAME}",
        "models": list(models),
        "parameters": parameter_count(models["X"]),
    }
    if out:
        for letter, model in models.items():
            save_model(model, out / letter)
        save_record(record, card(record), out)
    return record


def differences_from_zoo() -> list[str]:
    """A sentence for each hidden model of the zoo whose weights are not those that are built."""
    sentences = []
    for letter in ZOO_MODELS:
        shipped, built = load_attention_only(f"{NAME}/{letter}"), zoo_model(letter)[0]
        pairs = zip(shipped.parameters(), built.parameters(), strict=True)
        if not all(torch.allclose(one, other, rtol=0.01, atol=0.01) for one, other in pairs):
            sentences.append(f"{NAME}/{letter}: other weights than those that were planted.")
    return sentences


def card(record: dict[str, Any]) -> str:
    """The card of the models, as text in Markdown. It names no head."""
    sizes = zoo_model("X")[0].config
    return Card(
        NAME,
        f"{len(record['models'])} attention-only transformers to take apart: {sizes.n_layers} "
        f"layers of {sizes.n_heads} heads, d_model {sizes.d_model}, d_head {sizes.d_head}, "
        f"d_vocab {sizes.d_vocab}, n_ctx {sizes.n_ctx}; {record['parameters']:,} parameters each, "
        "stored in half precision.",
        "None. Each has one circuit that was written by hand, other heads that attend as its heads "
        "do and write nothing that is read, and heads that attend at random.",
        GENERATED,
        "Not trained. The heads of a layer are shuffled, and all bases are turned at random.",
        f"`{record['command']}` builds them again and compares with the shipped weights.",
        known_heads="Withheld: to find them is the task.",
        limits="Written by hand. They are not evidence about trained models.",
    ).markdown()


def unseen_models(owner: str) -> dict[str, AttentionOnly]:
    """The models "A", "B" and "C" of an owner. All three have the same sizes.

    In two of them a rule was planted by hand, and the third was trained: the toy of the course from
    another seed, hidden in the same way. The rules, the heads, the order and the seed depend on the
    owner's name, without regard to upper and lower case. Training takes a few seconds. Raises
    ValueError for an empty name.
    """
    if not owner.strip():
        raise ValueError("Got an empty name. Pass your own: other names give other models.")
    digest = hashlib.sha256(owner.strip().casefold().encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:7]))

    def below(high: int) -> int:
        return int(torch.randint(high, (), generator=generator))

    seeds = [below(10**6) for _ in range(4)]
    trained = run_recipe(RECIPES["toy-2l"], seed=1 + below(10**4), progress=False).model
    gains = [_gains(below) for _ in range(2)]
    usual: dict[str, Any] = {"rule": "KQ"[below(2)], "gains": gains[0]}
    unusual: dict[str, Any] = (
        {"rule": "two tokens", "gains": (4.0 + below(10) / 10,)},
        {"rule": "distance", "gains": gains[1], "shift": below(SIZES.d_vocab)},
        {"rule": "KQ"[below(2)], "gains": gains[1], "lag": 2},
        {"rule": "K", "gains": gains[1], "shift": 1 + below(SIZES.d_vocab - 1)},
    )[below(4)]
    models = [
        planted(**usual, seed=seeds[0]),
        planted(**unusual, seed=seeds[1]),
        hidden_toy(trained, seed=seeds[2]),
    ]
    order = torch.randperm(3, generator=generator).tolist()
    return {name: models[index] for name, index in zip("ABC", order, strict=True)}


def _gains(below: Callable[[int], int]) -> tuple[float, ...]:
    """One copier, two that help each other, or two of which one works against the other."""
    strong = 4.5 + below(15) / 10
    second = (None, 1.5 + below(10) / 10, -1.3 - below(8) / 10)[below(3)]
    return (strong,) if second is None else (strong, second)


def worked_example() -> AttentionOnly:
    """One more model, with the same sizes as those of `unseen_models`."""
    return planted("K", gains=(4.2, 2.1), seed=4)
