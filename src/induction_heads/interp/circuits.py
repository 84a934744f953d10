"""What a head looks at and what it writes: its two circuits, read off the weights.

Where a model has layer norm, `copying_scores`, `positional_pattern` and `previous_token_readout`
fold its gain into the next weights. The circuits and the logits below take the weights as they are.
`logit_copying_score` and `logit_attribution` run the model once; the rest does not.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.attention import attention_pattern
from induction_heads.attention_only import AttentionLayer, AttentionOnly
from induction_heads.shared_keys import expand_kv_heads
from induction_heads.tokens import bos_token, distinct_tokens, with_bos

if TYPE_CHECKING:  # Importing it takes seconds, and most of this module works without.
    import transformer_lens


def _layer_weights(model: Any, layer: int) -> dict[str, Tensor]:
    """W_Q, W_K, W_V [head d_model d_head] and W_O [head d_head d_model] of one layer, in float32.

    Heads that share keys and values (grouped-query attention) each get their own copy of them.
    """
    names = ("W_Q", "W_K", "W_V", "W_O")
    if isinstance(model, AttentionOnly):
        weights = model.layers[layer]
        assert isinstance(weights, AttentionLayer)
        return {name: getattr(weights, name).detach() for name in names}
    attention, n_heads = model.blocks[layer].attn, model.cfg.n_heads
    return {name: per_query_head(getattr(attention, name), n_heads) for name in names}


def per_query_head(
    weight: Float[Tensor, "key_head *shape"], n_heads: int
) -> Float[Tensor, "head *shape"]:
    """One entry for each query head: query heads next to each other share a key and value head."""
    return expand_kv_heads(weight.detach().float(), n_heads)


def head_weights(model: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """W_Q, W_K, W_V [layer head d_model d_head] and W_O [layer head d_head d_model] of a model."""
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    layers = [_layer_weights(model, layer) for layer in range(config.n_layers)]
    stacked = {name: torch.stack([layer[name] for layer in layers]) for name in layers[0]}
    return stacked["W_Q"], stacked["W_K"], stacked["W_V"], stacked["W_O"]


def _norm(model: Any, layer: int | None) -> torch.nn.Module:
    """The norm before a layer, or the final one for None; an identity where there is none."""
    if isinstance(model, AttentionOnly):
        return model.norm if layer is None else model.layers[layer].get_submodule("norm")
    bridge = model.ln_final if layer is None else model.blocks[layer].ln1
    return bridge.original_component


def without_scale(norm: torch.nn.Module, x: Float[Tensor, "*d_model"]) -> Float[Tensor, "*d_model"]:
    """What a norm does to `x` but for the division: center it, then multiply by the learned gain.

    RMS norm does not center. The learned bias is left out: it is the same whatever comes in.
    """
    if not hasattr(norm, "weight"):
        return x
    gain = norm.get_parameter("weight").detach().float().to(x.device)
    centered = x if "RMS" in type(norm).__name__ else x - x.mean(dim=-1, keepdim=True)
    return centered * gain


def final_norm(model: Any) -> torch.nn.Module:
    """The norm in front of the unembedding; an identity where there is none."""
    return _norm(model, None)


def _folded_gain(norm: torch.nn.Module, like: Tensor) -> Float[Tensor, "d_model d_model"]:
    """A norm without its division, as a matrix for row vectors, on the device of `like`."""
    return without_scale(norm, torch.eye(len(like), device=like.device))


def copying_scores(model: Any) -> Float[Tensor, "layer head"]:
    """How far each head raises the logit of the token it attends to, from −1 to 1.

    Σλ / Σ|λ| over the eigenvalues λ of W_E W_V W_O W_U (Elhage et al. 2021): 1 for a head that
    copies, −1 for one that lowers what it sees, near 0 for neither, and 0 for a head that writes
    nothing. The eigenvalues are those of the d_head × d_head matrix W_O (W_U W_E) W_V, which has
    the same nonzero ones.
    """
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    unembed_embed = model.W_U.detach().float() @ model.W_E.detach().float()  # Costly, so once.
    after = _folded_gain(_norm(model, None), unembed_embed)
    rows = []
    for layer in range(config.n_layers):
        weights = _layer_weights(model, layer)
        before = _folded_gain(_norm(model, layer), unembed_embed)
        core = after @ unembed_embed @ before
        eigenvalues = torch.linalg.eigvals(weights["W_O"] @ core @ weights["W_V"])
        total = eigenvalues.abs().sum(dim=-1)
        rows.append(eigenvalues.real.sum(dim=-1) / total.clamp_min(1e-9))
    return torch.stack(rows)


def qk_circuit(model: Any, layer: int, head: int) -> "transformer_lens.FactoredMatrix":
    """How strongly a head's query at one token matches its key at another: [d_vocab, d_vocab].

    W_E W_Q W_Kᵀ W_Eᵀ, query token × key token (Elhage et al. 2021), as a product of
    [d_vocab d_head] and [d_head d_vocab]. Neither the scale 1/√d_head nor positions, earlier layers
    or layer norm are in it. Raises IndexError for a head that the model does not have.
    """
    from transformer_lens import FactoredMatrix

    weights = _layer_weights(model, _checked(model, layer, head))
    W_E = model.W_E.detach()
    return FactoredMatrix(W_E @ weights["W_Q"][head], (W_E @ weights["W_K"][head]).mT)


def ov_circuit(model: Any, layer: int, head: int) -> "transformer_lens.FactoredMatrix":
    """What attending to a token does to the logit of each token: [d_vocab, d_vocab].

    W_E W_V W_O W_U, attended token × predicted token (Elhage et al. 2021), as a product of
    [d_vocab d_head] and [d_head d_vocab]. Layer norm is left out. Raises IndexError for a head that
    the model does not have.
    """
    from transformer_lens import FactoredMatrix

    weights = _layer_weights(model, _checked(model, layer, head))
    write = weights["W_O"][head] @ model.W_U.detach()
    return FactoredMatrix(model.W_E.detach() @ weights["W_V"][head], write)


def eigenvalue_copying_score(circuit: "transformer_lens.FactoredMatrix") -> float:
    """Σλ / Σ|λ| over the eigenvalues of a circuit, from −1 to 1 (Elhage et al. 2021).

    Complex eigenvalues come in conjugate pairs, so the sum is real. 0 for a circuit of zeros.
    `copying_scores` gives all heads of a model at once, with layer norm folded in.
    """
    eigenvalues = circuit.eigenvalues
    return (eigenvalues.real.sum() / eigenvalues.abs().sum().clamp_min(1e-9)).item()


def logit_copying_score(
    model: Any, layer: int, head: int, tokens: Int[Tensor, "batch pos"]
) -> float:
    """How much of what a head raises is the token it attends to, from −1 to 1.

    After Olsson et al. (2022), on random tokens. For each position j: the logits that the head
    writes where it attends to j alone, v_j W_O W_U, minus their mean over the vocabulary, negative
    ones set to 0. With a(j) on the token at j, and the sum over all tokens of the row, a(j) itself
    among them, the share a(j) / (a(j) + sum) lies between 0 and 0.5, and is 0 where the sum is 0.
    Returns 4 · (mean share) − 1. The final layer norm is left out. Raises IndexError for a head
    that the model does not have.
    """
    _checked(model, layer, head)
    name = f"blocks.{layer}.attn.hook_v"
    values = _activations(model, tokens, [name])[name]
    heads_a_value = len(_layer_weights(model, layer)["W_V"]) // values.shape[2]
    written = values[:, :, head // heads_a_value] @ _layer_weights(model, layer)["W_O"][head]
    logits = written @ model.W_U.detach()
    raised = (logits - logits.mean(dim=-1, keepdim=True)).relu()
    n_pos = tokens.shape[1]
    among_sample = raised.gather(2, tokens[:, None, :].expand(-1, n_pos, -1))  # [batch pos sample]
    own = among_sample.diagonal(dim1=1, dim2=2)
    share = own / (own + among_sample.sum(dim=-1)).clamp_min(1e-9)
    return 4 * share.mean().item() - 1


def logit_attribution(
    model: Any, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "component batch pos-1"]:
    """What each component adds to the logit of the token that comes next, straight through W_U.

    Components: token embedding, position embedding, then L0H0, L0H1, … in order. Entry i along the
    last axis is about the token at i + 1, predicted from position i. For attention-only models
    without layer norm the components sum to that logit; the final layer norm, MLPs and biases are
    left out.
    """
    n_layers = (model.config if isinstance(model, AttentionOnly) else model.cfg).n_layers
    mixed_at = [f"blocks.{layer}.attn.hook_z" for layer in range(n_layers)]
    mixed = _activations(model, tokens, mixed_at)
    directions = model.W_U.detach().T[tokens[:, 1:]]  # [batch pos-1 d_model]
    rows = [model.W_E.detach()[tokens[:, :-1]], _positions(model)[: tokens.shape[1] - 1]]
    contributions = [(row * directions).sum(dim=-1) for row in rows]
    for layer, name in enumerate(mixed_at):
        reads = torch.einsum("hdm,bpm->bphd", _layer_weights(model, layer)["W_O"], directions)
        contributions += (mixed[name][:, :-1] * reads).sum(dim=-1).unbind(dim=2)
    return torch.stack(contributions)


def induction_circuit_parameters(config: Mapping[str, int]) -> int:
    """How many weights a previous-token head and an induction head have together.

    Two heads, each with W_Q, W_K, W_V and W_O of d_model × d_head. Embeddings and biases are not
    counted. Raises KeyError without "d_model" or "d_head".
    """
    return 2 * 4 * config["d_model"] * config["d_head"]


def _activations(model: Any, tokens: Tensor, names: list[str]) -> dict[str, Tensor]:
    """The named activations of one forward pass."""
    if isinstance(model, AttentionOnly):
        from induction_heads.models import to_transformer_lens

        model = to_transformer_lens(model)
    with torch.no_grad():
        _, cache = model.run_with_cache(tokens, names_filter=lambda name: name in names)
    return {name: cache[name] for name in names}


def positional_pattern(model: Any, layer: int, head: int) -> Float[Tensor, "query key"]:
    """The pattern a head would have if the residual stream held the position embeddings alone.

    Shape [n_ctx, n_ctx]. Tokens and earlier layers are left out, so for layer 1 and above this is
    only what the positions say directly. With layer norm, the position embeddings are normalized on
    their own, which makes them larger than they are beside a token.
    Raises IndexError for a layer or head that the model does not have.
    """
    weights = _layer_weights(model, _checked(model, layer, head))
    positions = _norm(model, layer)(_positions(model))
    return attention_pattern(positions @ weights["W_Q"][head], positions @ weights["W_K"][head])


def previous_token_readout(
    model: Any, layer: int, head: int, *, batch: int = 8, seed: int = 0
) -> float:
    """How often what a layer-0 head writes at position i identifies the token at i − 1.

    The head's output at i is compared with what it would write if it attended to position i − 1
    alone and token t stood there, for every t of the vocabulary. The nearest t is the reading.
    Returns the share of readings equal to the true token, on rows of distinct random tokens;
    chance is 1 / d_vocab. Raises ValueError for a layer after the first, whose input is not just
    token plus position.
    """
    _checked(model, layer, head)
    if layer != 0:
        raise ValueError(f"layer={layer}: this readout is defined for heads of layer 0.")
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    bos = bos_token(model)
    excluded = () if bos is None else (bos,)
    length = min(config.n_ctx, config.d_vocab, 64) - len(excluded)
    tokens = with_bos(distinct_tokens(config.d_vocab, length, batch, seed, excluded), bos)
    weights = {name: weight[head] for name, weight in _layer_weights(model, 0).items()}
    norm, W_E, W_pos = _norm(model, 0), model.W_E.detach(), _positions(model)
    writes = weights["W_V"] @ weights["W_O"]

    residual = norm(W_E[tokens] + W_pos[: tokens.shape[1]])
    pattern = attention_pattern(residual @ weights["W_Q"], residual @ weights["W_K"])
    written = pattern @ residual @ writes
    right = []
    for i in range(1, tokens.shape[1]):
        would_write = norm(W_E + W_pos[i - 1]) @ writes
        nearest = torch.cdist(written[:, i], would_write).argmin(dim=-1)
        right.append(nearest == tokens[:, i - 1])
    return torch.stack(right).float().mean().item()


def _positions(model: Any) -> Float[Tensor, "n_ctx d_model"]:
    """The position embeddings. Raises ValueError for a model that has none, as with rotary ones."""
    kind = getattr(getattr(model, "cfg", None), "positional_embedding_type", "standard")
    if kind != "standard":
        raise ValueError(f"This model has {kind} positions: none are added to the tokens.")
    return model.W_pos.detach()


def _checked(model: Any, layer: int, head: int) -> int:
    """`layer`, if the model has that layer and head. Raises IndexError otherwise."""
    config = model.config if isinstance(model, AttentionOnly) else model.cfg
    if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
        raise IndexError(
            f"L{layer}H{head} is not in this model: it has {config.n_layers} layers of "
            f"{config.n_heads} heads, counted from 0."
        )
    return layer
