"""The two circuits of a head, from its weights: where it looks and what it writes.

Everything is computed in float32, whatever the weights are stored in, and query heads that share
keys and values get a copy each. Where a model has a norm, `copying_scores`, `positional_pattern`
and `previous_token_readout` fold its gain into the next weights. The circuits and the logits below
take the weights W_E, W_Q, W_K, W_V, W_O and W_U as they are: norms, biases, rotary positions, norms
of queries and keys, and MLPs are left out.
`logit_copying_score`, `logit_attribution` and the two that read patterns run the model once.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import bos_token, distinct_tokens, not_drawn, with_bos
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.norms import final_norm, layer_norm_of
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly
from induction_heads.models.interface import (
    HookedModel,
    Model,
    embedding,
    model_config,
    require_head,
    require_tokens,
    unembedding,
)
from induction_heads.models.loading import as_hooked

if TYPE_CHECKING:  # Importing it takes seconds, and most of this module works without.
    import transformer_lens


def layer_weights(model: Model, layer: int) -> dict[str, Tensor]:
    """W_Q, W_K, W_V [head d_model d_head] and W_O [head d_head d_model] of one layer, in float32.

    Heads that share keys and values (grouped-query attention) each get their own copy of them.
    """
    names = ("W_Q", "W_K", "W_V", "W_O")
    if isinstance(model, AttentionOnly):
        weights = model.layers[layer]
        assert isinstance(weights, AttentionLayer)
        return {name: getattr(weights, name).detach().float() for name in names}
    attention, n_heads = model.blocks[layer].attn, model.cfg.n_heads
    return {name: per_query_head(getattr(attention, name), n_heads) for name in names}


def per_query_head(
    weight: Float[Tensor, "key_head *shape"], n_heads: int
) -> Float[Tensor, "head *shape"]:
    """One entry for each query head: query heads next to each other share a key and value head."""
    return expand_kv_heads(weight.detach().float(), n_heads)


def head_weights(model: Model) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_Q, W_K, W_V [layer head d_model d_head] and W_O [layer head d_head d_model] of a model."""
    config = model_config(model)
    layers = [layer_weights(model, layer) for layer in range(config.n_layers)]
    stacked = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
    return stacked["W_Q"], stacked["W_K"], stacked["W_V"], stacked["W_O"]


def copying_scores(
    model: Model, embed: Float[Tensor, "d_vocab d_model"] | None = None
) -> Float[Tensor, "layer head"]:
    """How far each head raises the logit of the token it attends to, from −1 to 1.

    Σλ / Σ|λ| over the eigenvalues λ of W_E W_V W_O W_U (Elhage et al. 2021): 1 for a head that
    copies, −1 for one that lowers what it sees, near 0 for neither, and 0 for a head that writes
    nothing. The eigenvalues are those of the d_head × d_head matrix W_O (W_U W_E) W_V, which has
    the same nonzero ones.

    `embed` takes the place of W_E. In a model with MLPs pass `copying.effective_embedding_of`:
    heads from layer 1 on do not read the bare embedding there, and without it the score can have
    the wrong sign. Raises ValueError for another shape than that of W_E.
    """
    config = model_config(model)
    read: Tensor = model.W_E.detach() if embed is None else embed
    if read.shape != (config.d_vocab, config.d_model):
        raise ValueError(
            f"Got an embedding of shape {list(read.shape)}, but this model has {config.d_vocab} "
            f"tokens of {config.d_model} numbers. Pass one row for each token."
        )
    unembed_embed = _unembed_embed(model, read)  # Costly, so once.
    after = final_norm(model).folded(unembed_embed)
    rows = []
    for layer in range(config.n_layers):
        weights = layer_weights(model, layer)
        before = layer_norm_of(model, layer).folded(unembed_embed)
        core = after @ unembed_embed @ before
        eigenvalues = torch.linalg.eigvals(weights["W_O"] @ core @ weights["W_V"])
        total = eigenvalues.abs().sum(dim=-1)
        rows.append(eigenvalues.real.sum(dim=-1) / total.clamp_min(1e-9))
    return torch.stack(rows)


