"""Checks of chapter 14: features and what they detect, paths, pruning, and the logit lens."""

from itertools import product
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch14_features_and_graphs import graph_mistakes, mistakes
from induction_heads.course.ch14_features_and_graphs.lens_checks import LENS_EXERCISES
from induction_heads.course.ch14_features_and_graphs.transcoder_checks import TRANSCODER_EXERCISES
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.formulas import formula
from induction_heads.course.plain_forward import forward
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.data.tokens import distinct_tokens, repeated_tokens
from induction_heads.models.interface import HookedModel

# sae_loss


def _activations(seed: int, n_examples: int, n_features: int, dead: int = 0) -> Tensor:
    """Random activations, most of them 0, with features of different scales."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(n_examples, n_features, generator=generator).relu()
    found *= torch.rand(n_examples, n_features, generator=generator) < 0.5
    found[0] = torch.rand(n_features, generator=generator) + 0.1  # All are alive so far.
    found *= torch.linspace(0.2, 3.0, n_features)
    order = torch.randperm(n_features, generator=generator)
    found = found[:, order]
    found[:, order[:dead]] = 0
    return found


def _loss_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for number, penalty in enumerate(decimals(seed, 2, 0.1, 0.9)):
        x, rebuilt = torch.randn(2, 5 + number, 4, generator=generator)
        f = _activations(seed + number, 5 + number, 7 + number)
        cases.append(Case(f"{5 + number} examples, penalty {penalty}", (x, rebuilt, f, penalty)))
    x = torch.randn(3, 6, generator=generator)
    perfect = (x, x.clone(), _activations(seed + 5, 3, 4), 0.5)
    return [*cases, Case("a perfect reconstruction", perfect)]


def _loss_by_loops(
    stream: Tensor, reconstruction: Tensor, activations: Tensor, penalty: float
) -> float:
    """One example after the other, one number after the other."""
    total = 0.0
    tables = (stream.tolist(), reconstruction.tolist(), activations.tolist())
    for x, y, f in zip(*tables, strict=True):
        for one, other in zip(x, y, strict=True):
            total += (one - other) ** 2
        for strength in f:
            total += penalty * strength
    return total / len(stream)


SAE_LOSS = Exercise(
    name="sae_loss",
    difficulty=1,
    minutes=5,
    why="The loss says what the features are rewarded for, and what they are not.",
    cases=_loss_cases,
    oracle=_loss_by_loops,
    mistakes=mistakes.LOSS_MISTAKES,
)


# shrunk_activation_formula


def _by_halving(a: float, c: float) -> float:
    """The lowest point of the loss on f ≥ 0, by halving the interval in which its slope turns."""

    def slope(f: float) -> float:
        return ((a - f - 0.5) ** 2 + c * (f + 0.5)) - ((a - f + 0.5) ** 2 + c * (f - 0.5))

    low, high = 0.0, 10.0
    if slope(low) >= 0:
        return 0.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    return low


SHRUNK_ACTIVATION_FORMULA = Exercise(
    name="shrunk_activation_formula",
    difficulty=2,
    minutes=8,
    why="A penalty on activations also shrinks them, and you can predict by how much.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _by_halving,
    compare=formula(a=(0.05, 3.0), c=(0.05, 3.0)),
    mistakes=mistakes.SHRUNK_MISTAKES,
)


# dead_features


def _dead_cases(seed: int) -> list[Case]:
    rare = _activations(seed + 3, 30, 6, dead=2)
    weak, strong = (rare[0] > 0).nonzero().flatten()[:2].tolist()
    rare[:, [weak, strong]] = 0
    first, second = whole_numbers(seed, 2, 1, 28)
    rare[first, weak], rare[second, strong] = 1e-4, 3.0

    def mixed(number: int, n_examples: int, n_features: int, dead: int = 0) -> Tensor:
        """In no example are all features on that are alive, and each is strong in some."""
        found = _activations(seed + number, n_examples, n_features, dead)
        first, last = found[0].clone(), found[-1].clone()
        half = torch.arange(n_features) % 2 == 0
        found[0], found[-1] = torch.where(half, 0, first), torch.where(half, first + last, 0)
        return found

    return [
        Case("9 features, 3 of them dead", (mixed(0, 12, 9, dead=3),)),
        Case("7 features, all of them alive", (mixed(1, 10, 7),)),
        Case("11 features, one dead", (mixed(2, 6, 11, dead=1),)),
        Case("6 features, one on only once, and one only once and weakly", (rare,)),
    ]


def _dead_by_loops(activations: Tensor) -> Tensor:
    columns = activations.T.tolist()
    dead = [j for j, column in enumerate(columns) if not any(f > 0 for f in column)]
    return torch.tensor(dead, dtype=torch.int64)


DEAD_FEATURES = Exercise(
    name="dead_features",
    difficulty=1,
    minutes=4,
    why="A dictionary with dead entries is smaller than it looks.",
    cases=_dead_cases,
    oracle=_dead_by_loops,
    mistakes=mistakes.DEAD_MISTAKES,
)


# feature_detection_scores


def _detection_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def labeled(number: int, n: int, n_features: int, n_labels: int, dead: int = 0) -> tuple:
        activations = _activations(seed + number, n, n_features, dead)
        return activations, torch.randint(n_labels, (n,), generator=generator), n_labels

    f, labels, n_labels = labeled(0, 40, 6, 3)
    for label in range(3):  # Three features that detect something.
        f[:, label] += 3 * (labels == label)
    missing = labeled(1, 20, 5, 4, dead=1)
    missing[1][missing[1] == 2] = 0
    g, few, _ = labeled(4, 22, 4, 2)
    few[g[:, 1].argmax()] = 2  # One example has label 2, and none has label 3.
    rare = (g, few, 4)
    return [
        Case("40 examples, 6 features, 3 labels", (f, labels, n_labels)),
        Case("20 examples, a dead feature, a label that does not occur", missing),
        Case("30 examples, threshold 0.2", labeled(2, 30, 4, 5), {"threshold": 0.2}),
        Case("25 examples, threshold 0", labeled(3, 25, 4, 3, dead=1), {"threshold": 0.0}),
        Case("22 examples, a label that occurs once, the last label not at all", rare),
    ]


def _detection_by_loops(
    activations: Tensor, labels: Tensor, n_labels: int, threshold: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Four counts for every feature and label."""
    f, label_of = activations.tolist(), labels.tolist()
    n_features = activations.shape[1]
    precision, recall = torch.zeros(2, n_features, n_labels)
    for j in range(n_features):
        top = max(row[j] for row in f)
        on = [row[j] > threshold * top for row in f]
        for label in range(n_labels):
            has = [each == label for each in label_of]
            both = sum(a and b for a, b in zip(on, has, strict=True))
            precision[j, label] = both / sum(on) if any(on) else 0.0
            recall[j, label] = both / sum(has) if any(has) else 0.0
    return precision, recall


