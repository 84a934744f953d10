"""The stored runs on rows of exemplars and labels: learned in context, in weights, or both.

The question and the rows are those of Chan et al. (2022), Reddy (2024) and Singh et al. (2023), at
a small size. Exemplars have fixed random embeddings, so a head can match held-out classes as well
as trained ones, and no label can be stored in an embedding.
`induction-heads experiment in-weights` trains the models again.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.exemplar_rows import (
    N_CTX,
    N_LABELS,
    RowKind,
    absent_rows,
    class_labels,
    conflict_rows,
    held_out_rows,
    training_rows,
)
from induction_heads.interp.in_weights import (
    accuracy_without_each,
    answer_shares,
    circuit_scores,
    label_accuracy,
    label_logits,
)
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.with_mlp import WithMLP
from induction_heads.training.initial_weights import initialized
from induction_heads.training.records import HELD_OUT_SEED, rounded
from induction_heads.training.run import Settings, TrainingRun, one_thread

N_LAYERS, N_HEADS, D_MODEL, WIDTH = 2, 2, 64, 256
SEEDS = (0, 1, 2)
SETTINGS = Settings(steps=1000, learning_rate=1e-2, weight_decay=0.05, decay=0.0)
N_SNAPSHOTS = 10
"""The snapshots of a run after the one at step 0, evenly spaced."""


LONG = replace(SETTINGS, steps=2000)
NO_DECAY = replace(LONG, weight_decay=0.0)

GROUPS: dict[str, tuple[RowKind, Settings]] = {
    "base": (RowKind(), SETTINGS),
    "few-classes": (RowKind(n_classes=128), SETTINGS),
    "one-copy": (RowKind(copies=1), SETTINGS),
    "one-class": (RowKind(copies=4), SETTINGS),
    "no-bursts": (RowKind(bursty=0.0), SETTINGS),
    "zipf": (RowKind(exponent=1.0), SETTINGS),
    "some-bursts-zipf": (RowKind(bursty=0.8, exponent=1.0), SETTINGS),
    "some-bursts": (RowKind(bursty=0.8), LONG),
    "some-bursts-no-decay": (RowKind(bursty=0.8), NO_DECAY),
    "many-bursts": (RowKind(bursty=0.9), LONG),
}
"""Name of a group of runs → its rows and hyperparameters.

`base` has 1024 classes, of which two come twice in a row.
"""

RUNS = {f"{name}-s{seed}": (name, seed) for name in GROUPS for seed in SEEDS}
"""Name → group and seed."""

LABEL_SEED = 2_000_000
"""Added to the seed of a run, it is the seed of the fixed labels."""


def new_exemplar_model(kind: RowKind, seed: int, *, width: int = WIDTH) -> AttentionOnly:
    """Two layers of heads and an MLP. The rows of the token embedding are fixed, of about length 1.

    With a `width` of 0 there is no MLP.
    """
    config = AttentionOnlyConfig(
        N_LAYERS, N_HEADS, D_MODEL, D_MODEL // N_HEADS, kind.d_vocab, n_ctx=N_CTX
    )
    model = initialized(
        WithMLP(config, width) if width else AttentionOnly(config), seed, sinusoidal=True
    )
    with torch.no_grad():
        model.W_E.div_(model.W_E.norm(dim=1).mean())
    model.W_E.requires_grad_(False)
    return model


def labels_of(kind: RowKind, seed: int) -> Int[Tensor, " class"]:
    """The fixed labels in the run of this seed."""
    return class_labels(kind, seed=LABEL_SEED + seed)


def train_exemplar_model(
    kind: RowKind,
    seed: int = 0,
    settings: Settings = SETTINGS,
    *,
    width: int = WIDTH,
    snapshots_at: Collection[int] = (),
) -> TrainingRun[AttentionOnly]:
    """Train on the label of the last exemplar alone. The seed decides weights, labels and rows."""
    model, labels = new_exemplar_model(kind, seed, width=width), labels_of(kind, seed)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(
        weights, lr=0.0, betas=settings.betas, weight_decay=settings.weight_decay, fused=True
    )
    generator, run = torch.Generator().manual_seed(seed), TrainingRun(model)
    with one_thread():
        for step in range(settings.steps + 1):
            if step in snapshots_at:
                state = model.state_dict()
                run.snapshots[step] = {name: weight.clone() for name, weight in state.items()}
            if step == settings.steps:
                break
            rows = training_rows(kind, labels, generator)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * settings.rate(step)
            loss = F.cross_entropy(label_logits(model, rows), rows[:, -1])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, settings.clip)
            optimizer.step()
            run.losses.append(loss.item())
    return run


def measured_rows(kind: RowKind, seed: int) -> dict[str, Int[Tensor, "batch pos"]]:
    """The rows that every snapshot of a run is measured on, by what they ask."""
    labels = labels_of(kind, seed)
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return {
        "train": training_rows(kind, labels, generator, batch=512),
        "context": held_out_rows(kind, seed=generator),
        "weights": absent_rows(kind, labels, seed=generator),
        "conflict": conflict_rows(kind, labels, seed=generator),
    }


def measured(
    model: AttentionOnly, kind: RowKind, seed: int, *, without: Collection[tuple[int, int]] = ()
) -> dict[str, Any]:
    """Accuracies, and whose answer is given where context and weights disagree.

    - `train`: on rows as in training;
    - `context`: on held-out classes, whose labels hold for one row;
    - `weights`: on rows whose last class is not among the pairs;
    - `follows`: in rows with changed labels, the shares of answers from the context, from the
      weights, and otherwise (`answer_shares`).

    `without` are heads, as (layer, head), that write nothing.
    """
    rows, heads = measured_rows(kind, seed), list(without)
    result: dict[str, Any] = {
        name: round(label_accuracy(model, rows[name], without=heads), 4)
        for name in ("train", "context", "weights")
    }
    conflict = rows["conflict"]
    own = labels_of(kind, seed)[conflict[:, -2] - N_LABELS]
    with torch.inference_mode():
        logits = label_logits(model, conflict, without=heads)
    result["follows"] = rounded(answer_shares(logits, conflict[:, -1], own)[None])[0]
    return result


def in_weights_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS` and measure its snapshots; at the last one, also without each head."""
    group, seed = RUNS[name]
    kind, settings = GROUPS[group]
    steps = range(0, settings.steps + 1, settings.steps // N_SNAPSHOTS)
    run = train_exemplar_model(kind, seed, settings, snapshots_at=steps)
    rows, snapshots = measured_rows(kind, seed), []
    for step, weights in run.snapshots.items():
        run.model.load_state_dict(weights)
        scores = circuit_scores(run.model, rows["context"])
        snapshots.append(
            {"step": step}
            | measured(run.model, kind, seed)
            | {score: rounded(values, 3) for score, values in scores.items()}
        )
    without = {
        name: rounded(accuracy_without_each(run.model, rows[name]))
        for name in ("context", "weights")
    }
    return {"snapshots": snapshots, "without": without}