def _unembed_embed(model: Model, embed: Tensor) -> Float[Tensor, "d_model d_model"]:
    """W_U times an embedding, in float32; a part of the vocabulary at a time in half precision."""
    W_U = model.W_U.detach()
    if W_U.dtype == embed.dtype == torch.float32:
        return W_U @ embed
    parts = zip(W_U.split(_IDS_AT_ONCE, dim=1), embed.split(_IDS_AT_ONCE), strict=True)
    start = torch.zeros(len(W_U), embed.shape[1], device=W_U.device)
    return sum((write.float() @ read.float() for write, read in parts), start)


_IDS_AT_ONCE = 16384


def qk_circuit(model: Model, layer: int, head: int) -> "transformer_lens.FactoredMatrix":
    """How strongly a head's query at one token matches its key at another: [d_vocab, d_vocab].

    W_E W_Q W_Kᵀ W_Eᵀ, query token × key token (Elhage et al. 2021), as a product of
    [d_vocab d_head] and [d_head d_vocab]. Neither the scale 1/√d_head nor positions, earlier layers
    or layer norm are in it. Raises ValueError for a head that the model does not have.

    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> model = hand_built("duplicate_token", d_vocab=8, n_ctx=8)
    >>> circuit = qk_circuit(model, *hand_built_heads("duplicate_token")["duplicate_token"])
    >>> circuit.AB.shape  # Query token × key token.
    torch.Size([8, 8])
    >>> circuit.AB.argmax(dim=1).tolist()  # Each token matches itself best.
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    from transformer_lens import FactoredMatrix

    require_head(model, layer, head)
    weights = layer_weights(model, layer)
    W_E = embedding(model)
    return FactoredMatrix(W_E @ weights["W_Q"][head], (W_E @ weights["W_K"][head]).mT)


def ov_circuit(model: Model, layer: int, head: int) -> "transformer_lens.FactoredMatrix":
    """What attending to a token does to the logit of each token: [d_vocab, d_vocab].

    W_E W_V W_O W_U, attended token × predicted token (Elhage et al. 2021), as a product of
    [d_vocab d_head] and [d_head d_vocab]. Layer norm is left out. Raises ValueError for a head that
    the model does not have.

    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> model = hand_built("induction", d_vocab=8, n_ctx=16)
    >>> circuit = ov_circuit(model, *hand_built_heads("induction")["induction"])
    >>> circuit.AB.shape
    torch.Size([8, 8])
    >>> circuit.AB.argmax(dim=-1).tolist()  # Each token raises itself most: it is copied.
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    from transformer_lens import FactoredMatrix

    require_head(model, layer, head)
    weights = layer_weights(model, layer)
    write = weights["W_O"][head] @ unembedding(model)
    return FactoredMatrix(embedding(model) @ weights["W_V"][head], write)


def eigenvalue_copying_score(circuit: "transformer_lens.FactoredMatrix") -> float:
    """Σλ / Σ|λ| over the eigenvalues of a circuit, from −1 to 1 (Elhage et al. 2021).

    Complex eigenvalues come in conjugate pairs, so the sum is real. 0 for a circuit of zeros.
    `copying_scores` gives all heads of a model at once, with layer norm folded in.
    """
    eigenvalues = circuit.eigenvalues
    return (eigenvalues.real.sum() / eigenvalues.abs().sum().clamp_min(1e-9)).item()


