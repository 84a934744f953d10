"""Training with parts of the circuit clamped: which part is slow to learn?

Singh et al. 2024 clamp activations during training to see which subcircuit depends on which. Here
the attention pattern of a head is replaced at every step, so the head does not learn where to
attend but still learns what to write; or its output is replaced, so it learns where to attend but
not what to write. `given_parts` combines them into the three parts of the circuit.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.tokens import follows_earlier_copy
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import require_head
from induction_heads.training.recipes import RECIPES, new_model
from induction_heads.training.run import train

COPYING_STRENGTH = 5.0
"""The logit that a clamped copying head adds to a token that it attends to fully."""

Head = tuple[int, int]
Clamp = Tensor | Callable[[Tensor], Tensor]
"""A pattern [query key] for all rows, or a function from tokens to patterns [batch query key]."""


@contextmanager
def clamped_patterns(
    model: AttentionOnly, patterns: Mapping[Head, Clamp]
) -> Iterator[AttentionOnly]:
    """Inside this context the heads in `patterns` attend as given; all others are unchanged.

    A pattern may be larger than the rows: its first queries and keys are used. Raises ValueError
    for a head that the model does not have.
    """
    seen = {}
    for layer, head in patterns:
        require_head(model, layer, head)
    embed = model.embed

    def remember(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_model"]:
        seen["tokens"] = tokens
        return embed(tokens)

    model.embed = remember
    for number, layer in enumerate(model.layers):
        clamps = {head: clamp for (at, head), clamp in patterns.items() if at == number}
        layer.pattern = _clamped(layer.pattern, clamps, seen)  # pyright: ignore[reportArgumentType]
    try:
        yield model
    finally:
        for module, name in [(model, "embed"), *((layer, "pattern") for layer in model.layers)]:
            del module.__dict__[name]  # From here on the method of the class applies again.


def _clamped(
    free: Callable[[Tensor], Tensor], clamps: Mapping[int, Clamp], seen: Mapping[str, Tensor]
) -> Callable[[Tensor], Tensor]:
    """The `pattern` method of a layer with these heads replaced."""

    def pattern(x: Tensor) -> Tensor:
        heads = list(free(x).unbind(dim=1))
        n_pos = x.shape[1]
        for head, clamp in clamps.items():
            fixed = clamp if isinstance(clamp, Tensor) else clamp(seen["tokens"])
            heads[head] = fixed[..., :n_pos, :n_pos].expand_as(heads[head])
        return torch.stack(heads, dim=1)

    return pattern


@contextmanager
def clamped_copying(
    model: AttentionOnly,
    head: int,
    *,
    strength: float = COPYING_STRENGTH,
    copies: Int[Tensor, " id"] | None = None,
) -> Iterator[AttentionOnly]:
    """Inside this context this head of the last layer copies: it adds to the logits of a query
    `strength` times its attention to each token, and writes nothing else.

    Its W_V and W_O are not used. With `copies` it raises the logit of `copies[token]` in place of
    the token's own: the control, which copies the wrong tokens. Raises ValueError for a head that
    the model does not have.
    """
    last = len(model.layers) - 1
    require_head(model, last, head)
    layer, forward = model.layers[last], model.forward
    seen = {}

    def write(residual: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        x = layer.norm(residual)  # pyright: ignore[reportCallIssue]
        seen["pattern"] = pattern = layer.pattern(x)  # pyright: ignore[reportCallIssue]
        z = pattern @ torch.einsum("bpm,hmd->bhpd", x, layer.W_V)
        others = torch.arange(z.shape[1]) != head
        return torch.einsum("bhpd,hdm->bpm", z[:, others], layer.W_O[others])  # pyright: ignore[reportArgumentType, reportCallIssue, reportIndexIssue, reportOptionalSubscript]

    def copy(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos d_vocab"]:
        logits = forward(tokens)
        written = tokens if copies is None else copies[tokens]
        one_hot = F.one_hot(written, logits.shape[-1]).to(logits.dtype)
        return logits + strength * (seen["pattern"][:, head] @ one_hot)

    layer.forward, model.forward = write, copy
    try:
        yield model
    finally:
        del layer.__dict__["forward"], model.__dict__["forward"]


PARTS = ("mark", "match", "copying")
"""The parts of the circuit that `given_parts` can give, in the order of the forward pass."""


@contextmanager
def given_parts(
    model: AttentionOnly, parts: Collection[str], *, strength: float = COPYING_STRENGTH
) -> Iterator[AttentionOnly]:
    """Inside this context the heads L0H0 and L1H0 of a two-layer model have these parts.

    - `mark`: L0H0 attends to its previous token, and learns what it writes there;
    - `match`: L1H0 attends as a perfect induction head, and learns what it writes;
    - `copying`: L1H0 copies what it attends to (`clamped_copying`), and learns where to attend.

    All other parts are learned as usual. Raises ValueError for an unknown name.
    """
    if unknown := set(parts) - set(PARTS):
        raise ValueError(f"Got the parts {sorted(unknown)}. Choose from {', '.join(PARTS)}.")
    patterns: dict[Head, Clamp] = {}
    if "mark" in parts:
        patterns[0, 0] = previous_token_pattern(model.config.n_ctx)
    if "match" in parts:
        patterns[1, 0] = induction_pattern
    with ExitStack() as clamps:
        clamps.enter_context(clamped_patterns(model, patterns))
        if "copying" in parts:
            clamps.enter_context(clamped_copying(model, 0, strength=strength))
        yield model


def clamp_patterns_during_training(
    patterns: Mapping[Head, Clamp], seed: int = 0, steps: int = 30
) -> Float[Tensor, " step"]:
    """The loss at each of the first steps of training `toy-2l` with these patterns clamped.

    `patterns` names heads as (layer, head). The recipe is that of the zoo before its learning rate
    falls, with the initial weights and the data of `seed`. Loss i is measured before update i + 1.
    Two runs with the same seed differ only in the clamped patterns.
    """
    recipe = RECIPES["toy-2l"]
    settings = replace(recipe.settings, steps=steps, decay=0.0)
    with clamped_patterns(new_model(recipe, seed), patterns) as model:
        run = train(model, recipe.sample, settings, seed=seed, progress=False)
    return torch.tensor(run.losses)


def previous_token_pattern(n_pos: int) -> Float[Tensor, "query key"]:
    """The pattern of a perfect previous-token head; the first query attends to itself."""
    pattern = torch.diag(torch.ones(n_pos - 1), diagonal=-1)
    pattern[0, 0] = 1
    return pattern


def uniform_pattern(n_pos: int) -> Float[Tensor, "query key"]:
    """The pattern of a head that attends evenly to all visible keys."""
    visible = torch.ones(n_pos, n_pos).tril()
    return visible / visible.sum(dim=-1, keepdim=True)


def induction_pattern(tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch query key"]:
    """The pattern of a perfect induction head: even attention to the tokens after earlier copies.

    A query without an earlier copy attends to position 0.
    """
    marked = follows_earlier_copy(tokens).float()
    marked[..., 0] += marked.sum(dim=-1) == 0
    return marked / marked.sum(dim=-1, keepdim=True)
