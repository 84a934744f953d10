"""Is a circuit enough? Its logits computed alone, from the weights that its story names.

An ablation removes a part and asks whether the model needs it. Here everything else is removed: the
story is written down as a small computation, and its predictions are compared with the model's.
Faithfulness, completeness and minimality are the criteria of Wang et al. (2023).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.interp.ablation import Head, head_hooks, second_copy_loss
from induction_heads.interp.circuits import head_weights
from induction_heads.interp.norms import final_norm, layer_norm_of
from induction_heads.models.attention import causal_softmax
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import (
    Model,
    embedding,
    model_config,
    require_head,
    require_tokens,
    unembedding,
)
from induction_heads.models.loading import as_hooked

Writer = tuple[Head | None, int]
"""(head, distance): at each position, the mark that this head writes about the token so far back.

(None, 0) is the embedding of the token itself.
"""

TOKEN: Writer = (None, 0)
"""The token embedding."""


@dataclass(frozen=True)
class InductionTerms:
    """What one induction head reads in an idealized circuit.

    Its attention score is the sum over `matches` of what the first writer puts into the query times
    what the second puts into the key. Its values are the sum over `copies`.
    """

    matches: tuple[tuple[Writer, Writer], ...]
    copies: tuple[Writer, ...] = (TOKEN,)


Circuit = Mapping[Head, InductionTerms]
"""Induction head → what it reads."""


def two_head_circuit(previous: Head, induction: Sequence[Head]) -> Circuit:
    """The story of the two heads: a query finds the key whose previous token it equals.

    Raises ValueError unless each induction head is named once, and is in a later layer than
    `previous`.

    >>> circuit = two_head_circuit((0, 1), [(1, 0)])
    >>> circuit[1, 0].matches  # The token at the query, the token before the key.
    (((None, 0), ((0, 1), 1)),)
    """
    if not induction or len(set(induction)) < len(induction):
        raise ValueError(f"Got induction heads {list(induction)}. Name at least one, each once.")
    for layer, head in induction:
        if layer <= previous[0]:
            raise ValueError(
                f"L{layer}H{head} is not in a later layer than L{previous[0]}H{previous[1]}, so it "
                "cannot read its marks. Pass the previous-token head first."
            )
    return {head: InductionTerms(matches=((TOKEN, (previous, 1)),)) for head in induction}


def minimal_circuit_logits(
    model: Model, tokens: Int[Tensor, "batch pos"], previous: Head, induction: Sequence[Head]
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of a previous-token head and the induction heads it feeds, and of nothing else.

    The previous-token head leaves an ideal mark, W_E[x_{j−1}] W_OV, at every position j but 0. Each
    induction head matches the token at the query with the mark at the key, and adds W_E[x_j] W_OV
    of the keys it attends to. Positions, other heads and the direct path are left out.
    `idealized_circuit_logits` says how norms are treated, and `two_head_circuit` and it what they
    raise.

    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> model, heads = hand_built("induction", d_vocab=8), hand_built_heads("induction")
    >>> tokens = torch.tensor([[5, 2, 7, 5, 2]])
    >>> logits = minimal_circuit_logits(
    ...     model, tokens, heads["previous_token"], [heads["induction"]]
    ... )
    >>> logits.shape, logits[0, -1].argmax().item()  # 2 was followed by 7.
    (torch.Size([1, 5, 8]), 7)
    """
    return idealized_circuit_logits(model, tokens, two_head_circuit(previous, induction))


def idealized_circuit_logits(
    model: Model, tokens: Int[Tensor, "batch pos"], circuit: Circuit
) -> Float[Tensor, "batch pos d_vocab"]:
    """Logits of a circuit in which every earlier head attends to exactly one position.

    The weights are the model's; where the writers look is set by hand: (h, 1) writes W_E[x_{j−1}]
    W_OV of head h at position j, and zero where there is no such token. An induction head attends
    by the softmax of its matches alone, / √d_head, and its values are its copies alone.

    With layer norm, a writer reads the normalized embedding, without positions. The later norms are
    linear once their scale is fixed: each position keeps the scale that the model's own forward
    pass has there. The biases of the norms are left out.

    Raises ValueError for a head that the model does not have, a writer that is not in an earlier
    layer than its reader or has a negative distance, and for a model whose layers are not plain
    attention heads with positions added to the tokens.
    """
    require_tokens(model, tokens)
    require_plain_heads(model)
    for reader, terms in circuit.items():
        require_head(model, *reader)
        _require_writers(model, reader, terms)
    W_Q, W_K, W_V, W_O = head_weights(model)
    scales = _norm_scales(model, tokens)

    def read(writer: Writer, layer: int) -> Float[Tensor, "batch pos d_model"]:
        mark = _mark(model, tokens, writer, W_V, W_O)
        return layer_norm_of(model, layer).without_scale(mark) / scales[layer][..., None]

    written = torch.zeros(*tokens.shape, W_Q.shape[2])
    for (layer, head), terms in circuit.items():
        scores = torch.zeros(len(tokens), tokens.shape[1], tokens.shape[1])
        for query, key in terms.matches:
            queries, keys = (
                read(query, layer) @ W_Q[layer, head],
                read(key, layer) @ W_K[layer, head],
            )
            scores = scores + queries @ keys.mT / math.sqrt(W_Q.shape[-1])
        values = sum((read(writer, layer) for writer in terms.copies), torch.zeros_like(written))
        written = written + causal_softmax(scores) @ values @ W_V[layer, head] @ W_O[layer, head]
    return final_norm(model).without_scale(written) / scales[-1][..., None] @ unembedding(model)


