"""Known mistakes of chapter 9 with their hints, and other correct implementations."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from induction_heads.attention_only import AttentionLayer
from induction_heads.checks.answers.ch07_ablation import forward, hook_name, losses
from induction_heads.checks.exercise import Mistake
from induction_heads.recipes import RECIPES, new_model
from induction_heads.training import train

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
    """The four shares; the options turn single steps of the definition into misreadings."""
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
    found, distances = counted(tokens), Counter()
    for row in tokens.tolist():
        for position, token in enumerate(row[:-1]):
            earlier = [key for key in range(position) if row[key] == token]
            distances.update([position - earlier[-1]] if earlier else [])
    share = max(distances.values()) / distances.total() if distances else 0.0
    return found | {"one_distance": share}


def _by_tensors(tokens):
    """The latest copy as the largest position among equal tokens before."""
    batch, n_pos = tokens.shape
    equal = (tokens.unsqueeze(2) == tokens.unsqueeze(1)) & torch.ones(n_pos, n_pos).tril(-1).bool()
    ranks = torch.arange(1, n_pos + 1)
    latest = (equal * ranks).max(dim=2).values[:, :-1]  # 0: there is none.
    guess = torch.cat([tokens, torch.full((batch, 1), -1)], dim=1).gather(1, latest)
    right = (guess == tokens[:, 1:]) & (latest > 0)
    distances = (ranks[:-1] - latest)[right]
    size = int(tokens.max()) + 1
    table = torch.zeros(size, size)
    for a, b in zip(tokens[:, :-1].flatten(), tokens[:, 1:].flatten(), strict=True):
        table[a, b] += 1
    total = len(distances)
    return {
        "repeated": equal.any(dim=2).double().mean().item(),
        "usable": right.double().mean().item(),
        "one_distance": (distances.mode().values == distances).sum().item() / total if total else 0,
        "by_heart": (table.max(dim=1).values.sum() / table.sum()).item(),
    }


def _floats(answer: Callable[..., dict]) -> Callable[..., dict]:
    return lambda tokens: {name: float(value) for name, value in answer(tokens).items()}


STATISTICS_MISTAKES = (
    Mistake("tokens of other rows count as earlier", lambda tokens: counted(tokens, within=False),
            "A model sees one row at a time. Where does each row start afresh?"),
    Mistake("the first copy is used, not the latest", lambda tokens: counted(tokens, latest=False),
            "A token may have stood twice before. Which of the two does the definition take?"),
    Mistake("usable is a share of the repeated tokens only",
            lambda tokens: counted(tokens, queries=True),
            "Your rows with one repeat in a hundred tokens may score 1. A share of what is asked?"),
    Mistake("the token itself is predicted, not its follower",
            lambda tokens: counted(tokens, shift=0),
            "After A B … A, which token does an induction head predict: A or B?"),
    Mistake("all distances count, not those of the usable ones", _with_all_repeats,
            "A repeat with another follower tells a head nothing. Is it in your count?"),
    Mistake("each row has its own table of successors",
            lambda tokens: counted(tokens, pooled=False),
            "What is known by heart is the same in every row. Over what do you count pairs?"),
)  # fmt: skip
STATISTICS_ALSO_RIGHT = (_floats(_by_tensors), counted)


# The two formulas

CHANCE_MISTAKES = (
    Mistake("the chance for the last token, not the mean over the row",
            lambda: "1 - (1 - 1/V)**(n - 1)",
            "The first token of a row repeats nothing. For which tokens is your answer?"),
    Mistake("the chance that anything repeats at all", lambda: "1 - exp(-n * (n - 1) / (2*V))",
            "For long rows yours is nearly 1. Is every token of such a row a repeat?"),
    Mistake("each earlier token adds 1/V", lambda: "(n - 1) / (2*V)",
            "Try n = 1000 and V = 10: can a share be that large? What do two equal earlier tokens "
            "add?"),
    Mistake("the share of different ids", lambda: "V / n * (1 - (1 - 1/V)**n)",
            "For n = 1 yours is 1. How many tokens of a row of one stood earlier?"),
    Mistake("the ids that do not occur", lambda: "(1 - 1/V)**n",
            "That is the share of ids that the row lacks. The question is about its tokens."),
)  # fmt: skip
CHANCE_ALSO_RIGHT = (
    lambda: "(n - V + V * (1 - 1/V)**n) / n",
    lambda: "1 - V/n + V/n * exp(n * log((V - 1) / V))",
)

INTACT_MISTAKES = (
    Mistake("one token must stay", lambda: "1 - q",
            "How many tokens does the pair have, and how many its copy?"),
    Mistake("only the pair must stay", lambda: "(1 - q)**2",
            "A head finds B through the earlier A. What if that one is lost?"),
    Mistake("three tokens must stay", lambda: "(1 - q)**3",
            "Count again: A and B of the first copy, A and B of the second. Is the last B free?"),
    Mistake("the chances of loss are added", lambda: "1 - 4*q",
            "Try q = 0.5: can a chance be below zero?"),
    Mistake("all four must be lost", lambda: "1 - q**4",
            "One lost token is enough to spoil the repeat. How many does yours allow?"),
)  # fmt: skip
INTACT_ALSO_RIGHT = (lambda: "((1 - q)**2)**2", lambda: "1 - 4*q + 6*q**2 - 4*q**3 + q**4")


# clamp_patterns_during_training


def clamped(change: Callable[..., Tensor], *, seeded: bool = True, late: bool = False):
    """Training in which `change(free, held, layer, step)` stands for the patterns of a layer.

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


