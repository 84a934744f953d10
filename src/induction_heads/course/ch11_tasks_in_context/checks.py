"""Checks of chapter 11: effects of heads on a task, the vectors that carry it, and copies."""

from fractions import Fraction
from math import comb

import torch
from torch import Tensor

from induction_heads.course.ch11_tasks_in_context import (
    inputs,
    mistakes,
    weights_mistakes,
)
from induction_heads.course.compare import closeness
from induction_heads.course.exercise import Case, Exercise
from induction_heads.course.formulas import formula
from induction_heads.course.plain_forward import forward
from induction_heads.models.interface import HookedModel

# indirect_effects


def _effects_from_weights(model: HookedModel, prompts: Tensor, corrupted: Tensor, answers: Tensor):
    """What a head writes is replaced in the sum of the residual stream, head by head."""
    wrote = forward(model, prompts)[2]
    base, _, own = forward(model, corrupted)
    found = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer, head in wrote:
        put_in = own[layer, head].clone()
        put_in[:, -1] = wrote[layer, head][:, -1].mean(dim=0)
        changed = forward(model, corrupted, written={(layer, head): put_in})[0]
        rises = [
            _chance(changed, row, token) - _chance(base, row, token)
            for row, token in enumerate(answers.tolist())
        ]
        found[layer, head] = sum(rises) / len(rises)
    return found


def _chance(logits: Tensor, row: int, token: int) -> float:
    return logits[row, -1].softmax(dim=-1)[token].item()


INDIRECT_EFFECTS = Exercise(
    name="indirect_effects",
    difficulty=3,
    minutes=25,
    why="Heads that carry a task are found by what they cause.",
    cases=inputs.effect_cases,
    oracle=_effects_from_weights,
    compare=closeness(2e-5, 1e-3),
    seconds=60,
    mistakes=mistakes.EFFECT_MISTAKES,
)


# function_vector


def _sum_one_by_one(mean_outputs: Tensor, effects: Tensor, n_heads: int) -> Tensor:
    """The best head that is left is added, `n_heads` times."""
    left = {
        (layer, head): effects[layer, head].item()
        for layer in range(effects.shape[0])
        for head in range(effects.shape[1])
    }
    total = torch.zeros(mean_outputs.shape[-1])
    for _ in range(n_heads):
        best = max(left, key=lambda place: left[place])
        total += mean_outputs[best]
        del left[best]
    return total


FUNCTION_VECTOR = Exercise(
    name="function_vector",
    difficulty=1,
    minutes=6,
    why="A few heads together may hold what a prompt asks for.",
    cases=inputs.function_cases,
    oracle=_sum_one_by_one,
    mistakes=mistakes.FUNCTION_MISTAKES,
)


# task_vector


def _difference_by_loops(with_examples: Tensor, bare: Tensor) -> Tensor:
    found = torch.zeros(bare.shape[-1])
    for axis in range(bare.shape[-1]):
        many = [row[len(row) - 1, axis].item() for row in with_examples]
        few = [row[len(row) - 1, axis].item() for row in bare]
        found[axis] = sum(many) / len(many) - sum(few) / len(few)
    return found


TASK_VECTOR = Exercise(
    name="task_vector",
    difficulty=1,
    minutes=5,
    why="What a prompt leaves behind can be moved to another prompt.",
    cases=inputs.task_cases,
    oracle=_difference_by_loops,
    mistakes=mistakes.TASK_MISTAKES,
)


# identified_task_formula


def _chance_case_by_case(T: float, S: float) -> float:
    """The chance that m of the other tasks fit, times that of choosing the right one of m + 1."""
    fits, others = Fraction(1, int(S)), int(T) - 1
    return float(
        sum(
            comb(others, m) * fits**m * (1 - fits) ** (others - m) / (m + 1)
            for m in range(others + 1)
        )
    )


IDENTIFIED_TASK_FORMULA = Exercise(
    name="identified_task_formula",
    difficulty=2,
    minutes=12,
    why="A model can only be judged against the best that its prompt allows.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _chance_case_by_case,
    compare=formula(T=(1, 12), S=(2, 20)),
    mistakes=mistakes.IDENTIFIED_MISTAKES,
)


# patched_logits


def _logits_from_states(model: HookedModel, rows: Tensor, source: Tensor, name: str) -> Tensor:
    """Row by row, with a hook that writes the state of one source row."""
    states = []

    def read(residual: Tensor, hook: object) -> None:
        states.append(residual[0, len(residual[0]) - 1].clone())

    for row in source:
        model.run_with_hooks(row[None], fwd_hooks=[(name, read)])
    found = []
    for row, state in zip(rows, states, strict=True):
        last = len(row) - 1

        def write(residual: Tensor, hook: object, last: int = last, state: Tensor = state):
            before = residual[:, :last]
            return torch.cat([before, state.expand(1, 1, -1)], dim=1)

        logits = model.run_with_hooks(row[None], fwd_hooks=[(name, write)])
        found.append(logits[0, last])
    return torch.stack(found).detach()


PATCHED_LOGITS = Exercise(
    name="patched_logits",
    difficulty=2,
    minutes=15,
    why="One state is moved, and everything else of the prompt stays.",
    cases=inputs.patch_cases,
    oracle=_logits_from_states,
    compare=closeness(1e-4, 1e-3),
    seconds=60,
    mistakes=mistakes.PATCH_MISTAKES,
)


# exclusive_heads