FEATURE_DETECTION_SCORES = Exercise(
    name="feature_detection_scores",
    difficulty=2,
    minutes=15,
    why="A feature's name was given by somebody. These two numbers say whether it is deserved.",
    cases=_detection_cases,
    oracle=_detection_by_loops,
    mistakes=mistakes.DETECTION_MISTAKES,
)


# path_contributions


def _path_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, model: ModelInput, tokens: Tensor, query: int, d_model: int) -> Case:
        direction = torch.randn(d_model, generator=generator)
        return Case(label, (model, tokens, query, direction))

    toy = ModelInput(name="toy-2l")
    options: dict[str, Any] = {"n_heads": 3, "d_vocab": 24}
    built = ModelInput(kind="induction", options={"seed": seed, **options})
    width = _width(built)
    return [
        case(
            "toy-2l, eight tokens, the last query", toy, distinct_tokens(64, 8, 1, seed)[0], 7, 64
        ),
        case(
            "toy-2l, two copies of five tokens, query 6",
            toy,
            repeated_tokens(64, 5, batch=1, seed=seed)[0],
            6,
            64,
        ),
        case(
            "a hand-built model of three heads a layer, query 5",
            built,
            repeated_tokens(24, 4, batch=1, seed=seed + 1)[0],
            5,
            width,
        ),
    ]


def _width(built: ModelInput) -> int:
    from induction_heads.models.hand_built import hand_built

    assert built.kind is not None
    return hand_built(built.kind, **built.options).config.d_model


def _path_by_path(model: HookedModel, tokens: Tensor, query: int, direction: Tensor) -> Tensor:
    """Every path walked by itself, vector by vector. Patterns come from a head-by-head pass."""
    _, patterns, _ = forward(model, tokens[None])
    n_heads, n_pos = model.cfg.n_heads, len(tokens)
    W_V, W_O = model.W_V, model.W_O
    start = model.W_E[tokens] + model.W_pos[:n_pos]
    found = torch.zeros(n_heads + 1, n_heads + 1, n_pos, n_pos)
    for a, s in product(range(n_heads + 1), range(n_pos)):
        moved = start[s] if a == n_heads else start[s] @ W_V[0, a] @ W_O[0, a]
        for b, m in product(range(n_heads + 1), range(n_pos)):
            if (a == n_heads and m != s) or (b == n_heads and m != query):
                continue  # Without a head the path stays where it is.
            end = moved if b == n_heads else moved @ W_V[1, b] @ W_O[1, b]
            share = 1.0 if a == n_heads else patterns[0, a][0, m, s].item()
            share *= 1.0 if b == n_heads else patterns[1, b][0, query, m].item()
            found[a, b, s, m] = share * (end @ direction)
    return found.detach()


PATH_CONTRIBUTIONS = Exercise(
    name="path_contributions",
    difficulty=3,
    minutes=25,
    why="With fixed patterns the model is linear, so every path has a number, and nothing is "
    "left over.",
    cases=_path_cases,
    oracle=_path_by_path,
    compare=closeness(1e-4, 1e-4),
    mistakes=graph_mistakes.PATH_MISTAKES,
)