def _by_mask(free, held, layer, step):
    """A sum of what is free and what is held, each times a mask of heads."""
    mask, wanted = torch.zeros(free.shape[1], 1, 1), torch.zeros(free.shape[1:])
    for (at, head), pattern in held.items():
        if at == layer:
            mask[head], wanted[head] = 1, pattern
    return free * (1 - mask) + wanted * mask


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


CLAMP_MISTAKES = (
    Mistake("functions made in a loop share their names", _names_looked_up_late,
            "One held head comes out right, two do not. A function made in a loop looks its names "
            "up when it is called: which layer's values does it find then?"),
    Mistake("nothing is held", clamped(lambda free, held, layer, step: free),
            "These are the losses of an ordinary run. Is your function called at all?"),
    Mistake("all heads of the layer are held",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, lambda a, b, at, one: a == at)),
            "`patterns` names single heads. What do their neighbors do in yours?"),
    Mistake("the head is held in every layer",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, lambda a, b, at, one: b == one)),
            "A key of `patterns` is (layer, head). Which of the two numbers is not used?"),
    Mistake("layer and head are exchanged",
            clamped(lambda f, h, layer, s: put_in(f, h, layer,
                                                  lambda a, b, at, one: (b, a) == (at, one))),
            "A key of `patterns` is (layer, head), in this order. In which order do you read it?"),
    Mistake("the pattern is multiplied in, not put in place",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, _right, lambda p, old: p * old)),
            "Sum a row of the pattern that the head has now. Did it stop learning where to look?"),
    Mistake("held at the first step only",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, _right) if s == 1 else f),
            "The first loss is right. Does the next step still call your function?"),
    Mistake("the losses after each update, not before",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, _right), late=True),
            "The first loss should be that of the untrained model. Is it?"),
    Mistake("the weights do not depend on the seed",
            clamped(lambda f, h, layer, s: put_in(f, h, layer, _right), seeded=False),
            "Two runs with different seeds: which of their parts should differ?"),
)  # fmt: skip
CLAMP_ALSO_RIGHT = (
    clamped(lambda f, h, layer, s: put_in(f, h, layer, _right)),
    clamped(_by_mask),
)


# joint_ablation_gap


def loss_without(model: Any, tokens: Tensor, heads: Any) -> float:
    """Mean loss with these heads silent, from the weights."""
    silent = {tuple(head) for head in heads}
    logits = forward(model, tokens, silent=lambda a, b: (a, b) in silent)[0]
    return losses(logits, tokens).mean().item()


def gap_by(finish: Callable[[float, float, list[float]], float]):
    """A gap from the clean loss, the loss without all heads and the losses without each."""

    def answer(model, tokens, heads):
        alone = [loss_without(model, tokens, [head]) for head in heads]
        return finish(loss_without(model, tokens, []), loss_without(model, tokens, heads), alone)

    return answer


def _by_masks(model, tokens, heads):
    """Masks on the patterns, which silence a head too."""

    def loss(silent):
        hooks = []
        for layer in {layer for layer, _ in silent}:
            mask = torch.tensor([(layer, h) not in silent for h in range(model.cfg.n_heads)])
            hook = lambda value, hook, mask=mask: value * mask[:, None, None]  # noqa: E731
            hooks.append((hook_name(layer, "pattern"), hook))
        return losses(model.run_with_hooks(tokens, fwd_hooks=hooks), tokens).mean().item()

    clean = loss([])
    rises = [loss([tuple(head)]) - clean for head in heads]
    return loss([tuple(head) for head in heads]) - clean - math.fsum(rises)


