"""Models to take apart without knowing what is in them: three for each owner, and an example."""

import hashlib
from collections.abc import Callable
from typing import Any

import torch

from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.planted import SIZES, hidden_toy, planted
from induction_heads.training.recipes import RECIPES, run_recipe


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
    """A fourth model, with the same sizes as those of `unseen_models`."""
    return planted("K", gains=(4.2, 2.1), seed=4)
