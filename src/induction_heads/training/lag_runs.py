"""The stored runs on rows whose lag must be inferred: the loss, and which head compares the rules.

The task of d'Angelo et al. 2025 at a small size, with two or three lags and one to three layers.
`induction-heads experiment lags` trains the models again.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from induction_heads.data.matching_rows import lag_rows, lag_table
from induction_heads.interp.ablation import attention_hook
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.matching_scores import lag_posterior
from induction_heads.interp.patching import activation_patching_effects
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import HookedModel
from induction_heads.models.loading import to_transformer_lens
from induction_heads.training.initial_weights import initialized
from induction_heads.training.matching_tasks import TASKS
from induction_heads.training.records import HELD_OUT_SEED, rounded
from induction_heads.training.run import Settings, TrainingRun, train

LAGS = {2: (1, 2), 3: (1, 2, 3)}
"""Number of lags → the lags."""

SETTINGS = TASKS["lags"].settings
SEEDS = (0, 1, 2)

RUNS = {
    f"{n_lags}-lags-{n_layers}-layer{'s' * (n_layers > 1)}-s{seed}": (n_lags, n_layers, seed)
    for n_lags in LAGS
    for n_layers in (1, 2, 3)
    for seed in SEEDS
}
"""Name → number of lags, number of layers and seed."""


def train_lag_model(
    lags: tuple[int, ...], n_layers: int, seed: int, settings: Settings = SETTINGS
) -> TrainingRun[AttentionOnly]:
    """Train a model on rows whose lag is one of `lags`, with the sizes of the toy `lags`."""
    model = AttentionOnly(replace(TASKS["lags"].config, n_layers=n_layers))
    return train(
        initialized(model, seed),
        partial(lag_rows, lags=lags),
        settings,
        seed=seed,
        snapshots_at=(settings.steps,),
        progress=False,
    )


def held_out_lag_rows(lags: tuple[int, ...], batch: int = 400) -> dict[int, Int[Tensor, "row pos"]]:
    """Lag → rows in which it holds: what every model is measured on."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return {lag: lag_rows(generator, lag=lag, lags=lags, batch=batch) for lag in lags}


def successors(tokens: Int[Tensor, "row pos"], lag: int) -> Int[Tensor, " row"]:
    """The likely next token of each row, if this lag holds."""
    return lag_table().argmax(dim=-1)[tokens[:, -lag]]


def evidence_by_head(
    model: HookedModel, rows: dict[int, Int[Tensor, "row pos"]]
) -> Float[Tensor, "layer head"]:
    """How much of the choice between two lags is lost with each head's output, as a share.

    Clean rows follow one lag. In corrupted rows everything before the last tokens is from rows of
    another lag, so that the two differ in the evidence and not in what the rules are applied to. A
    head's output in the clean run is replaced by that of the corrupted run, at all positions. What
    is measured is the logit of the successor by the clean lag minus that by the other. A mean over
    all ordered pairs of lags; rows in which both lags have the same successor are left out.
    """
    shared = max(rows)
    effects = []
    for lag, other in permutations(rows, 2):
        clean = rows[lag]
        corrupted = torch.cat([rows[other][:, :-shared], clean[:, -shared:]], dim=1)
        right, wrong = successors(clean, lag), successors(clean, other)
        differ = right != wrong
        effects.append(
            activation_patching_effects(
                model, clean[differ], corrupted[differ], right[differ], wrong[differ], "noise"
            )
        )
    return torch.stack(effects).mean(dim=0)


def followed_lags(
    tokens: Int[Tensor, "row pos"], lags: Sequence[int]
) -> Bool[Tensor, "lag row query"]:
    """Whether each token is the likely successor of the token `lag` places before it.

    The queries are the positions from `max(lags)` on.

    >>> best = lag_table().argmax(dim=-1)
    >>> row = torch.tensor([[0, 1, int(best[0]), int(best[0])]])
    >>> followed_lags(row, (1, 2))[1, 0, 0]
    tensor(True)
    """
    best, top, n_pos = lag_table().argmax(dim=-1), max(lags), tokens.shape[1]
    return torch.stack(
        [tokens[:, top:] == best[tokens[:, top - lag : n_pos - lag]] for lag in lags]
    )


