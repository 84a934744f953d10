"""The stored runs in which a later layer must lower what an earlier copying head predicts.

A model of one layer learns to copy a list, from rows in which words of the list come again and
again. Then a second layer is added and trained on rows in which a word that has been said does not
come again (`list_rows`). `induction-heads experiment suppressors` trains the models again.
"""

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from induction_heads.data.list_rows import (
    D_VOCAB,
    N_CTX,
    N_LISTED,
    N_WORDS,
    Rows,
    list_rows,
    listed_and_said,
    next_word_chances,
)
from induction_heads.interp.head_costs import loss_rises
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.suppression import (
    copy_suppression_score,
    head_effects,
    suppression_by_weights,
    suppression_circuits,
)
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.models.interface import HookedModel
from induction_heads.models.loading import to_transformer_lens
from induction_heads.training.initial_weights import initialized
from induction_heads.training.records import HELD_OUT_SEED, rounded
from induction_heads.training.run import Settings, train

CONFIG = AttentionOnlyConfig(1, 2, 64, 32, D_VOCAB, N_CTX)
COPYING = Settings(steps=1000, learning_rate=2e-2)
SUPPRESSING = Settings(steps=1500, learning_rate=1e-2)
SEEDS = (0, 1, 2)
SECOND_SEED = 10
"""Added to the seed of a run, it is the seed of its second stage."""

GROUPS: dict[str, tuple[bool, bool]] = {
    "once": (False, True),
    "again": (True, True),
    "once-free": (False, False),
}
"""Name of a group → whether a said word of the list comes again in the second stage, and whether
the first layer and the embeddings keep their weights in it."""

RUNS = {f"{name}-s{seed}": (name, seed) for name in GROUPS for seed in SEEDS}
"""Name → group and seed."""

KINDS = ("listed and said", "said", "listed", "neither")
"""The kinds of words at a query, in the order of the stored numbers."""


def copying_model(seed: int, settings: Settings = COPYING) -> AttentionOnly:
    """One layer, trained on rows in which words of the list come again and again."""
    model = initialized(AttentionOnly(CONFIG), seed, sinusoidal=True)
    return train(model, partial(list_rows, again=True), settings, seed=seed, progress=False).model


def suppressor_model(
    first: AttentionOnly, group: str, seed: int, settings: Settings = SUPPRESSING
) -> AttentionOnly:
    """The model with one more layer, which writes nothing at first, trained as the group says."""
    again, frozen = GROUPS[group]
    seed += SECOND_SEED
    model = initialized(AttentionOnly(replace(first.config, n_layers=2)), seed)
    model.load_state_dict(first.state_dict(), strict=False)
    with torch.no_grad():
        model.layers[1].W_O.zero_()  # pyright: ignore[reportCallIssue]
    for name, weight in model.named_parameters():
        weight.requires_grad_(not frozen or name.startswith("layers.1."))
    sample = partial(list_rows, again=again)
    return train(model, sample, settings, seed=seed, progress=False).model.requires_grad_(False)


def kinds_of_words(tokens: Rows) -> Bool[Tensor, "kind batch said d_vocab"]:
    """Which words are of each of `KINDS`, at the queries of `listed_and_said`."""
    listed, said = listed_and_said(tokens)
    kinds = torch.stack([listed & said, ~listed & said, listed & ~said, ~listed & ~said])
    kinds[..., 0] = False  # The end of the list is not a word.
    return kinds


def by_kind_of_word(
    logits: Float[Tensor, "batch pos d_vocab"], tokens: Rows
) -> Float[Tensor, " kind"]:
    """The mean of the logits of each of `KINDS`, where a said word comes next."""
    at, kinds = logits[:, N_LISTED:-1], kinds_of_words(tokens)
    return (at * kinds).sum(dim=(1, 2, 3)) / kinds.sum(dim=(1, 2, 3))


