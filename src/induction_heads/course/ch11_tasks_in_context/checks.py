"""Checks of chapter 11: effects of heads on a task, the vectors that carry it, and copies."""

from fractions import Fraction
from math import comb

import torch
from torch import Tensor

from induction_heads.course.ch11_tasks_in_context import inputs, mistakes
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


EXERCISES = (
    INDIRECT_EFFECTS,
    FUNCTION_VECTOR,
    TASK_VECTOR,
    IDENTIFIED_TASK_FORMULA,
    PATCHED_LOGITS,
    EXCLUSIVE_HEADS,
    COPIED_TARGETS,
)
