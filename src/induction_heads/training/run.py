"""One training run: the loss at every step, snapshots along the way, reproducible from a seed."""

import copy
from collections.abc import Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn

from induction_heads.data.tokens import Sampler
from induction_heads.progress_bar import progress_bar
from induction_heads.training.stored_runs import state_of


@dataclass(frozen=True)
class Settings:
    """The hyperparameters of training with AdamW. The defaults are those of the toys.

    The learning rate rises over `warmup` steps and falls to zero over the last `decay` of all
    steps. `clip` is the largest norm of a gradient. `bfloat16` runs the matrix products in half
    precision, which is faster for text models and not for the toys.
    """

    steps: int = 300
    learning_rate: float = 2e-2
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    warmup: int = 50
    decay: float = 0.3
    bfloat16: bool = False

    def rate(self, step: int) -> float:
        """The learning rate at a step as a fraction of `learning_rate`."""
        left = (self.steps - step) / max(1, self.decay * self.steps)
        return min(1.0, (step + 1) / max(1, self.warmup), left if self.decay else 1.0)


Model = TypeVar("Model", bound=nn.Module)


@dataclass
class TrainingRun(Generic[Model]):
    """A trained model, its loss in nats per token at every step, and its weights at some steps.

    `earlier_seconds` are the CPU-seconds that a continued run took before it was stopped.
    """

    model: Model
    losses: list[float] = field(default_factory=list)
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    earlier_seconds: float = 0.0


class Diverged(ValueError):
    """The loss became infinite or NaN. `run` holds the losses and snapshots up to that step."""

    def __init__(self, message: str, run: TrainingRun):
        super().__init__(message)
        self.run = run


def snapshot_steps(steps: int, count: int) -> list[int]:
    """`count` steps from 0 to `steps`, denser early, where the circuit forms.

    >>> snapshot_steps(400, 5)
    [0, 50, 141, 260, 400]
    """
    return sorted({round(steps * (i / (count - 1)) ** 1.5) for i in range(count)})


@contextmanager
def one_thread():
    """Run with one PyTorch thread: the fastest at these sizes, and the order of sums is fixed."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def next_token_loss(model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Tensor:
    """The mean cross-entropy of the next tokens, in nats."""
    logits = model(tokens)[:, :-1]
    return F.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())


def train(
    model: Model,
    sample: Sampler,
    settings: Settings,
    *,
    seed: int = 0,
    snapshots_at: Iterable[int] = (),
    progress: bool = True,
) -> TrainingRun[Model]:
    """Train `model` in place with AdamW on batches from `sample`.

    The data are drawn with a generator seeded with `seed`, so the same seed gives the same run on
    the same machine. A snapshot at step s holds the weights after s updates; step 0 is before
    training. `progress` shows a progress bar, on a terminal only. Inside `stored_runs.kept_in` a
    run that was stopped continues with the same numbers. Raises Diverged, a ValueError, if the loss
    becomes infinite or NaN.

    >>> from induction_heads.data.tokens import distinct_tokens
    >>> model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9))
    >>> def sample(generator):
    ...     return distinct_tokens(9, 6, 4, generator)
    >>> run = train(model, sample, Settings(steps=3), snapshots_at=[0, 3])
    >>> len(run.losses), list(run.snapshots)
    (3, [0, 3])
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=0.0,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    run, snapshots_at = TrainingRun(model), set(snapshots_at)
    state = state_of(model, settings, seed, snapshots_at)
    first = state.restore(run, optimizer, generator) if state else 0
    with (
        one_thread(),
        progress_bar(settings.steps, "steps", done=first, enabled=progress) as advance,
    ):
        for step in range(first, settings.steps + 1):
            if step in snapshots_at:
                run.snapshots[step] = copy.deepcopy(model.state_dict())
            if step == settings.steps:
                break
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * settings.rate(step)
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                loss = next_token_loss(model, sample(generator))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
            optimizer.step()
            run.losses.append(loss.item())
            if not loss.isfinite():
                message = f"The loss became {loss.item()} at step {step}: lower the learning rate."
                raise Diverged(message, run)
            advance(f"loss {run.losses[-1]:.3f}")
            if state:
                state.after_step(run, optimizer, generator)
    if state:
        state.finish(run, optimizer, generator)
    return run
