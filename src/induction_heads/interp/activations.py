"""What happens inside a forward pass: attention patterns, and scores computed as they appear.

It takes an `AttentionOnly` model or a TransformerLens `TransformerBridge` of any architecture, and
stops as soon as the result is known. The result is in float32, on the device of the tokens.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.models.attention_only import AttentionLayer, AttentionOnly
from induction_heads.models.interface import HookedModel, Model, model_config, require_tokens

Scorer = Callable[[Float[Tensor, "batch head query key"]], Float[Tensor, "batch head"]]
"""Turns the attention patterns of one layer into one number per head."""


class _AllSeen(Exception):
    """Raised inside the forward pass: nothing after this point is needed."""


def visit_patterns(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    visit: Callable[[int, Tensor], None],
    through: int | None = None,
) -> None:
    """Call `visit(layer, pattern)` for every layer in turn, then stop the forward pass.

    `through` is the last layer that is wanted; None is the last of the model.
    """
    require_tokens(model, tokens)
    last = model_config(model).n_layers - 1 if through is None else through
    with torch.inference_mode():
        if isinstance(model, AttentionOnly):
            for layer, pattern in _own_patterns(model, tokens):
                visit(layer, pattern.float())
                if layer == last:
                    break
            return

        def hook(pattern: Tensor, hook: Any) -> None:
            layer = int(hook.name.split(".")[1])
            visit(layer, pattern.float().to(tokens.device))
            if layer == last:
                raise _AllSeen

        names = [f"blocks.{layer}.attn.hook_pattern" for layer in range(last + 1)]
        with suppress(_AllSeen):
            model.run_with_hooks(
                tokens.to(model.cfg.device), return_type=None, fwd_hooks=[(n, hook) for n in names]
            )


def _own_patterns(model: AttentionOnly, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
    residual = model.embed(tokens)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, AttentionLayer)
        yield index, layer.pattern(layer.norm(residual))
        if index + 1 < len(model.layers):
            residual = residual + layer(residual)


def attention_patterns(
    model: Model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head query key"]:
    """The attention pattern of every head: how much each query looks at each key.

    Each row sums to 1. Raises ValueError for tokens that are not [batch, pos], that do not fit, or
    that are not in the vocabulary.

    >>> from induction_heads.models.hand_built import hand_built
    >>> model = hand_built("duplicate_token", d_vocab=8, n_ctx=8)  # Layer 1 holds the head.
    >>> patterns = attention_patterns(model, torch.tensor([[3, 1, 4, 1, 5]]))
    >>> patterns.shape  # [layer batch head query key]
    torch.Size([2, 1, 2, 5, 5])
    >>> patterns[1, 0, 1, 3].argmax().item()  # The 1 at position 3 attends to the earlier 1.
    1
    """
    patterns: list[Tensor] = []
    visit_patterns(model, tokens, lambda _, pattern: patterns.append(pattern))
    return torch.stack(patterns).clone()


def head_scores(
    model: Model, tokens: Int[Tensor, "batch pos"], scorers: Mapping[str, Scorer]
) -> dict[str, Float[Tensor, "layer head"]]:
    """Each scorer's value for every head, averaged over the batch.

    The patterns of a layer are scored during the forward pass and then dropped, so memory does not
    grow with the number of layers.

    >>> from induction_heads.interp.scores import previous_token_score
    >>> from induction_heads.models.hand_built import hand_built, hand_built_heads
    >>> model, tokens = hand_built("previous_token"), torch.randint(32, (4, 20))
    >>> scores = head_scores(model, tokens, {"previous token": previous_token_score})
    >>> scores["previous token"].shape  # [layer head]
    torch.Size([2, 2])
    >>> layer_head = hand_built_heads("previous_token")["previous_token"]
    >>> round(scores["previous token"][layer_head].item(), 3)
    1.0
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in scorers}

    def visit(_: int, pattern: Tensor) -> None:
        for name, scorer in scorers.items():
            rows[name].append(scorer(pattern).mean(dim=0))

    visit_patterns(model, tokens, visit)
    return {name: torch.stack(layers).clone() for name, layers in rows.items()}


Mixed = Float[Tensor, "batch pos head d_head"]


def visit_values(
    model: Model,
    tokens: Int[Tensor, "batch pos"],
    visit: Callable[[int, Mixed, Mixed], None],
    visit_pattern: Callable[[int, Tensor], None] | None = None,
) -> Float[Tensor, "batch pos d_model"]:
    """Call `visit(layer, values, mixed)` for every layer, and return the last residual stream.

    `values` are the value vectors of each query head, v; `mixed` is their sum weighted by its
    pattern, z, as it enters W_O. Heads that share values get a copy each. `visit_pattern(layer,
    pattern)`, if given, reads the patterns of the same pass.
    The residual stream is the one in front of the final norm.
    """
    require_tokens(model, tokens)
    with torch.inference_mode():
        if isinstance(model, AttentionOnly):
            residual = _visit_own_values(model, tokens, visit, visit_pattern)
        else:
            residual = _visit_bridge_values(model, tokens, visit, visit_pattern)
    return residual.clone()  # Outside, so that a caller may change it in place.


def _visit_own_values(
    model: AttentionOnly,
    tokens: Tensor,
    visit: Callable[[int, Mixed, Mixed], None],
    visit_pattern: Callable[[int, Tensor], None] | None,
) -> Tensor:
    residual = model.embed(tokens)
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, AttentionLayer)
        x = layer.norm(residual)
        values = torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
        pattern = layer.pattern(x)
        if visit_pattern:
            visit_pattern(index, pattern.float())
        mixed = pattern @ values
        visit(index, values.transpose(1, 2).float(), mixed.transpose(1, 2).float())
        residual = residual + torch.einsum("bhpd,hdm->bpm", mixed, layer.W_O)
    return residual


def _visit_bridge_values(
    model: HookedModel,
    tokens: Tensor,
    visit: Callable[[int, Mixed, Mixed], None],
    visit_pattern: Callable[[int, Tensor], None] | None,
) -> Tensor:
    n_heads = model.cfg.n_heads
    values: list[Tensor] = []
    residual: list[Tensor] = []

    def keep_values(value: Tensor, hook: Any) -> None:
        values[:] = [value.repeat_interleave(n_heads // value.shape[2], dim=2)]

    def pass_pattern_on(pattern: Tensor, hook: Any) -> None:
        assert visit_pattern
        visit_pattern(int(hook.name.split(".")[1]), pattern.float().to(tokens.device))

    def pass_on(entered: Tensor, hook: Any) -> None:
        layer = int(hook.name.split(".")[1])
        mixed = entered.flatten(2).unflatten(-1, (n_heads, -1))
        visit(layer, *(x.float().to(tokens.device) for x in (values[0], mixed)))

    def keep_residual(value: Tensor, hook: Any) -> None:
        residual[:] = [value.float().to(tokens.device)]
        raise _AllSeen

    layers = range(model.cfg.n_layers)
    hooks = [(f"blocks.{layer}.attn.hook_v", keep_values) for layer in layers]
    # What enters W_O: z, times a gate where the architecture has one.
    hooks += [(f"blocks.{layer}.attn.o.hook_in", pass_on) for layer in layers]
    if visit_pattern:
        hooks += [(f"blocks.{layer}.attn.hook_pattern", pass_pattern_on) for layer in layers]
    hooks.append(("ln_final.hook_in", keep_residual))
    with suppress(_AllSeen):
        model.run_with_hooks(tokens.to(model.cfg.device), return_type=None, fwd_hooks=hooks)
    return residual[0]
