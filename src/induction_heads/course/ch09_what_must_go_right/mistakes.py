"""Known mistakes of chapter 9, each with its hint."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.course.plain_forward import forward, losses
from induction_heads.models.attention_only import AttentionLayer
from induction_heads.models.interface import HookedModel
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import train

# repeat_statistics


def counted(
    tokens: Tensor,
    *,
    within: bool = True,
    latest: bool = True,
    queries: bool = False,
    shift: int = 1,
    pooled: bool = True,
) -> dict[str, float]:
    """The four shares; each option changes one step of the definition."""
    rows = tokens.tolist()
    repeated, hits, asked, seen = 0, Counter(), 0, set()
    pairs: list[Counter] = []
    for row in rows:
        seen = set() if within else seen
        pairs.append(Counter(pairwise(row)))
        for position, token in enumerate(row):
            earlier = [key for key in range(position) if row[key] == token]
            repeated += token in seen if not within else bool(earlier)
            seen.add(token)
            if position + 1 == len(row):
                continue
            asked += bool(earlier) or not queries
            if earlier:
                key = earlier[-1 if latest else 0]
                followed = row[key + shift] if key + shift <= position else None
                hits[position - key] += followed == row[position + 1]
    usable = sum(hits.values())
    n_next = len(rows) * (len(rows[0]) - 1)
    tables = [sum(pairs, Counter())] if pooled else pairs
    best: list[dict[int, int]] = []
    for table in tables:
        best.append({})
        for (first, _), count in table.items():
            best[-1][first] = max(best[-1].get(first, 0), count)
    return {
        "repeated": repeated / tokens.numel(),
        "usable": usable / asked if asked else 0.0,
        "one_distance": max(hits.values()) / usable if usable else 0.0,
        "by_heart": sum(sum(table.values()) for table in best) / n_next,
    }


def _with_all_repeats(tokens):
    """The distances of all repeats, usable or not."""
    shares, distances = counted(tokens), Counter()
    for row in tokens.tolist():
        for position, token in enumerate(row[:-1]):
            earlier = [key for key in range(position) if row[key] == token]
            distances.update([position - earlier[-1]] if earlier else [])
    share = max(distances.values()) / distances.total() if distances else 0.0
    return shares | {"one_distance": share}


def _as_numbers(tokens):
    """All but the share of one distance as numbers of tokens."""
    shares, n_next = counted(tokens), len(tokens) * (tokens.shape[1] - 1)
    sizes = {"repeated": tokens.numel(), "usable": n_next, "by_heart": n_next}
    return shares | {name: round(shares[name] * size) for name, size in sizes.items()}


STATISTICS_MISTAKES = (
    Mistake(
        "tokens of other rows count as earlier",
        lambda tokens: counted(tokens, within=False),
        "A model sees one row at a time. Where does each row start afresh?",
    ),
    Mistake(
        "the first copy is used, not the latest",
        lambda tokens: counted(tokens, latest=False),
        "A token may have occurred twice before. Which of the two does the definition use?",
    ),
    Mistake(
        "usable is a share of the repeated tokens only",
        lambda tokens: counted(tokens, queries=True),
        "In your version a row with one repeat in a hundred tokens may score 1. A share of what "
        "does the definition ask for?",
    ),
    Mistake(
        "the token itself is predicted, not its follower",
        lambda tokens: counted(tokens, shift=0),
        "After A B … A, which token does an induction head predict: A or B?",
    ),
    Mistake(
        "all distances count, not those of the usable ones",
        _with_all_repeats,
        "A repeat with a different next token tells a head nothing. Is it in your count?",
    ),
    Mistake(
        "each row has its own table of successors",
        lambda tokens: counted(tokens, pooled=False),
        "What can be learned by heart is the same in every row. Over which rows do you count "
        "pairs?",
    ),
    Mistake(
        "numbers of tokens, not shares",
        _as_numbers,
        "Twice as many rows double your numbers. What should each of them be divided by?",
    ),
)


# clamp_patterns_during_training


def clamped(change: Callable[..., Tensor], *, seeded: bool = True, late: bool = False):
    """Training in which `change(free, held, layer, step)` replaces the patterns of a layer.

    `free` [batch head query key] is what the layer computes, `held` maps (layer, head) to patterns.
    """

    def answer(patterns, seed=0, steps=30):
        recipe = RECIPES["toy-2l"]
        model = new_model(recipe, seed if seeded else 0)

        class Held(AttentionLayer):
            number, calls = 0, 0

            def pattern(self, x):
                self.calls += 1
                free = AttentionLayer.pattern(self, x)
                return change(free, patterns, self.number, self.calls)

        for number, layer in enumerate(model.layers):
            layer.__class__ = Held
            layer.number = number  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        settings = replace(recipe.settings, steps=steps + late, decay=0.0)
        run = train(model, recipe.sample, settings, seed=seed, progress=False)
        return torch.tensor(run.losses[late:])

    return answer


def put_in(
    free: Tensor, held: dict, layer: int, pick: Callable[..., bool], wanted=lambda p, old: p
) -> Tensor:
    """The patterns with `wanted` in every head for which `pick(layer, head, at, one)` holds."""
    heads = list(free.unbind(dim=1))
    for (at, one), pattern in held.items():
        for head in range(len(heads)):
            if pick(layer, head, at, one):
                heads[head] = wanted(pattern, heads[head]).expand_as(heads[head])
    return torch.stack(heads, dim=1)


def _right(layer, head, at, one):
    return (layer, head) == (at, one)


def _names_looked_up_late(patterns, seed=0, steps=30):
    """A function made in a loop finds the values that its names have when the loop is over."""
    recipe = RECIPES["toy-2l"]
    model: Any = new_model(recipe, seed)
    for (layer, head), wanted in patterns.items():
        free = model.layers[layer].pattern

        def held(x):
            pattern = free(x).clone()  # noqa: B023
            pattern[:, head] = wanted  # noqa: B023
            return pattern

        model.layers[layer].pattern = held
    settings = replace(recipe.settings, steps=steps, decay=0.0)
    return torch.tensor(train(model, recipe.sample, settings, seed=seed, progress=False).losses)


LAST_LAYER = RECIPES["toy-2l"].config.n_layers - 1


CLAMP_MISTAKES = (
    Mistake(
        "functions created in a loop share variables",
        _names_looked_up_late,
        "One clamped head works, two do not. A function created in a loop looks up its variables "
        "when it is called: which layer's values does it find then?",
    ),
    Mistake(
        "nothing is held",
        clamped(lambda free, held, layer, step: free),
        "These are the losses of an ordinary run. Is your function ever called?",
    ),
    Mistake(
        "all heads of the layer are held",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, lambda a, b, at, one: a == at)),
        "`patterns` names single heads. What happens to the other heads of the layer in your "
        "version?",
    ),
    Mistake(
        "the head is held in every layer",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, lambda a, b, at, one: b == one)),
        "A key of `patterns` is (layer, head). Which of the two numbers is not used?",
    ),
    Mistake(
        "layer and head are swapped",
        clamped(
            lambda f, h, layer, s: put_in(f, h, layer, lambda a, b, at, one: (b, a) == (at, one))
        ),
        "A key of `patterns` is (layer, head), in this order. In which order do you unpack it?",
    ),
    Mistake(
        "the pattern is multiplied in, not replaced",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, _right, lambda p, old: p * old)),
        "Sum a row of the head's pattern. Has the head stopped learning where to look?",
    ),
    Mistake(
        "held at the first step only",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, _right) if s == 1 else f),
        "The first loss is right. Does the next step still call your function?",
    ),
    Mistake(
        "the losses after each update, not before",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, _right), late=True),
        "The first loss should be that of the untrained model. Is it?",
    ),
    Mistake(
        "the weights do not depend on the seed",
        clamped(lambda f, h, layer, s: put_in(f, h, layer, _right), seeded=False),
        "In two runs with different seeds, what should differ?",
    ),
    Mistake(
        "functions created in a loop share the number of the layer",
        clamped(lambda f, h, layer, s: put_in(f, h, LAST_LAYER, _right)),
        "The patterns of the last layer are held in all layers. A function created in a loop "
        "looks up its variables when it is called: which layer's number does it find then?",
    ),
)


# joint_ablation_gap


def loss_without(model: HookedModel, tokens: Tensor, heads: Any) -> float:
    """Mean loss with these heads silent, from the weights."""
    silent = {tuple(head) for head in heads}
    logits = forward(model, tokens, silent=lambda a, b: (a, b) in silent)[0]
    return losses(logits, tokens).mean().item()


def gap_by(
    finish: Callable[[float, float, list[float]], float],
    joint: Callable[[Any], Any] = lambda heads: heads,
):
    """A gap from the clean loss, the loss without all heads and the losses without each.

    `joint(heads)` are the heads that are silent when all should be.
    """

    def answer(model, tokens, heads):
        alone = [loss_without(model, tokens, [head]) for head in heads]
        together = loss_without(model, tokens, joint(heads))
        return finish(loss_without(model, tokens, []), together, alone)

    return answer


def _gap(clean, joint, alone):
    return joint - clean - sum(each - clean for each in alone)


def _shared_everywhere(model, tokens, heads):
    """All hooks are made once, and each silences the last head's number in its own layer."""
    same = [(layer, heads[-1][1]) for layer, _ in heads]
    alone = [loss_without(model, tokens, [head]) for head in same]
    return _gap(loss_without(model, tokens, []), loss_without(model, tokens, same), alone)


