"""Checks of chapter 12: heads that lower a prediction, and self-repair."""

import torch
from torch import Tensor

from induction_heads.course.ch12_heads_that_lower import inputs, mistakes
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula

# copy_suppression_score


def _suppression_by_counting(before: Tensor, effect: Tensor, tokens: Tensor) -> float:
    """Each id is searched for among the positions up to this one."""
    total, count = 0.0, 0
    for row in range(tokens.shape[0]):
        for position in range(tokens.shape[1]):
            ids = range(before.shape[-1])
            best = max(ids, key=lambda t: before[row, position, t].item())
            here = [t for t in ids if any(tokens[row, p] == t for p in range(position + 1))]
            rest = [effect[row, position, t].item() for t in here if t != best]
            if best in here and rest:
                total += effect[row, position, best].item() - sum(rest) / len(rest)
                count += 1
    return total / count


COPY_SUPPRESSION_SCORE = Exercise(
    name="copy_suppression_score",
    difficulty=2,
    minutes=15,
    why="A head can be important because it lowers a prediction.",
    cases=inputs.suppression_cases,
    oracle=_suppression_by_counting,
    mistakes=mistakes.SUPPRESSION_MISTAKES,
)


# suppression_by_weights


def _shares_by_ranks(ov: Tensor, qk: Tensor, n_lowest: int) -> tuple[float, float]:
    """Row by row, with plain numbers."""
    rows = list(zip(ov.tolist(), qk.tolist(), strict=True))
    lowered = sum(
        sum(1 for other in logits if other <= logits[token]) <= n_lowest
        for token, (logits, _) in enumerate(rows)
    )
    found = sum(
        all(scores[token] > score for at, score in enumerate(scores) if at != token)
        for token, (_, scores) in enumerate(rows)
    )
    return lowered / len(rows), found / len(rows)


SUPPRESSION_BY_WEIGHTS = Exercise(
    name="suppression_by_weights",
    difficulty=2,
    minutes=12,
    why="What the weights say holds for every text.",
    cases=inputs.weight_cases,
    oracle=_shares_by_ranks,
    mistakes=mistakes.WEIGHT_MISTAKES,
)


# compensation


def _compensation_by_loops(direct: Tensor, clean: Tensor, ablated: Tensor, tokens: Tensor):
    """What the logit would have been if only the head were gone, and what it is."""
    batch, n_pos = tokens.shape
    found = torch.zeros(batch, n_pos - 1)
    for row in range(batch):
        for position in range(n_pos - 1):
            at = (row, position, int(tokens[row, position + 1]))
            expected = clean[at] - direct[at]
            found[row, position] = ablated[at] - expected
    return found


COMPENSATION = Exercise(
    name="compensation",
    difficulty=2,
    minutes=8,
    why="An ablation that costs little may mean that other heads compensated.",
    cases=inputs.compensation_cases,
    oracle=_compensation_by_loops,
    mistakes=mistakes.COMPENSATION_MISTAKES,
)


# repair_by_norm_formula


def _share_that_returns(a: float, r: float) -> float:
    """The vectors themselves, in a plane: the first axis is the right token's."""
    head, rest = torch.tensor([a, 0.0]).double(), torch.tensor([0.0, r]).double()
    both, one = head + head + rest, head + rest
    direct = (head / both.norm())[0]
    fall = (both / both.norm() - one / one.norm())[0]
    return ((direct - fall) / direct).item()


REPAIR_BY_NORM_FORMULA = Exercise(
    name="repair_by_norm_formula",
    difficulty=2,
    minutes=10,
    why="Self-repair does not need another head to react.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _share_that_returns,
    compare=formula(a=(0.2, 4.0), r=(0.2, 4.0)),
    mistakes=mistakes.REPAIR_MISTAKES,
)


EXERCISES = (COPY_SUPPRESSION_SCORE, SUPPRESSION_BY_WEIGHTS, COMPENSATION, REPAIR_BY_NORM_FORMULA)
