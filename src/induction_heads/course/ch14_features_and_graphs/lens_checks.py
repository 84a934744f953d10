"""Checks of chapter 14 on further pages: probes, features by match length, and the tuned lens."""

import math

import torch
from torch import Tensor

from induction_heads.course.ch14_features_and_graphs import lens_mistakes
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.random_inputs import decimals
from induction_heads.models.interface import HookedModel

# ridge_probe


def _probe_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def streams(n: int, d_model: int) -> Tensor:
        """Streams off the origin, with dimensions of different spread that depend on each other."""
        mixed = torch.randn(n, d_model, generator=generator)
        mixed = mixed @ torch.randn(d_model, d_model, generator=generator)
        return mixed + 2 * torch.randn(d_model, generator=generator)

    small, large = decimals(seed, 1, 0.05, 0.2)[0], decimals(seed + 1, 1, 1.0, 3.0)[0]
    x, labels = streams(30, 4), torch.randint(3, (30,), generator=generator)
    x[:, 0] += 3 * (labels == 1)
    rare = torch.randint(2, (12,), generator=generator)
    rare[0] = 3  # Label 2 does not occur, nor does the last one.
    return [
        Case(f"30 examples, 3 labels, penalty {small}", (x, labels, 3, small)),
        Case(f"30 examples, 3 labels, penalty {large}", (x, labels, 3, large)),
        Case("12 examples, two labels that do not occur", (streams(12, 5), rare, 5, 0.3)),
        Case("fewer examples than dimensions", (streams(5, 8), torch.arange(5) % 2, 2, 0.1)),
    ]


def _probe_by_extra_rows(
    stream: Tensor, labels: Tensor, n_labels: int, penalty: float
) -> tuple[Tensor, Tensor]:
    """Plain least squares with one more example per weight, which asks for that weight to be 0.

    The bias is the weight of a column of ones, which the added examples do not have.
    """
    n, d_model = stream.shape
    rows = [[*x, 1.0] for x in stream.double().tolist()]
    targets = [[float(label == which) for which in range(n_labels)] for label in labels.tolist()]
    for which in range(d_model):
        # The error is a mean over n examples, so that a single one must weigh n times as much.
        rows.append([math.sqrt(n * penalty) * (k == which) for k in range(d_model + 1)])
        targets.append([0.0] * n_labels)
    table, wanted = torch.tensor(rows).double(), torch.tensor(targets).double()
    found = torch.linalg.lstsq(table, wanted).solution.float()
    return found[:-1], found[-1]


RIDGE_PROBE = Exercise(
    name="ridge_probe",
    difficulty=2,
    minutes=15,
    why="A probe is the baseline of every claim about features, and this one needs no training "
    "loop.",
    cases=_probe_cases,
    oracle=_probe_by_extra_rows,
    compare=closeness(1e-4, 1e-3),
    mistakes=lens_mistakes.PROBE_MISTAKES,
)


# detection_auc


def _auc_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def sparse(n: int, n_features: int, levels: int) -> Tensor:
        """Whole numbers, many of them 0, so that there are ties at 0 and above."""
        return torch.randint(-levels, levels, (n, n_features), generator=generator).relu().float()

    labels = torch.randint(3, (24,), generator=generator)
    f = sparse(24, 5, 4)
    f[:, 1] += 3 * (labels == 2)
    f[:, 4] = 0
    few = torch.randint(2, (15,), generator=generator)
    few[3] = 2
    dense = torch.randn(15, 3, generator=generator)
    same = torch.zeros(8, dtype=torch.int64)
    return [
        Case("24 examples, 5 features, one of them dead", (f, labels, 3)),
        Case("15 examples without ties, the last label does not occur", (dense, few, 4)),
        Case("15 examples with ties, a label that occurs once", (sparse(15, 4, 3), few, 3)),
        Case("all examples have the same label", (sparse(8, 2, 3), same, 2)),
    ]


def _auc_by_pairs(activations: Tensor, labels: Tensor, n_labels: int) -> Tensor:
    """Every pair is compared."""
    table = [[math.nan] * n_labels for _ in range(activations.shape[1])]
    for feature, column in enumerate(activations.T.tolist()):
        for label in range(n_labels):
            won = []
            for a, one in zip(column, labels.tolist(), strict=True):
                for b, other in zip(column, labels.tolist(), strict=True):
                    if one == label and other != label:
                        won.append(0.5 if a == b else float(a > b))
            if won:
                table[feature][label] = sum(won) / len(won)
    return torch.tensor(table)


DETECTION_AUC = Exercise(
    name="detection_auc",
    difficulty=2,
    minutes=15,
    why="It compares a probe with a feature without asking either for a threshold.",
    cases=_auc_cases,
    oracle=_auc_by_pairs,
    mistakes=lens_mistakes.AUC_MISTAKES,
)


# feature_rates_by_match_length


