"""The definition of an exercise: its inputs, its oracle, and the mistakes it recognizes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from induction_heads.course.compare import closeness

CLOSE = closeness()
"""The default comparison of answers."""


@dataclass(frozen=True)
class ModelInput:
    """A model as an argument of an exercise: a zoo name, or a kind with its options.

    The kinds are those of `hand_built` and of `model_inputs.built_model`.

    The oracle and the submission both receive it as a `TransformerBridge`. A submission never
    learns which kind it is: the worker receives only sizes and weights.
    """

    name: str | None = None
    kind: str | None = None
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One call: positional and keyword arguments, and a few words that describe the input.

    Arguments are tensors, numbers, strings, lists, tuples, dicts, None, or a `ModelInput`.
    """

    label: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Mistake:
    """A common wrong answer, as a function, with a hint.

    `name` says what was computed ("the softmax runs over the queries"). `hint` asks or points
    without giving the code away. It is shown if an answer equals the mistake's on every case.
    """

    name: str
    answer: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One function to write.

    `cases(seed)` draws the inputs. `oracle` is the plain definition: a slow loop, a property or a
    known truth, never the solution. `compare(answer, expected)` returns None if the answer is
    right, otherwise a sentence with what was returned and what was expected. `seconds` is the time
    limit for all cases together.

    Where many answers are right (random tokens, say), `describe(cases, answers)` turns the answers
    to the first `len(answers)` cases into one description each, for instance a dict of facts. Then
    `oracle` returns such a description, and descriptions are what is compared. Mistakes return
    plain answers, which are described like a submission's.
    """

    name: str
    difficulty: int
    minutes: int
    why: str
    cases: Callable[[int], list[Case]]
    oracle: Callable[..., Any]
    mistakes: tuple[Mistake, ...]
    compare: Callable[[Any, Any], str | None] = CLOSE
    seconds: float = 20.0
    describe: Callable[[list[Case], list[Any]], list[Any]] | None = None