def logit_copying_score(
    model: Model, layer: int, head: int, tokens: Int[Tensor, "batch pos"]
) -> float:
    """How much of what a head raises is the token it attends to, from −1 to 1.

    After Olsson et al. (2022), on random tokens. For each position j: the logits that the head
    writes where it attends to j alone, v_j W_O W_U, minus their mean over the vocabulary, negative
    ones set to 0. With a(j) on the token at j, and the sum over all tokens of the row, a(j) itself
    among them, the share a(j) / (a(j) + sum) lies between 0 and 0.5, and is 0 where the sum is 0.
    Returns 4 · (mean share) − 1. The final layer norm is left out. Raises ValueError for a head
    that the model does not have.
    """
    require_head(model, layer, head)
    require_tokens(model, tokens)
    name = f"blocks.{layer}.attn.hook_v"
    values = _activations(model, tokens, [name])[name]
    heads_a_value = len(layer_weights(model, layer)["W_V"]) // values.shape[2]
    written = values[:, :, head // heads_a_value] @ layer_weights(model, layer)["W_O"][head]
    logits = written @ unembedding(model)
    raised = (logits - logits.mean(dim=-1, keepdim=True)).relu()
    n_pos = tokens.shape[1]
    among_sample = raised.gather(2, tokens[:, None, :].expand(-1, n_pos, -1))  # [batch pos sample]
    own = among_sample.diagonal(dim1=1, dim2=2)
    share = own / (own + among_sample.sum(dim=-1)).clamp_min(1e-9)
    return 4 * share.mean().item() - 1


def logit_attribution(
    model: Model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "component batch pos-1"]:
    """What each component adds to the logit of the token that comes next, straight through W_U.

    Components: token embedding, position embedding, then L0H0, L0H1, … in order. Entry i along the
    last axis is about the token at i + 1, predicted from position i. For attention-only models
    without layer norm the components sum to that logit; the final layer norm, MLPs and biases are
    left out.
    """
    require_tokens(model, tokens)
    n_layers = model_config(model).n_layers
    mixed_at = [f"blocks.{layer}.attn.hook_z" for layer in range(n_layers)]
    mixed = _activations(model, tokens, mixed_at)
    directions = unembedding(model).T[tokens[:, 1:]]  # [batch pos-1 d_model]
    rows = [embedding(model)[tokens[:, :-1]], _positions(model)[: tokens.shape[1] - 1]]
    contributions = [(row * directions).sum(dim=-1) for row in rows]
    for layer, name in enumerate(mixed_at):
        reads = torch.einsum("hdm,bpm->bphd", layer_weights(model, layer)["W_O"], directions)
        contributions += (mixed[name][:, :-1] * reads).sum(dim=-1).unbind(dim=2)
    return torch.stack(contributions)


def induction_circuit_parameters(config: Mapping[str, int]) -> int:
    """How many weights a previous-token head and an induction head have together.

    Two heads, each with W_Q, W_K, W_V and W_O of d_model × d_head. Embeddings and biases are not
    counted. Raises KeyError without "d_model" or "d_head".
    """
    return 2 * 4 * config["d_model"] * config["d_head"]


def _activations(model: Model, tokens: Tensor, names: list[str]) -> dict[str, Tensor]:
    """The named activations of one forward pass, in float32."""
    with torch.no_grad():
        _, cache = as_hooked(model).run_with_cache(tokens, names_filter=lambda name: name in names)
    return {name: cache[name].float() for name in names}


def positional_pattern(model: Model, layer: int, head: int) -> Float[Tensor, "query key"]:
    """The pattern a head would have if the residual stream held the position embeddings alone.

    Shape [n_ctx, n_ctx]. Tokens and earlier layers are left out, so for layer 1 and above this is
    only what the positions say directly. The rest of the layer is the model's own: its norm, the
    biases of queries and keys, its scale and its mask. With layer norm, the position embeddings are
    normalized on their own, which makes them larger than they are beside a token.
    Raises ValueError for a layer or head that the model does not have, and for a model that adds no
    positions to the residual stream, as with rotary ones.
    """
    require_head(model, layer, head)
    positions = _positions(model)[None]
    with torch.no_grad():
        if isinstance(model, AttentionOnly):
            own = model.layers[layer]
            assert isinstance(own, AttentionLayer)
            return own.pattern(own.norm(positions.to(own.W_Q.dtype)))[0, head].float()
        return _hooked_positional_pattern(model, layer, positions)[head]


def _hooked_positional_pattern(model: HookedModel, layer: int, positions: Tensor) -> Tensor:
    """The patterns of a layer of a bridge whose stream is replaced by the positions."""
    found: list[Tensor] = []

    def replace(residual: Tensor, hook: object) -> Tensor:
        return positions.to(residual)

    def keep(pattern: Tensor, hook: object) -> None:
        found.append(pattern[0].float())

    hooks = [
        (f"blocks.{layer}.hook_resid_pre", replace),
        (f"blocks.{layer}.attn.hook_pattern", keep),
    ]
    anything = torch.zeros(1, positions.shape[1], dtype=torch.long, device=model.cfg.device)
    model.run_with_hooks(anything, return_type=None, fwd_hooks=hooks)
    return found[0]


def previous_token_readout(
    model: Model, layer: int, head: int, *, batch: int = 8, seed: int = 0
) -> float:
    """How often what a layer-0 head writes at position i identifies the token at i − 1.

    The head's output at i is compared with what it would write if it attended to position i − 1
    alone and token t were there, for every t of the vocabulary. The nearest t is the reading.
    Returns the share of readings equal to the true token, on rows of distinct random tokens;
    chance is 1 / d_vocab. Raises ValueError for a layer after the first, whose input is not just
    token plus position.
    """
    require_head(model, layer, head)
    if layer != 0:
        raise ValueError(f"layer={layer}: this readout is defined for heads of layer 0.")
    config = model_config(model)
    bos, excluded = bos_token(model), not_drawn(model)
    n_ids = config.d_vocab - len(excluded)
    length = min(config.n_ctx - (bos is not None), n_ids, 64 - (bos is not None))
    tokens = with_bos(distinct_tokens(config.d_vocab, length, batch, seed, excluded), bos)
    weights = {name: weight[head] for name, weight in layer_weights(model, 0).items()}
    norm, W_E, W_pos = layer_norm_of(model, 0), embedding(model), _positions(model)
    writes = weights["W_V"] @ weights["W_O"]

    pattern = attention_patterns(model, tokens)[0, :, head]  # With all biases of the model.
    written = pattern @ norm(W_E[tokens] + W_pos[: tokens.shape[1]]) @ writes
    right = []
    for i in range(1, tokens.shape[1]):
        would_write = norm(W_E + W_pos[i - 1]) @ writes
        nearest = torch.cdist(written[:, i], would_write).argmin(dim=-1)
        right.append(nearest == tokens[:, i - 1])
    return torch.stack(right).float().mean().item()


def _positions(model: Model) -> Float[Tensor, "n_ctx d_model"]:
    """The position embeddings. Raises ValueError for a model that has none, as with rotary ones."""
    kind = getattr(getattr(model, "cfg", None), "positional_embedding_type", "standard")
    if kind != "standard":
        raise ValueError(f"This model has {kind} positions: none are added to the tokens.")
    # OPT keeps rows in front of the first position, which no token uses.
    return model.W_pos.detach().float()[-model_config(model).n_ctx :]


def expand_kv_heads(
    weights: Float[Tensor, "kv_head ..."], n_heads: int
) -> Float[Tensor, "head ..."]:
    """One entry for every query head: that of the key-value head it shares with its neighbors.

    With 8 query heads and 4 key-value heads, heads 0 and 1 read key-value head 0, heads 2 and 3
    head 1, and so on. Weights with as many entries as heads are returned unchanged. Raises
    ValueError unless `n_heads` is a multiple of the number of entries.
    """
    if n_heads < 1 or n_heads % len(weights):
        raise ValueError(
            f"{n_heads} query heads cannot share {len(weights)} key-value heads evenly: pass a "
            f"multiple of {len(weights)}."
        )
    return weights.repeat_interleave(n_heads // len(weights), dim=0)