def _rates_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def features(tokens: Tensor, n_features: int) -> Tensor:
        return torch.randn(*tokens.shape, n_features, generator=generator).relu()

    def text(d_vocab: int, batch: int, n_pos: int) -> Tensor:
        """Rows whose second half is half copied from the first."""
        rows = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        half = n_pos // 2
        again = torch.rand(batch, half, generator=generator) < 0.6
        rows[:, -half:] = torch.where(again, rows[:, :half], rows[:, -half:])
        return rows

    many = text(4, 4, 24)
    many[0] = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3] * 2)  # Matches of ten and more.
    weak = features(many, 4)
    weak[..., 0] *= 1e-3  # A feature that is on like any other, but weakly.
    short = text(5, 3, 16)
    once = torch.randperm(9, generator=generator)[torch.tensor([0, 1, 0, 2, 1, 3, 0, 4, 2, 5])]
    return [
        Case("four rows, matches of many lengths", (weak, many)),
        Case("three rows, matches up to two", (features(short, 3), short, 2)),
        Case("no match of two tokens, none is right", (features(once[None], 5), once[None])),
        Case("longest is 1", (features(short, 2), short), {"longest": 1}),
    ]


def _rates_query_by_query(
    activations: Tensor, tokens: Tensor, longest: int = 4
) -> dict[str, Tensor]:
    """A list of queries for each kind and length, each query with what is on."""
    n_features = activations.shape[-1]
    lists: dict[str, list[list[list[bool]]]] = {
        name: [[] for _ in range(longest + 1)] for name in ("all", "right", "wrong")
    }
    for number, row in enumerate(tokens.tolist()):
        for query in range(len(row) - 1):
            on = [f > 0 for f in activations[number, query].tolist()]
            ends = [end for end in range(query) if row[end] == row[query]]
            sizes = [
                k
                for end in ends
                for k in range(1, end + 2)
                if row[end - k + 1 : end + 1] == row[query - k + 1 : query + 1]
            ]
            entry = min(max(sizes, default=0), longest)
            lists["all"][entry].append(on)
            if ends:
                right = any(row[end + 1] == row[query + 1] for end in ends)
                lists["right" if right else "wrong"][entry].append(on)

    def shares(queries: list[list[bool]]) -> list[float]:
        if not queries:
            return [math.nan] * n_features
        return [sum(column) / len(queries) for column in zip(*queries, strict=True)]

    return {
        name: torch.tensor([shares(queries) for queries in entries])
        for name, entries in lists.items()
    }


FEATURE_RATES_BY_MATCH_LENGTH = Exercise(
    name="feature_rates_by_match_length",
    difficulty=3,
    minutes=25,
    why="A feature is a long-prefix feature only if it is silent at short matches.",
    cases=_rates_cases,
    oracle=_rates_query_by_query,
    mistakes=lens_mistakes.RATES_MISTAKES,
)


# tuned_lens_loss


def _tuned_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def case(label: str, model: ModelInput, n: int, d_model: int, d_vocab: int) -> Case:
        x = torch.randn(n, d_model, generator=generator) * torch.arange(1, n + 1)[:, None]
        weight = torch.randn(d_model, d_model, generator=generator) / math.sqrt(d_model)
        bias = torch.randn(d_model, generator=generator)
        final = 2 * torch.randn(n, d_vocab, generator=generator)
        return Case(label, (model, x, final, weight, bias))

    return [
        case("toy-2l, which has no norm, 4 streams", ModelInput(name="toy-2l"), 4, 64, 64),
        case("python-2l, which has a norm, 3 streams", ModelInput(name="python-2l"), 3, 128, 1024),
        case("python-2l, one stream", ModelInput(name="python-2l"), 1, 128, 1024),
    ]


def _divergence_by_loops(
    model: HookedModel, stream: Tensor, final_logits: Tensor, weight: Tensor, bias: Tensor
) -> float:
    """One token after the other, with logarithms of sums by hand."""

    def log_chances(logits: Tensor) -> list[float]:
        values = logits.double().tolist()
        top = max(values)
        total = top + math.log(sum(math.exp(value - top) for value in values))
        return [value - total for value in values]

    found = []
    with torch.no_grad():
        for x, final in zip(stream, final_logits, strict=True):
            translated = torch.mv(weight.T, x) + bias
            own = log_chances(final)
            lens = log_chances(model.ln_final(translated[None, None])[0, 0] @ model.W_U)
            pairs = zip(own, lens, strict=True)
            found.append(math.fsum(math.exp(p) * (p - q) for p, q in pairs))
    return sum(found) / len(found)


TUNED_LENS_LOSS = Exercise(
    name="tuned_lens_loss",
    difficulty=2,
    minutes=15,
    why="The loss says what a tuned lens is rewarded for: for what the model will say in the end, "
    "whether or not it has computed it yet.",
    cases=_tuned_cases,
    oracle=_divergence_by_loops,
    compare=closeness(1e-3, 1e-4),
    mistakes=lens_mistakes.TUNED_MISTAKES,
)


LENS_EXERCISES = (RIDGE_PROBE, DETECTION_AUC, FEATURE_RATES_BY_MATCH_LENGTH, TUNED_LENS_LOSS)
