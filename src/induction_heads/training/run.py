"""One training run: the loss at every step and snapshots on the way, the same for the same seed."""

import copy
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor, nn
from tqdm.auto import tqdm

Sampler = Callable[[torch.Generator], Int[Tensor, "batch pos"]]
"""Draws one batch of token ids from a generator."""


@dataclass(frozen=True)
class Settings:
    """How long and how fast to train. Defaults are those of the toy models.

    `decay` is the share of the steps, at the end, over which the learning rate falls to zero.
    `bfloat16` runs the matrix products in half precision: worth it for text, not for the toys.
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
        """The learning rate of a step as a fraction of the highest one."""
        left = (self.steps - step) / max(1, self.decay * self.steps)
        return min(1.0, (step + 1) / max(1, self.warmup), left if self.decay else 1.0)


Model = TypeVar("Model", bound=nn.Module)


@dataclass
class TrainingRun(Generic[Model]):
    """A trained model, its loss in nats per token at every step, and its weights at some steps."""

    model: Model
    losses: list[float] = field(default_factory=list)
    snapshots: dict[int, dict[str, Tensor]] = field(default_factory=dict)


class Diverged(ValueError):
    """The loss stopped being a number. `run` holds the losses and the snapshots until then."""

    def __init__(self, message: str, run: TrainingRun):
        super().__init__(message)
        self.run = run


def snapshot_steps(steps: int, count: int) -> list[int]:
    """`count` steps from 0 to `steps`, denser early, where the circuit forms."""
    spread = {round(steps * (i / (count - 1)) ** 1.5) for i in range(count)}
    return sorted(spread)


@contextmanager
def one_thread():
    """Run with one PyTorch thread: at these sizes it is the fastest, and sums keep their order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def next_token_loss(model: nn.Module, tokens: Int[Tensor, "batch pos"]) -> Tensor:
    """Mean cross-entropy of every next token, in nats."""
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

    The data come from a generator started at `seed`, so the same seed gives the same run on the
    same machine. A snapshot at step s holds the weights after s updates; step 0 is before training.
    Raises Diverged, a ValueError, if the loss stops being a number.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=0.0,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    run, wanted = TrainingRun(model), set(snapshots_at)
    with one_thread(), tqdm(total=settings.steps, disable=not progress, unit="step") as bar:
        for step in range(settings.steps + 1):
            if step in wanted:
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
                said = f"The loss became {loss.item()} at step {step}: lower the learning rate."
                raise Diverged(said, run)
            bar.update()
            bar.set_postfix(loss=f"{run.losses[-1]:.3f}", refresh=False)
    return run
