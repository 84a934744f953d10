"""What an exercise is: the inputs it is tried on, the oracle, and the wrong answers we expect."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from induction_heads.checks.compare import closeness

CLOSE = closeness()
"""How answers are compared unless an exercise says otherwise."""


@dataclass(frozen=True)
class ModelInput:
    """A model as an argument of an exercise: a zoo name, or a hand-built kind with its options.

    The oracle and the submission both receive it as a `TransformerBridge`. A submission never
    learns which kind it was given: the worker is sent sizes and weights only.
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
    """A wrong answer that learners give, as a function, and the hint for whoever gives it.

    `name` says what was computed ("the softmax runs over the queries"). `hint` asks or points and
    does not give the line away. An answer equal to the mistake's on every case is told so.
    """

    name: str
    answer: Callable[..., Any]
    hint: str


@dataclass(frozen=True)
class Exercise:
    """One function to write.

    `cases(seed)` draws the inputs. `oracle` is the plain definition: a slow loop, a property or a
    known truth, never the solution. `compare(answer, expected)` returns None when the answer is
    right, else a sentence that says what came back and what was expected. `also_right` holds other
    correct implementations, which the check must accept. `seconds` is the time for all cases
    together.

    Where many answers are right (random tokens, say), `describe(cases, answers)` turns the answers
    to the first `len(answers)` cases into one description each, a dict of facts for instance. Then
    `oracle` returns such a description, and descriptions are what is compared. Mistakes and other
    implementations return plain answers, which are described like a submission's.
    """

    name: str
    difficulty: int
    minutes: int
    why: str
    cases: Callable[[int], list[Case]]
    oracle: Callable[..., Any]
    mistakes: tuple[Mistake, ...]
    also_right: tuple[Callable[..., Any], ...]
    compare: Callable[[Any, Any], str | None] = CLOSE
    seconds: float = 20.0
    describe: Callable[[list[Case], list[Any]], list[Any]] | None = None