def attention_to_confirmations(
    model: HookedModel,
    rows: dict[int, Int[Tensor, "row pos"]],
    *,
    of_other_rows: bool = False,
    within_tokens: bool = False,
) -> Float[Tensor, "layer head"]:
    """How much more attention a token gets if exactly one lag predicts it than if none does.

    A ratio of attention per key, over the keys more than `max(lags)` before the query and the
    queries of the second half. 1: the head does not care whether a token confirms a rule.

    Two controls. With `of_other_rows` the marks are those of another row: a head that looks by
    position keeps its ratio, and one that looks at confirmations gets 1. With `within_tokens` the
    keys that confirm no rule are weighted so that each id is as frequent among them as among those
    that confirm one: a head that looks at some ids more than at others, in whatever place, gets 1.
    Ids that occur on one side only are left out.
    """
    tokens, lags = torch.cat(list(rows.values())), tuple(rows)
    top, n_pos = max(lags), tokens.shape[1]
    followed = followed_lags(tokens, lags)
    if of_other_rows:
        followed = followed.roll(1, dims=1)
    query, key = torch.arange(n_pos // 2, n_pos), torch.arange(top, n_pos)
    early = key < query[:, None] - top
    patterns = attention_patterns(model, tokens)[..., n_pos // 2 :, top:]
    ids = tokens[:, top:] if within_tokens else torch.zeros_like(tokens[:, top:])
    groups = one_hot(ids).to(patterns.dtype)  # [row key id]
    sums, counts = [], []
    for marked in (followed.sum(dim=0) == 1, ~followed.any(dim=0)):
        counted = (marked[:, None] & early).to(patterns.dtype)  # [row query key]
        by_key = torch.einsum("lrhqk,rqk->lrhk", patterns, counted)
        sums.append(torch.einsum("lrhk,rki->lhi", by_key, groups))
        counts.append(torch.einsum("rqk,rki->i", counted, groups))
    both = (counts[0] > 0) & (counts[1] > 0)
    confirmed, other = (total[..., both] / n[both] for total, n in zip(sums, counts, strict=True))
    return (confirmed @ counts[0][both]) / (other @ counts[0][both])


def losses_with_mean_patterns(
    model: HookedModel, rows: dict[int, Int[Tensor, "row pos"]]
) -> dict[str, list[float]]:
    """The loss of the last 16 tokens in nats when a layer looks where it does on average, by layer.

    The mean is over "all rows", or over "rows of the same lag", for which the choice is thus made.
    """
    tokens = torch.cat(list(rows.values()))
    losses = {}
    for name, n_groups in (("all rows", 1), ("rows of the same lag", len(rows))):

        def mean_pattern(pattern: Tensor, hook: Any, n_groups: int = n_groups) -> Tensor:
            groups = pattern.unflatten(0, (n_groups, -1))
            return groups.mean(dim=1, keepdim=True).expand_as(groups).flatten(0, 1)

        losses[name] = []
        for layer in range(model.cfg.n_layers):
            hooks = [(attention_hook(layer, "pattern"), mean_pattern)]
            with torch.inference_mode():
                logits = model.run_with_hooks(tokens, fwd_hooks=hooks)
            losses[name].append(per_token_loss(logits, tokens)[:, -16:].mean().item())
    return losses


def ruler_losses(lags: tuple[int, ...]) -> dict[str, float]:
    """The loss of two predictors on the rows that every model is measured on, in nats.

    "Bayes" infers the lag from the tokens so far, "never chooses" takes all lags for equally
    probable. Both know the table. The last 16 tokens count, as in `lag_result`.
    """
    table, tokens = lag_table(), torch.cat(list(held_out_lag_rows(lags).values()))
    top = max(lags)
    by_lag = torch.stack([table[tokens[:, top - lag : -lag]] for lag in lags], dim=2)
    beliefs = {
        "Bayes": lag_posterior(tokens, table, lags)[:, top - 1 : -1],
        "never chooses": torch.full((len(lags),), 1 / len(lags)),
    }
    losses = {}
    for name, belief in beliefs.items():
        chances = (belief[..., None] * by_lag).sum(dim=2)  # [row pos id]
        of_token = chances.gather(2, tokens[:, top:, None]).squeeze(2)
        losses[name] = -of_token.log()[:, -16:].mean().item()
    return losses


def lag_result(name: str, settings: Settings = SETTINGS) -> dict[str, Any]:
    """The stored result of one run, ready for JSON. No "evidence" if the model does not choose."""
    n_lags, n_layers, seed = RUNS[name]
    rows = held_out_lag_rows(LAGS[n_lags])
    run = train_lag_model(LAGS[n_lags], n_layers, seed, settings)
    model, tokens = to_transformer_lens(run.model), torch.cat(list(rows.values()))
    with torch.inference_mode():
        loss = per_token_loss(model(tokens), tokens)[:, -16:].mean().item()
    try:
        evidence = rounded(evidence_by_head(model, rows), digits=3)
    except ValueError:  # Both runs have the same logits: there is no choice to divide up.
        evidence = None
    return {
        "loss": round(loss, 4),
        "evidence": evidence,
        "confirmations": rounded(attention_to_confirmations(model, rows), digits=3),
        "other_rows": rounded(
            attention_to_confirmations(model, rows, of_other_rows=True), digits=3
        ),
        "within_tokens": rounded(
            attention_to_confirmations(model, rows, within_tokens=True), digits=3
        ),
        "mean_patterns": {
            name: [round(loss, 4) for loss in losses]
            for name, losses in losses_with_mean_patterns(model, rows).items()
        },
    }