def attention_by_key(
    model: AttentionOnly, tokens: Rows, *, prediction: bool = True
) -> Float[Tensor, "head 2"]:
    """The attention that layer 1 gives to a key which is a said word, of the list or not.

    The mean over the queries with keys of both kinds. Without `prediction` the queries do not read
    what layer 0 writes at their position, while the keys are unchanged.
    """
    first, second = model.layers
    embedded = model.embed(tokens)
    stream = embedded + first(embedded)
    assert isinstance(second, AttentionLayer)
    queries, keys = second.queries_and_keys(stream)
    if not prediction:
        queries = second.queries_and_keys(embedded)[0]
    scores = queries @ keys.transpose(-1, -2) / model.config.d_head**0.5
    future = torch.ones(N_CTX, N_CTX, dtype=torch.bool).triu(1)
    pattern = scores.masked_fill(future, -torch.inf).softmax(dim=-1)[:, :, N_LISTED:-1]
    listed = listed_and_said(tokens)[0][:, 0].gather(1, tokens)[:, None]
    is_said = (torch.arange(N_CTX) > N_LISTED) & ~future[N_LISTED:-1]
    of_list, others = is_said & listed, is_said & ~listed
    counts = of_list.any(dim=-1) & others.any(dim=-1)
    shares = [
        (pattern * keys_of[:, None]).sum(dim=-1) / keys_of.sum(dim=-1).clamp_min(1)[:, None]
        for keys_of in (of_list, others)
    ]
    return torch.stack([(s * counts[:, None]).sum(dim=(0, 2)) / counts.sum() for s in shares], -1)


def weight_shares(model: HookedModel, layer: int) -> list[list[float]]:
    """For each head of a layer, both shares of `suppression_by_weights` and both of a control.

    The control looks for the own id of each word at another one.
    """
    order = torch.randperm(N_WORDS, generator=torch.Generator().manual_seed(0))
    shares = []
    for head in range(model.cfg.n_heads):
        ov, qk = suppression_circuits(model, layer, head, torch.arange(1, D_VOCAB))
        pairs = ((ov, qk), (ov[order], qk[order]))
        shares.append([share for pair in pairs for share in suppression_by_weights(*pair)])
    return shares


def measured(model: AttentionOnly) -> dict[str, Any]:
    """What layer 1 does to what layer 0 predicts, on rows in which no word of a list comes again.

    - `loss`, `best`: on the said words, and that of the chances they are drawn from;
    - `before`, `after`: the logits of `KINDS` in front of layer 1 and at the end;
    - for each head of layer 1 `effect` (what it adds to `KINDS`), `attention` and `unread`
      (`attention_by_key` with and without the prediction), `cost` (the rise of the loss without
      it), `score` (`copy_suppression_score`, where the context begins after the list), and
      `weights`.
    """
    tokens = list_rows(torch.Generator().manual_seed(HELD_OUT_SEED), batch=512)
    bridge = to_transformer_lens(model)
    effects = [head_effects(bridge, tokens, 1, head) for head in range(CONFIG.n_heads)]
    rest, said = slice(N_LISTED, None), tokens[:, N_LISTED + 1 :]
    listed_said = [each.flatten(0, 1) for each in listed_and_said(tokens)]
    chances = next_word_chances(*listed_said).view(*said.shape, D_VOCAB)
    with torch.inference_mode():
        logits = model(tokens)
    costs = [loss_rises(bridge, tokens, [(1, head)])[:, rest].mean() for head in range(2)]
    scores = [copy_suppression_score(b[:, rest], e[:, rest], tokens[:, rest]) for b, e in effects]
    return {
        "loss": round(per_token_loss(logits, tokens)[:, rest].mean().item(), 4),
        "best": round(-chances.gather(2, said[..., None]).log().mean().item(), 4),
        "before": rounded(by_kind_of_word(effects[0][0], tokens)[None], 3)[0],
        "after": rounded(by_kind_of_word(logits, tokens)[None], 3)[0],
        "effect": rounded(torch.stack([by_kind_of_word(e, tokens) for _, e in effects]), 3),
        "attention": rounded(attention_by_key(model, tokens), 3),
        "unread": rounded(attention_by_key(model, tokens, prediction=False), 3),
        "cost": rounded(torch.stack(costs)[None], 3)[0],
        "score": [round(score, 3) for score in scores],
        "weights": rounded(torch.tensor(weight_shares(bridge, 1)), 3),
    }


def suppressor_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS`, both stages, and measure it."""
    group, seed = RUNS[name]
    return measured(suppressor_model(copying_model(seed), group, seed))