def _heads_one_by_one(scores: Tensor, others: Tensor, n_heads: int) -> list[tuple[int, int]]:
    """The largest of what is left, as often as heads are needed; first of the other kind."""
    places = [(layer, head) for layer in range(len(scores)) for head in range(len(scores[0]))]
    for values, keep in ((others, False), (scores, True)):
        chosen = []
        for _ in range(n_heads):
            best = max(places, key=lambda place, values=values: values[place].item())
            chosen.append(best)
            places.remove(best)
        if keep:
            return chosen
    return []


EXCLUSIVE_HEADS = Exercise(
    name="exclusive_heads",
    difficulty=2,
    minutes=10,
    why="A head of both kinds says nothing about which kind matters.",
    cases=inputs.exclusive_cases,
    oracle=_heads_one_by_one,
    mistakes=mistakes.EXCLUSIVE_MISTAKES,
)


# copied_targets


def _copied_by_search(tokens: Tensor) -> Tensor:
    """From each position, look back for the first copy."""
    found = torch.zeros(tokens.shape, dtype=torch.bool)
    for row, line in enumerate(tokens.tolist()):
        for here in range(len(line) - 1):
            back = next((i for i in range(here - 1, -1, -1) if line[i] == line[here]), None)
            found[row, here] = back is not None and line[back + 1] == line[here + 1]
    return found


COPIED_TARGETS = Exercise(
    name="copied_targets",
    difficulty=2,
    minutes=12,
    why="The loss of HAPAX leaves these targets out.",
    cases=inputs.copied_cases,
    oracle=_copied_by_search,
    mistakes=mistakes.COPIED_MISTAKES,
)


# context_votes


def _votes_by_counting(pairs: Tensor, n_labels: int) -> Tensor:
    """Pair by pair, one count for each label."""
    found = torch.zeros(len(pairs), n_labels)
    for row, line in enumerate(pairs.tolist()):
        counts = [0] * n_labels
        for place in range(0, len(line) - 1, 2):
            if line[place] == line[len(line) - 1]:
                counts[line[place + 1]] += 1
        for label in range(n_labels):
            found[row, label] = counts[label] / sum(counts) if sum(counts) else 1 / n_labels
    return found


CONTEXT_VOTES = Exercise(
    name="context_votes",
    difficulty=2,
    minutes=12,
    why="This is all that a learner without memory can know.",
    cases=inputs.vote_cases,
    oracle=_votes_by_counting,
    mistakes=weights_mistakes.VOTE_MISTAKES,
)


# context_learner_formula


def _accuracy_pair_by_pair(p: float, N: float, K: float, L: float) -> float:
    """The class may first appear at any of the pairs; if it never does, the guess may be right."""
    here, right = Fraction(1, int(K)), Fraction(0)
    absent_so_far = Fraction(1)
    for _ in range(int(N)):
        right += absent_so_far * here
        absent_so_far *= 1 - here
    right += absent_so_far * Fraction(1, int(L))
    return p + (1 - p) * float(right)


CONTEXT_LEARNER_FORMULA = Exercise(
    name="context_learner_formula",
    difficulty=2,
    minutes=10,
    why="Where the weights must help, shows only beside what the context can do alone.",
    cases=lambda seed: [Case("your formula")],
    oracle=lambda: _accuracy_pair_by_pair,
    compare=formula(p=(0, 1), N=(1, 12), K=(2, 40), L=(2, 20)),
    mistakes=weights_mistakes.LEARNER_MISTAKES,
)


# answer_shares


def _shares_row_by_row(logits: Tensor, from_context: Tensor, from_weights: Tensor) -> Tensor:
    context = weights = neither = 0
    for row, line in enumerate(logits.tolist()):
        says, knows = from_context[row].item(), from_weights[row].item()
        if says == knows:
            continue
        answer = line.index(max(line))
        context += answer == says
        weights += answer == knows
        neither += answer not in (says, knows)
    return torch.tensor([context, weights, neither]) / (context + weights + neither)


ANSWER_SHARES = Exercise(
    name="answer_shares",
    difficulty=2,
    minutes=10,
    why="Two strategies can only be told apart where they answer differently.",
    cases=inputs.share_cases,
    oracle=_shares_row_by_row,
    mistakes=weights_mistakes.SHARE_MISTAKES,
)


# largest_fall


def _fall_pair_by_pair(values: Tensor) -> Tensor:
    """The largest of the falls between all pairs of snapshots, and 0."""
    found = torch.zeros(len(values))
    for run, curve in enumerate(values.tolist()):
        falls = [
            before - after for place, before in enumerate(curve) for after in curve[place + 1 :]
        ]
        found[run] = max([0.0, *falls])
    return found


LARGEST_FALL = Exercise(
    name="largest_fall",
    difficulty=2,
    minutes=8,
    why="An ability that comes and goes must first be told from one that never came.",
    cases=inputs.fall_cases,
    oracle=_fall_pair_by_pair,
    mistakes=weights_mistakes.FALL_MISTAKES,
)


EXERCISES = (
    INDIRECT_EFFECTS,
    FUNCTION_VECTOR,
    TASK_VECTOR,
    IDENTIFIED_TASK_FORMULA,
    PATCHED_LOGITS,
    EXCLUSIVE_HEADS,
    COPIED_TARGETS,
    CONTEXT_VOTES,
    CONTEXT_LEARNER_FORMULA,
    ANSWER_SHARES,
    LARGEST_FALL,
)