def _mark(model: Model, tokens: Tensor, writer: Writer, W_V: Tensor, W_O: Tensor) -> Tensor:
    """What a writer leaves at each position: nothing where there is no token so far back."""
    head, distance = writer
    mark = embedding(model)[tokens]
    if head is not None:
        mark = layer_norm_of(model, head[0])(mark) @ W_V[head] @ W_O[head]
    there = torch.zeros_like(mark)
    there[:, distance:] = mark[:, : tokens.shape[1] - distance]
    return there


def _norm_scales(model: Model, tokens: Tensor) -> list[Float[Tensor, "batch pos"]]:
    """What the norm of each layer, then the final one, divides by in the model's own pass."""
    n_layers = model_config(model).n_layers
    norms = [*(layer_norm_of(model, layer) for layer in range(n_layers)), final_norm(model)]
    if all(norm.gain is None for norm in norms):
        return [torch.ones(tokens.shape)] * len(norms)
    names = [f"blocks.{layer}.hook_resid_pre" for layer in range(n_layers)]
    names.append(f"blocks.{n_layers - 1}.hook_resid_post")
    with torch.no_grad():
        _, cache = as_hooked(model).run_with_cache(tokens, names_filter=lambda name: name in names)
    return [norm.scale(cache[name].float()) for norm, name in zip(norms, names, strict=True)]


def knockout_losses(
    model: Model, tokens: Int[Tensor, "batch pos"], previous: Head, induction: Sequence[Head]
) -> dict[tuple[Head, ...], tuple[float, float]]:
    """Second-copy losses in nats with each set K of the circuit's heads removed, none to all.

    K → (loss of the model without K, loss of the circuit without K), for tokens of two copies, with
    or without a BOS token. From the model, K is zero-ablated. From the circuit its terms are
    dropped: without the previous-token head there are no marks, so the induction heads attend
    evenly. A circuit is faithful if the two agree for the empty set, and complete if they agree for
    every K; their difference is the incompleteness score |F(C∖K) − F(M∖K)| (Wang et al. 2023).
    A head of the circuit is needed if some K exists without it for which removing it as well
    changes the circuit's loss (minimality). Raises as `minimal_circuit_logits` does.
    """
    bridge, period = as_hooked(model), tokens.shape[1] // 2
    heads = [previous, *induction]
    losses = {}
    for size in range(len(heads) + 1):
        for removed in combinations(heads, size):
            circuit = {
                head: InductionTerms(()) if previous in removed else terms
                for head, terms in two_head_circuit(previous, induction).items()
                if head not in removed
            }
            alone = idealized_circuit_logits(model, tokens, circuit)
            with torch.no_grad():
                rest = bridge.run_with_hooks(tokens, fwd_hooks=head_hooks(removed))
            losses[removed] = (
                second_copy_loss(rest, tokens, period),
                second_copy_loss(alone, tokens, period),
            )
    return losses


def require_plain_heads(model: Model) -> None:
    """Raise ValueError unless the layers are attention heads and positions are added to tokens."""
    if isinstance(model, AttentionOnly):
        plain = type(model) is AttentionOnly
    else:
        positions = getattr(model.cfg, "positional_embedding_type", "standard")
        plain = bool(getattr(model.cfg, "attn_only", False)) and positions == "standard"
    if not plain:
        raise ValueError(
            f"This {type(model).__name__} has more than plain heads (MLPs, rotary positions or "
            "smeared keys), which the circuit leaves out. Use an attention-only model such as "
            "toy-2l or python-2l."
        )


def _require_writers(model: Model, reader: Head, terms: InductionTerms) -> None:
    writers = [*(writer for match in terms.matches for writer in match), *terms.copies]
    for head, distance in writers:
        if distance < 0:
            raise ValueError(f"The writer {(head, distance)} looks ahead. Use a distance of 0 up.")
        if head is None:
            continue
        require_head(model, *head)
        if head[0] >= reader[0]:
            raise ValueError(
                f"L{reader[0]}H{reader[1]} cannot read L{head[0]}H{head[1]}, which is not in an "
                "earlier layer."
            )