GAP_MISTAKES = (
    Mistake(
        "functions created in a loop share variables",
        gap_by(_gap, lambda heads: [(layer, heads[-1][1]) for layer, _ in heads]),
        "Each rise alone is right. A function created in a loop looks up its variables when it is "
        "called: which head do all of your hooks silence?",
    ),
    Mistake(
        "only the last head is silenced",
        gap_by(_gap, lambda heads: heads[-1:]),
        "How many hooks are in the forward pass that should be without all of the heads?",
    ),
    Mistake(
        "the whole layers are silenced",
        gap_by(_gap, lambda heads: [(layer, head) for layer, _ in heads for head in range(8)]),
        "The layers have other heads as well. Do they still write when yours are silent?",
    ),
    Mistake(
        "the joint rise alone",
        gap_by(lambda clean, joint, alone: joint - clean),
        "How much of that would removing each head alone have cost?",
    ),
    Mistake(
        "the sign is reversed",
        gap_by(lambda clean, joint, alone: sum(a - clean for a in alone) - (joint - clean)),
        "Heads that cover for each other should give a number above 0. Which rise is larger then?",
    ),
    Mistake(
        "losses are compared, not rises",
        gap_by(lambda clean, joint, alone: joint - sum(alone)),
        "A rise is a difference from the clean loss. How often do you subtract it?",
    ),
    Mistake(
        "the mean of the single rises is subtracted, not their sum",
        gap_by(lambda clean, joint, alone: joint - sum(alone) / len(alone)),
        "If the heads had nothing to do with each other, what would removing all of them cost?",
    ),
    Mistake(
        "the largest single rise is subtracted",
        gap_by(lambda clean, joint, alone: joint - max(alone)),
        "If they were unrelated, would silencing both cost only as much as the costlier one?",
    ),
    Mistake(
        "a ratio, not a difference",
        gap_by(lambda c, joint, alone: (joint - c) / sum(a - c for a in alone)),
        "What is your number if the heads are independent? Which unit does the exercise ask for?",
    ),
    Mistake(
        "functions created in a loop share variables, also where heads are silenced alone",
        _shared_everywhere,
        "Two heads of one layer have the same rise alone. A function created in a loop looks up "
        "its variables when it is called: which head does it find then?",
    ),
)


