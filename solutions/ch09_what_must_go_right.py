"""Solutions of chapter 9, what must go right, with a reason for each line that needs one."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.losses import per_token_loss
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import train

if TYPE_CHECKING:
    from transformer_lens import TransformerBridge


def repeat_statistics(tokens: Int[Tensor, "batch pos"]) -> dict[str, float]:
    """One pass over the rows, with a dictionary from each token to its latest position."""
    repeated, distances = 0, Counter()
    successors: dict[int, Counter] = defaultdict(Counter)  # Over all rows: what follows a token.
    n_next = tokens[:, 1:].numel()
    for row in tokens.tolist():
        latest: dict[int, int] = {}  # A new row starts with nothing: induction is within a row.
        for position, token in enumerate(row):
            repeated += token in latest
            if position + 1 < len(row):
                following = row[position + 1]
                successors[token][following] += 1
                # The copy counts if the same token came after it.
                if token in latest and row[latest[token] + 1] == following:
                    distances[position - latest[token]] += 1
            latest[token] = position
    usable = distances.total()
    by_heart = sum(max(counts.values()) for counts in successors.values())
    return {
        "repeated": repeated / tokens.numel(),
        "usable": usable / n_next,
        "one_distance": max(distances.values()) / usable if usable else 0.0,
        "by_heart": by_heart / n_next,
    }


def chance_repeats_formula() -> str:
    """Each id is missing from the row with chance (1 − 1/V)^n, so V (1 − (1 − 1/V)^n) ids occur.

    Each of them occurs once for the first time. All other tokens occurred earlier.
    """
    return "1 - V * (1 - (1 - 1/V)**n) / n"


def intact_repeats_formula() -> str:
    """A and B of the pair and A and B of the copy: four tokens must stay."""
    return "(1 - q)**4"


def emergence_time_formula() -> str:
    """β = c g t / N², so α grows as c² g² t / N⁴ and is (c g t / N²)² / 2: 1 at t = √2 N² / (c g).

    Each of the two gradients is diluted by N²: 1/N for the attention that the right label gets, and
    1/N for the mark's share of what layer 0 writes.
    """
    return "sqrt(2) * N**2 / (c * g)"


def clamp_patterns_during_training(
    patterns: dict[tuple[int, int], Float[Tensor, "query key"]], seed: int = 0, steps: int = 30
) -> Float[Tensor, " step"]:
    """Replace each layer's `pattern` with a function, then train as usual."""
    recipe = RECIPES["toy-2l"]
    model = new_model(recipe, seed)

    def held(layer: int, learned: Any, x: Tensor) -> Tensor:
        pattern = learned(x).clone()  # A copy: autograd needs the softmax as it was.
        for (at, head), wanted in patterns.items():
            if at == layer:
                pattern[:, head] = wanted  # The same for every row of the batch.
        return pattern

    for number, layer in enumerate(model.layers):
        # partial, not a lambda: each layer must keep its own number.
        layer.pattern = partial(held, number, layer.pattern)  # type: ignore[assignment]
    settings = replace(recipe.settings, steps=steps, decay=0.0)
    run = train(model, recipe.sample, settings, seed=seed, progress=False)
    return torch.tensor(run.losses)


def joint_ablation_gap(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"], heads: Sequence[tuple[int, int]]
) -> float:
    """Every rise is measured against the same clean loss, and it must be subtracted each time."""

    def loss(silent: Sequence[tuple[int, int]]) -> float:
        def zero(z: Tensor, hook: Any, head: int) -> Tensor:
            changed = z.clone()
            changed[:, :, head] = 0
            return changed

        hooks: list[tuple[str, Any]] = [
            (f"blocks.{layer}.attn.hook_z", partial(zero, head=head)) for layer, head in silent
        ]
        logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
        return per_token_loss(logits, tokens).mean().item()

    clean = loss([])
    alone = sum(loss([head]) - clean for head in heads)
    return loss(list(heads)) - clean - alone


def will_form(tokens: Int[Tensor, "batch pos"]) -> bool:
    """Induction must pay off, and nothing simpler may pay off as much."""
    found = repeat_statistics(tokens)
    pays = found["usable"] >= 0.32  # Between the kinds of the page that form and those that do not.
    # With one distance only, a head that looks a fixed number of places back is enough.
    varied = found["one_distance"] <= 0.5
    # If the same token follows everywhere, the direct path learns it without any context.
    needs_context = found["by_heart"] < found["usable"]
    return pays and varied and needs_context