# paths_formula


def _paths_counted(n: float, H: float) -> float:
    """Every choice of heads and positions is tried, and the impossible ones are left out."""
    heads, places = [*range(int(H)), None], range(int(n))
    count, query = 0, int(n) - 1
    for first, second, source, middle in product(heads, heads, places, places):
        possible = source <= middle if first is not None else source == middle
        count += possible and (second is not None or middle == query)
    return count


PATHS_FORMULA = Exercise(
    name="paths_formula",
    difficulty=2,
    minutes=10,
    why="The sum is exact, and it has this many terms.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _paths_counted,
    compare=formula(n=(1, 9), H=(1, 5)),
    mistakes=graph_mistakes.COUNT_MISTAKES,
)


# pruned_edges


def _prune_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)
    plain, heavy = torch.randn(2, 20, generator=generator)
    shares = decimals(seed, 2, 0.5, 0.9)
    order = torch.randperm(12, generator=generator)
    cancel = torch.rand(12, generator=generator) + 0.1
    cancel[order[0]], cancel[order[1]] = 9.0, -8.9
    return [
        Case("20 edges", (plain, shares[0])),
        Case("20 edges, a few much larger", (heavy**5, shares[1])),
        Case("two large edges that cancel", (cancel, 0.9)),
        Case("9 edges, nearly all that flows", (torch.randn(9, generator=generator), 0.97)),
        Case("one edge is exactly half", (torch.tensor([1.0, -4.0, 2.0, -1.0]), 0.5)),
        Case("all that flows, and an edge of 0", (torch.tensor([3.0, 0.0, -2.0, 1.0]), 1.0)),
        Case("all that flows, and no edge of 0", (torch.tensor([-2.0, 0.5, 3.0, -1.0]), 1.0)),
        Case("a share of 0", (torch.tensor([-2.0, 0.5, 3.0, -1.0]), 0.0)),
    ]


def _fewest(flows: Tensor, share: float) -> Tensor:
    """The largest edge that is left is taken until the rest is small enough to be left out."""
    sizes = [abs(flow) for flow in flows.double().tolist()]
    left, kept = dict(enumerate(sizes)), torch.zeros(len(sizes), dtype=torch.bool)
    while sum(left.values()) > (1 - share) * sum(sizes):
        largest = max(left, key=lambda edge: left[edge])
        kept[largest] = True
        del left[largest]
    return kept


PRUNED_EDGES = Exercise(
    name="pruned_edges",
    difficulty=2,
    minutes=10,
    why="A graph that nobody can read explains nothing, and a rule that says what was left out "
    "keeps a small graph honest.",
    cases=_prune_cases,
    oracle=_fewest,
    mistakes=graph_mistakes.PRUNE_MISTAKES,
)


# logit_lens


def _lens_cases(seed: int) -> list[Case]:
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 2, "d_vocab": 24})
    return [
        Case("toy-2l", (ModelInput(name="toy-2l"), repeated_tokens(64, 6, batch=2, seed=seed))),
        Case(
            "python-2l, which has a final layer norm",
            (ModelInput(name="python-2l"), repeated_tokens(1024, 5, batch=2, seed=seed + 1)),
        ),
        Case("a hand-built model", (built, repeated_tokens(24, 5, batch=3, seed=seed + 2))),
        Case(
            "three layers of random heads, which have a layer norm",
            (
                ModelInput(kind="loud_neighbors", options={"seed": seed, "normalization": "LN"}),
                repeated_tokens(20, 5, batch=2, seed=seed + 3),
            ),
        ),
    ]


def _lens_from_weights(model: HookedModel, tokens: Tensor) -> Tensor:
    """The stream is the embeddings plus what the heads wrote so far, head by head."""
    _, _, written = forward(model, tokens)
    with torch.no_grad():
        stream = model.W_E[tokens] + model.W_pos[: tokens.shape[1]]
        found = [model.ln_final(stream) @ model.W_U]
        for layer in range(model.cfg.n_layers):
            for head in range(model.cfg.n_heads):
                stream = stream + written[layer, head]
            found.append(model.ln_final(stream) @ model.W_U)
    return torch.stack(found)


LOGIT_LENS = Exercise(
    name="logit_lens",
    difficulty=2,
    minutes=12,
    why="It is the cheapest question about a layer, and easy to ask in the wrong way.",
    cases=_lens_cases,
    oracle=_lens_from_weights,
    compare=closeness(1e-3, 1e-3),
    mistakes=graph_mistakes.LENS_MISTAKES,
)


EXERCISES = (
    SAE_LOSS,
    SHRUNK_ACTIVATION_FORMULA,
    DEAD_FEATURES,
    FEATURE_DETECTION_SCORES,
    PATH_CONTRIBUTIONS,
    PATHS_FORMULA,
    PRUNED_EDGES,
    LOGIT_LENS,
    *LENS_EXERCISES,
    *TRANSCODER_EXERCISES,
)
