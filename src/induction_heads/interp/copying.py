"""Does a head raise the logit of what it attends to? Scores measured in a forward pass.

`copying_scores` in `circuits` uses the weights alone and assumes that a head reads the token
embedding. In a model with MLPs it reads what the first MLP made of the token:
`effective_embedding_of` gives that, also from the weights alone. The scores here use the actual
input of the head.

Where a norm comes after the attention (Gemma 2, OLMo 2), its gain is included and its division is
not; a cap on the logits and factors on them are left out. All of these keep the sign and change the
size. Later layers are left out too, and what they make of the output can change both.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.activations import visit_values
from induction_heads.interp.circuits import layer_weights
from induction_heads.interp.norms import final_norm, layer_norm_of, post_norm_of
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import Model, embedding, model_config, unembedding


@dataclass(frozen=True)
class RepeatCopying:
    """The direct effect of each head on the tokens where an induction head attends.

    `rank` is from −1 to 1: how much more often the token that came next in the first copy is raised
    above another token of the block than below it. 1 is a head that copies, 0 is chance, −1 lowers
    it. `logits` is by how much: its logit minus the mean of the other tokens of the block.
    """

    rank: Float[Tensor, "layer head"]
    logits: Float[Tensor, "layer head"]


@dataclass(frozen=True)
class RowCopying:
    """`RepeatCopying` of each row of a batch."""

    rank: Float[Tensor, "batch layer head"]
    logits: Float[Tensor, "batch layer head"]


def repeat_copying(
    model: Model, tokens: Int[Tensor, "batch pos"], period: int, gap: int = 0
) -> RepeatCopying:
    """The effect of each head on the logit of the next token, in the second of two copies.

    `tokens` are those of `repeated_tokens`: two copies of a block of `period` distinct tokens, with
    `gap` tokens between and perhaps a BOS in front. The queries are the tokens of the second copy
    but for the last. What a head writes there goes through the final norm, with the scale that the
    norm had, and the unembedding; later layers are left out. Raises ValueError for tokens that do
    not hold two such copies.
    """
    by_row = repeat_copying_by_row(model, tokens, period, gap)
    return RepeatCopying(by_row.rank.mean(dim=0), by_row.logits.mean(dim=0))


def repeat_copying_by_row(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    period: int,
    gap: int = 0,
    *,
    visit_pattern: Callable[[int, Tensor], None] | None = None,
) -> RowCopying:
    """`repeat_copying` before the mean over rows. `visit_pattern` is that of `visit_values`."""
    n_pos = tokens.shape[1]
    start, first = n_pos - period, n_pos - 2 * period - gap
    if (
        period < 2
        or gap < 0
        or first < 0
        or not torch.equal(tokens[:, start:], tokens[:, first : first + period])
    ):
        raise ValueError(
            f"Two copies of {period} tokens, {gap} apart, are not in these tokens (or are shorter "
            "than 2)."
        )
    norm, directions = final_norm(model), _unembedding(model, tokens[:, start:])
    ranks: list[Tensor] = []
    differences: list[Tensor] = []

    def visit(layer: int, values: Tensor, mixed: Tensor) -> None:
        for head, W_O in enumerate(_outputs(model, layer).to(tokens.device)):
            written = norm.without_scale(mixed[:, start:-1, head] @ W_O)
            raised = written @ directions.mT  # [batch query block]
            target = raised.diagonal(offset=1, dim1=1, dim2=2)[..., None]
            apart = target - raised  # 0 for the target itself.
            ranks.append(apart.sign().sum(dim=-1).mean(dim=1) / (period - 1))
            differences.append(apart.sum(dim=-1) / (period - 1))

    residual = visit_values(model, tokens, visit, visit_pattern)
    scale = norm.scale(residual)[:, start:-1]
    logits = [(apart / scale).mean(dim=1) for apart in differences]
    shape = model_config(model).n_layers, model_config(model).n_heads
    return RowCopying(
        *(torch.stack(one, dim=1).unflatten(1, shape).clone() for one in (ranks, logits))
    )


def olsson_copying_scores(
    model: Model, tokens: Int[Tensor, "batch pos"], *, skip: int = 0
) -> Float[Tensor, "layer head"]:
    """How much of what a head raises is the token it attends to, from −1 to 1.

    `logit_copying_score` (after Olsson et al. 2022) of every head at once, with the gain of the
    final norm folded in. `skip` positions in front, such as a BOS, are left out. A head that raises
    tokens without regard to what it attends to scores 4 / (n + 1) − 1 for n tokens, not 0: −0.85
    for 25. A head that lowers what it attends to scores −1, and so does one that writes nothing.
    """
    norm, sample = final_norm(model), tokens[:, skip:]
    mean_direction = model.W_U.detach().mean(dim=1, dtype=torch.float32).to(tokens.device)
    directions = _unembedding(model, sample) - mean_direction
    scores: list[Tensor] = []

    def visit(layer: int, values: Tensor, mixed: Tensor) -> None:
        for head, W_O in enumerate(_outputs(model, layer).to(tokens.device)):
            written = norm.without_scale(values[:, skip:, head] @ W_O)
            raised = (written @ directions.mT).relu()  # [batch attended sample]
            own = raised.diagonal(dim1=1, dim2=2)
            share = own / (own + raised.sum(dim=-1)).clamp_min(1e-9)
            scores.append(4 * share.mean() - 1)

    visit_values(model, tokens, visit)
    return torch.stack(scores).unflatten(0, (model_config(model).n_layers, -1))


class _Seen(Exception):
    """Raised inside the forward pass: nothing after this point is needed."""


def random_copying_scores(
    model: Model, embed: Float[Tensor, "d_vocab d_model"], *, n: int = 200, seed: int = 0
) -> Float[Tensor, " head"]:
    """`copying_scores` of `n` random heads in the last layer: what no training gives.

    W_V and W_O are normal, of the shapes of the model's heads; the gains of the norms are the
    model's. `embed` takes the place of W_E, as in `copying_scores`.
    """
    generator, cfg = torch.Generator().manual_seed(seed), model_config(model)
    core = unembedding(model) @ embed
    core = (
        final_norm(model).folded(core) @ core @ layer_norm_of(model, cfg.n_layers - 1).folded(core)
    )
    W_V = torch.randn(n, cfg.d_model, cfg.d_head, generator=generator)
    W_O = torch.randn(n, cfg.d_head, cfg.d_model, generator=generator)
    values = torch.linalg.eigvals(W_O @ core @ W_V)
    return values.real.sum(dim=-1) / values.abs().sum(dim=-1)


def effective_embedding_of(model: Model, *, batch: int = 1024) -> Float[Tensor, "d_vocab d_model"]:
    """What is in the residual stream after layer 0 for each token, without attention.

    W_E + MLP 0 of W_E (after McDougall et al. 2024), with the norms of the MLP. Heads of layer 0
    write nothing and positions are left out, so it is a property of the weights, of which the token
    alone decides. W_E itself for a model without MLPs. From layer 1 on it takes the place of W_E in
    circuits: `copying_scores(model, effective_embedding_of(model))`. Computed for `batch` tokens at
    a time, in float32.

    It is not the input of a head on text, where attention of layer 0 and the positions are added,
    and it contains none of the later MLPs.

    >>> from induction_heads.models.hand_built import hand_built
    >>> model = hand_built("induction", d_vocab=8, n_ctx=8)  # It has no MLPs.
    >>> torch.equal(effective_embedding_of(model), model.W_E)
    True
    """
    if isinstance(model, AttentionOnly):
        return embedding(model)
    config, W_E = model_config(model), embedding(model)
    rows: list[Tensor] = []

    def without_positions(residual: Tensor, hook: object) -> Tensor:
        # Rotary models add none. What enters is kept there: some scale or norm the embedding.
        if config.positional_embedding_type != "standard":
            return residual
        start = batch * len(rows)
        return W_E[start : start + batch, None].to(residual)

    def nothing(written: Tensor, hook: object) -> Tensor:
        return torch.zeros_like(written)

    def keep(residual: Tensor, hook: object) -> None:
        rows.append(residual[:, 0].float())
        raise _Seen

    after = "blocks.1.hook_resid_pre" if config.n_layers > 1 else "ln_final.hook_in"
    hooks = [
        ("blocks.0.hook_resid_pre", without_positions),
        ("blocks.0.hook_attn_out", nothing),
        (after, keep),
    ]
    with torch.no_grad():
        for tokens in torch.arange(config.d_vocab, device=config.device)[:, None].split(batch):
            with suppress(_Seen):
                model.run_with_hooks(tokens, return_type=None, fwd_hooks=hooks)
    return torch.cat(rows).to(W_E.device)


def _unembedding(model: Model, tokens: Tensor) -> Float[Tensor, "batch pos d_model"]:
    """The direction in the residual stream that raises the logit of each token."""
    return model.W_U.detach().T[tokens.to(model.W_U.device)].float().to(tokens.device)


def _outputs(model: Model, layer: int) -> Float[Tensor, "head d_head d_model"]:
    """W_O of every head, with the gain of the norm behind the attention where there is one."""
    return post_norm_of(model, layer).without_scale(layer_weights(model, layer)["W_O"])