# will_form


@lru_cache(maxsize=64)
def _shares(rows: tuple[tuple[int, ...], ...]) -> dict[str, float]:
    """The four shares, which all rules read, counted once."""
    return counted(torch.tensor(rows))


def rule(holds: Callable[[dict[str, float]], bool]) -> Callable[[Tensor], bool]:
    """A prediction from the four shares."""
    return lambda tokens: bool(holds(_shares(tuple(map(tuple, tokens.tolist())))))


FORM_MISTAKES = (
    Mistake(
        "every kind forms",
        lambda tokens: True,
        "What would a model gain from induction where rows never repeat in order?",
    ),
    Mistake(
        "no kind forms", lambda tokens: False, "`toy-2l` formed. What was special about its rows?"
    ),
    Mistake(
        "repeated tokens are enough",
        rule(lambda shares: shares["repeated"] > 0.5),
        "A row may consist of four tokens in any order. What would the rule of an induction head "
        "predict there?",
    ),
    Mistake(
        "the induction rule need only be right often",
        rule(lambda shares: shares["usable"] > 0.3),
        "It is often right in some kinds that do not form. What else could be right there, "
        "without looking at tokens?",
    ),
    Mistake(
        "what is known by heart is not checked",
        rule(lambda shares: shares["usable"] > 0.3 and shares["one_distance"] < 0.5),
        "In one of these kinds the same token follows in every row. Does a model need the "
        "context to know that?",
    ),
    Mistake(
        "a single distance is not checked",
        rule(lambda shares: shares["usable"] > 0.3 and shares["by_heart"] < shares["usable"]),
        "In one of these kinds the copy is always the same distance back. Which head of a single "
        "layer can find it?",
    ),
    Mistake(
        "usable as a share of the repeated ones",
        rule(
            lambda shares: (
                shares["usable"] > 0.3 * shares["repeated"]
                and shares["one_distance"] < 0.5
                and shares["by_heart"] < shares["usable"]
            )
        ),
        "If a rule is nearly always right but seldom applies, is it learned within 400 steps?",
    ),
    Mistake(
        "what is known by heart counts in favor",
        rule(lambda shares: shares["by_heart"] > 0.3),
        "What follows a token in all rows can be stored in the weights. Is that learning from the "
        "context?",
    ),
)