GAP_MISTAKES = (
    Mistake("the joint rise alone", gap_by(lambda clean, joint, alone: joint - clean),
            "How much of that would each head have cost by itself?"),
    Mistake("the sign is reversed",
            gap_by(lambda clean, joint, alone: sum(a - clean for a in alone) - (joint - clean)),
            "Heads that cover for each other should give a number above 0. Which rise is larger "
            "then?"),
    Mistake("losses are compared, not rises",
            gap_by(lambda clean, joint, alone: joint - sum(alone)),
            "A rise is a difference to the clean loss. How often is that in your sum?"),
    Mistake("the mean of the single rises is subtracted, not their sum",
            gap_by(lambda clean, joint, alone: joint - sum(alone) / len(alone)),
            "If the heads had nothing to do with each other, what would all cost together?"),
    Mistake("the largest single rise is subtracted",
            gap_by(lambda clean, joint, alone: joint - max(alone)),
            "Would silencing both cost only the dearer of the two, if they were unrelated?"),
    Mistake("a ratio, not a difference",
            gap_by(lambda c, joint, alone: (joint - c) / sum(a - c for a in alone)),
            "What is your number if the heads are independent? The exercise asks for nats."),
)  # fmt: skip
GAP_ALSO_RIGHT = (
    gap_by(lambda clean, joint, alone: joint - sum(alone) + (len(alone) - 1) * clean),
    _by_masks,
)


# will_form


def rule(holds: Callable[[dict[str, float]], bool]) -> Callable[[Tensor], bool]:
    """A prediction from the four shares."""
    return lambda tokens: bool(holds(counted(tokens)))


def _beats_what_is_simpler(tokens):
    """Without the four shares: is the rule right more often than each simpler guess?"""
    n_pos = tokens.shape[1]
    equal = (tokens[:, :, None] == tokens[:, None, :]).float().tril(-1)[:, :-1]
    latest = equal * torch.arange(1, n_pos + 1)
    place = latest.amax(dim=-1).long()
    right = (place > 0) & (tokens.gather(1, place.clamp(max=n_pos - 1)) == tokens[:, 1:])
    lags = [(tokens[:, lag:] == tokens[:, :-lag]).sum().item() for lag in range(1, n_pos)]
    table = torch.zeros(64, 64)
    first, second = tokens[:, :-1].flatten(), tokens[:, 1:].flatten()
    table.index_put_((first, second), torch.ones(len(first)), accumulate=True)
    simpler = max(*lags, table.amax(dim=1).sum().item()) / len(first)
    return right.float().mean().item() > max(0.3, 1.1 * simpler)


def _by_halves(tokens):
    """The table is made of one half of the rows and tried on the other."""
    half = len(tokens) // 2
    table = torch.zeros(64, 64)
    known, asked = tokens[:half], tokens[half:]
    pairs = (known[:, :-1].flatten(), known[:, 1:].flatten())
    table.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
    by_heart = (table.argmax(dim=1)[asked[:, :-1]] == asked[:, 1:]).float().mean().item()
    found = counted(tokens)
    return found["usable"] > 0.26 and found["one_distance"] < 0.8 and by_heart < 0.3


FORM_MISTAKES = (
    Mistake("every kind forms", lambda tokens: True,
            "What would a model gain from induction where rows never repeat in order?"),
    Mistake("no kind forms", lambda tokens: False,
            "`toy-2l` formed. What was special about its rows?"),
    Mistake("tokens that come back are enough", rule(lambda found: found["repeated"] > 0.5),
            "A row may hold four tokens in any order. What would the rule of an induction head "
            "predict there?"),
    Mistake("the induction rule need only be right often",
            rule(lambda found: found["usable"] > 0.3),
            "It is right often in some kinds that do not form. Who else could be right there, "
            "without looking at tokens?"),
    Mistake("what is known by heart is not asked",
            rule(lambda found: found["usable"] > 0.3 and found["one_distance"] < 0.5),
            "In one of these kinds the same token follows in every row. Does a model need the "
            "context to know that?"),
    Mistake("a single distance is not asked",
            rule(lambda found: found["usable"] > 0.3 and found["by_heart"] < found["usable"]),
            "In one of these kinds the copy is always as far back. Which head of one layer can do "
            "that?"),
    Mistake("usable as a share of the repeated ones",
            rule(lambda found: found["usable"] > 0.3 * found["repeated"]
                 and found["one_distance"] < 0.5 and found["by_heart"] < found["usable"]),
            "A rule that is nearly always right, and seldom has anything to say: is it learned "
            "within 400 steps?"),
    Mistake("what is known by heart counts in favor", rule(lambda found: found["by_heart"] > 0.3),
            "What follows a token in all rows can be written in the weights. Is that learning "
            "from the context?"),
)  # fmt: skip
FORM_ALSO_RIGHT = (_beats_what_is_simpler, _by_halves)
