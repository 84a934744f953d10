"""Known mistakes of chapter 8 with their hints, and other correct implementations."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from induction_heads.attention_only import AttentionOnly, AttentionOnlyConfig, initialize
from induction_heads.checks.exercise import Mistake
from induction_heads.models import hand_built, load_attention_only, load_snapshots
from induction_heads.recipes import RECIPES, new_model
from induction_heads.training import Settings, train

Curve = Sequence[tuple[int, float]]

# in_context_learning_score


def late_minus_early(share: int = 4, sign: int = 1, total: Callable[..., Tensor] = torch.mean):
    """`in_context_learning_score` with another share, another sign, or a sum for the mean."""

    def answer(losses):
        n = losses.shape[1] // share
        return sign * (total(losses[:, -n:]) - total(losses[:, :n])).item()

    return answer


def _by_rows_of_the_batch(losses):
    n = max(1, len(losses) // 4)
    return (losses[-n:].mean() - losses[:n].mean()).item()


def _ratio(losses):
    n = losses.shape[1] // 4
    return (losses[:, -n:].mean() / losses[:, :n].mean()).item()


def _by_chunks(losses):
    quarters = losses[:, : losses.shape[1] // 4], losses.flip(1)[:, : losses.shape[1] // 4]
    early, late = (part.mean(dim=0).mean() for part in quarters)
    return late - early


def _by_numpy(losses):
    n = losses.shape[1] // 4
    mean = losses.numpy().mean(axis=0)
    return float(mean[len(mean) - n :].mean() - mean[:n].mean())


LEARNING_MISTAKES = (
    Mistake("early minus late", late_minus_early(sign=-1),
            "If the context helps, which loss is lower, the late or the early one? And the sign?"),
    Mistake("halves instead of quarters", late_minus_early(share=2),
            "How many tokens did you average over, and how many are `pos // 4`?"),
    Mistake("one late token minus one early token",
            lambda losses: (losses[:, -1] - losses[:, 0]).mean().item(),
            "One token is noisy. Over how many does the exercise ask you to average?"),
    Mistake("the last rows minus the first rows", _by_rows_of_the_batch,
            "Which axis is time within a text, and which one counts texts?"),
    Mistake("a ratio instead of a difference", _ratio,
            "What should a model score to which the context is worth nothing: 0 or 1?"),
    Mistake("sums instead of means", late_minus_early(total=torch.sum),
            "Should the score grow with the number of rows in the batch?"),
)  # fmt: skip
LEARNING_ALSO_RIGHT = (_by_chunks, _by_numpy)


# phase_change_step


def steepest(
    slope: Callable[[float, float, float], float] = lambda drop, a, b: drop / math.log(b / a),
    place: Callable[[float, float], float] = lambda a, b: math.sqrt(a * b),
    pick: Callable[..., Any] = min,
):
    """`phase_change_step` by another slope, with another place in the interval, or a rise."""

    def answer(curve: Curve) -> float:
        points = [(float(step), loss) for step, loss in curve if step > 0]
        found = [(slope(after - before, a, b), -index, place(a, b))
                 for index, ((a, before), (b, after)) in enumerate(pairwise(points))]  # fmt: skip
        return pick(found)[2]

    return answer


def _lowest_loss(curve: Curve) -> float:
    return float(min(curve, key=lambda point: point[1])[0])


def _half_way(curve: Curve) -> float:
    middle = (curve[0][1] + min(loss for _, loss in curve)) / 2
    return float(next(step for step, loss in curve if loss <= middle))


def _by_arrays(curve: Curve) -> float:
    steps, losses = (np.array(side, dtype=float) for side in zip(*curve, strict=True))
    kept = steps > 0
    logs, losses = np.log(steps[kept]), losses[kept]
    lowest = int(np.argmin(np.diff(losses) / np.diff(logs)))
    return float(np.exp((logs[lowest] + logs[lowest + 1]) / 2))


STEP_MISTAKES = (
    Mistake("the slope is by the step, not by its logarithm",
            steepest(slope=lambda drop, a, b: drop / (b - a)),
            "In the first few steps every loss falls fast. By what do you divide the drop?"),
    Mistake("the largest drop, however far apart the points are",
            steepest(slope=lambda drop, a, b: drop),
            "Two points that are far apart have time for a large drop. What is missing?"),
    Mistake("the end of the interval, not its middle", steepest(place=lambda a, b: b),
            "You found the interval. Which step in it is asked for?"),
    Mistake("the arithmetic mean of the two steps", steepest(place=lambda a, b: (a + b) / 2),
            "On which axis should the step be in the middle?"),
    Mistake("the steepest rise", steepest(pick=max),
            "What is the sign of a slope where the loss falls?"),
    Mistake("the step with the lowest loss", _lowest_loss,
            "That is where the run was best. When did it become better fastest?"),
    Mistake("the first step below half of the way down", _half_way,
            "A loss may fall twice. Which fall does half of the way find?"),
)  # fmt: skip
STEP_ALSO_RIGHT = (_by_arrays, steepest(place=lambda a, b: a * math.sqrt(b / a)))


# uniform_copying_loss_formula

FORMULA_MISTAKES = (
    Mistake("the new tokens cost nothing", lambda: "r * log(P / r)",
            "What is the loss on a token that is not in the context?"),
    Mistake("the model is told which of the two comes next",
            lambda: "r * log(P) + (1 - r) * log(V - P)",
            "What probability does one token of the context get? Sum all V probabilities."),
    Mistake("a new token may be any of the V",
            lambda: "r * log(P / r) + (1 - r) * log(V / (1 - r))",
            "How many tokens are left for a new one, if those of the context are not among them?"),
    Mistake("the loss on tokens of the context alone", lambda: "log(P)",
            "That is what a model would pay that is sure of a copy. Is it right each time?"),
    Mistake("the logarithm of the mean probability",
            lambda: "-log(r * r / P + (1 - r) * (1 - r) / (V - P))",
            "Is the mean of logarithms the logarithm of the mean?"),
    Mistake("nothing is known", lambda: "log(V)",
            "That is the loss before any training. What does this model know more?"),
)  # fmt: skip
FORMULA_ALSO_RIGHT = (
    lambda: "-r*log(r/P) - (1-r)*log((1-r)/(V-P))",
    lambda: "-r*log(r) - (1-r)*log(1-r) + r*log(P) + (1-r)*log(V-P)",
)


# smeared_keys


def smeared(
    share: Callable[[Tensor], Tensor] = torch.sigmoid,
    first: Callable[[Tensor], Tensor] = lambda keys: keys[:, :, :1],
    shift: int = 1,
    axis: int = 2,
):
    """`smeared_keys` with other shares, another first key, from another place, or another axis."""

    def answer(keys, alpha):
        kept = share(alpha)[:, None, None]
        other = keys.roll(shift, dims=axis)
        if axis == 2 and shift == 1:
            other = torch.cat([first(keys), keys[:, :, :-1]], dim=2)
        if axis == 2 and shift == -1:
            other = torch.cat([keys[:, :, 1:], keys[:, :, -1:]], dim=2)
        return kept * keys + (1 - kept) * other

    return answer


def _by_a_matrix(keys, alpha):
    kept, n = alpha.sigmoid()[:, None, None], keys.shape[2]
    mix = kept * torch.eye(n) + (1 - kept) * torch.eye(n).roll(1, dims=0).tril()
    mix[:, 0, 0] = 1
    return mix @ keys


SMEARED_MISTAKES = (
    Mistake("the shares are exchanged", smeared(share=lambda alpha: torch.sigmoid(-alpha)),
            "With a very large α, which of the two keys should be left?"),
    Mistake("α itself is the share", smeared(share=lambda alpha: alpha),
            "α is any real number. What makes a share between 0 and 1 of it?"),
    Mistake("each key is mixed with the next one", smeared(shift=-1),
            "May a key know the token after it? Which index stands in the definition?"),
    Mistake("the first key is mixed with the last one", smeared(first=lambda keys: keys[:, :, -1:]),
            "What does `roll` put in front of the first position, and when was it written?"),
    Mistake("the first key is mixed with zeros",
            smeared(first=lambda keys: torch.zeros_like(keys[:, :, :1])),
            "Nothing stands before the first key. Should that make it shorter?"),
    Mistake("keys of neighboring heads are mixed", smeared(axis=1),
            "Which axis of `keys` counts positions?"),
)  # fmt: skip
SMEARED_ALSO_RIGHT = (smeared(), _by_a_matrix)


# induction_formation_correlates


def pearson(x: Sequence[float], y: Sequence[float]) -> float:
    """The correlation of two lists, by NumPy."""
    return float(np.corrcoef(np.array(x, dtype=float), np.array(y, dtype=float))[0, 1])


def _product(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.cov(np.array(x), np.array(y))[0, 1])


def _difference(values: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(values)]


def correlates(
    head: Callable[[list], float] = lambda heads: max(map(max, heads)),
    change: Callable[[Sequence[float]], list[float]] = _difference,
    together: Callable[[Sequence[float], Sequence[float]], float] = pearson,
    control: str = "control_loss",
    control_change: Callable[[Sequence[float]], list[float]] | None = None,
):
    """`induction_formation_correlates` of another head, of levels, or with another control."""

    def answer(snapshots):
        best = [head(snapshot["induction"]) for snapshot in snapshots]
        learning = [snapshot["in_context_learning"] for snapshot in snapshots]
        other = [snapshot[control] for snapshot in snapshots]
        moved = control_change or change
        return {
            "levels": together(best, learning),
            "changes": together(change(best), change(learning)),
            "control": together(moved(best), moved(other)),
        }

    return answer


def _by_scores(snapshots):
    """The mean of products of standard scores."""

    def standard(values):
        values = torch.tensor(values, dtype=torch.float64)
        return (values - values.mean()) / values.std(correction=0)

    def together(x, y):
        return (standard(x) * standard(y)).mean().item()

    return correlates(together=together)(snapshots)


CORRELATES_MISTAKES = (
    Mistake("the changes are levels as well", correlates(change=list),
            "What is the change from one snapshot to the next, and how many of them are there?"),
    Mistake("the changes are levels, the control is right",
            correlates(change=list, control_change=_difference),
            "Two of your three numbers are the same correlation. Which one should use changes?"),
    Mistake("the control is about levels", correlates(control_change=list),
            "A control should differ in one thing. Do both use changes?"),
    Mistake("the mean over heads, not the best head",
            correlates(lambda heads: sum(map(sum, heads)) / sum(map(len, heads))),
            "One head of four becomes an induction head. How far does your score rise?"),
    Mistake("the first head of the last layer", correlates(lambda heads: heads[-1][0]),
            "Is it the same head in each model? Which one does the exercise name?"),
    Mistake("the control is the in-context-learning score",
            correlates(control="in_context_learning"),
            "What should not gain by an induction head? Which entry of a snapshot is that?"),
    Mistake("covariances", correlates(together=_product),
            "Your number changes if losses are in bits. What does a correlation divide by?"),
    Mistake("the sign is lost", correlates(together=lambda x, y: abs(pearson(x, y))),
            "One score rises while the other falls. What sign do you expect?"),
)  # fmt: skip
CORRELATES_ALSO_RIGHT = (correlates(), _by_scores)


# train_induction_heads. Mistakes are made from weights at hand, so that no check trains them.


def shaken(model: AttentionOnly, seed: int) -> AttentionOnly:
    """The model with a trace of noise in its weights, so that each seed has its own."""
    copy = AttentionOnly(model.config)
    copy.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in copy.parameters():
            weight += 1e-4 * torch.randn(weight.shape, generator=generator)
    return copy.requires_grad_(False)


def _untrained(seed: int, scale: float = 1.0) -> AttentionOnly:
    config = AttentionOnlyConfig(2, n_heads=2, d_model=64, d_head=32, d_vocab=64, n_ctx=32)
    model = initialize(AttentionOnly(config), std=0.1, seed=seed).requires_grad_(False)
    model.W_U.mul_(scale)
    return model


def _early(seed: int) -> AttentionOnly:
    snapshots = load_snapshots("toy-2l")
    return shaken(snapshots[max(step for step in snapshots if step <= 120)], seed)


def _other_recipe(seed: int) -> AttentionOnly:
    """Larger blocks only, one more layer, and a shorter start."""
    from induction_heads.tokens import distinct_tokens, tiled_blocks

    def rows(generator: torch.Generator) -> Tensor:
        source = distinct_tokens(64, 32, 48, generator)
        return tiled_blocks(source, 32, generator, periods=(5, 16), copies=4)

    model = new_model(RECIPES["toy-2l"], seed + 1000)
    settings = Settings(steps=330, warmup=30)
    train(model, rows, settings, seed=seed, progress=False)
    return model.requires_grad_(False)


TRAIN_MISTAKES = (
    Mistake("one layer", lambda seed: shaken(load_attention_only("toy-1l"), seed),
            "Can a key of one layer know the token before it? Chapter 6 has the argument."),
    Mistake("a repeat is worth nothing to it", _untrained,
            "Was it trained at all? And if so: in your rows, did the token before ever say which "
            "one comes next?"),
    Mistake("stopped before the change", _early,
            "It knows which tokens are in the context. Does the loss stand still for good at the "
            "step where you stop?"),
    Mistake("always the same distance",
            lambda seed: shaken(hand_built("fixed_offset", d_vocab=64, n_ctx=32, offset=15), seed),
            "A head that always looks equally far back does all that your rows ask for. What must "
            "change from row to row?"),
    Mistake("it knows its training rows by heart", lambda seed: _untrained(seed, scale=40.0),
            "It is sure of itself on tokens that it has never seen, and wrong. Does `sample` draw "
            "new rows each time?"),
    Mistake("the seed changes nothing", lambda seed: load_attention_only("toy-2l"),
            "Two seeds gave the same weights. Where do yours come in?"),
)  # fmt: skip
TRAIN_ALSO_RIGHT = (_other_recipe, lambda seed: shaken(load_attention_only("toy-2l"), seed))
