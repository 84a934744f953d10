"""The live explorer in a notebook, for any attention-only model of the course."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING

from torch import Tensor

from induction_heads.explorer.element import (
    DEFAULT_TOKENS,
    PARTS,
    Explorer,
    element_with_data,
    tokens_from_text,
)
from induction_heads.explorer.models import ExplorerModel, Snapshots, explorer_models
from induction_heads.figures.markup import BOOK_VARIABLE, HtmlFigure
from induction_heads.models.attention_only import AttentionOnlyConfig

if TYPE_CHECKING:
    from induction_heads.explorer.models import ModelSource
    from induction_heads.explorer.widget import ExplorerWidget


def explore(
    model: "ModelSource | Sequence[str] | Mapping[str, ModelSource]",
    tokens: "Tensor | Sequence[int] | str | None" = None,
    *,
    head: tuple[int, int] | None = None,
    query: int | None = None,
    section: str | None = None,
    parts: Sequence[str] | None = None,
    period: int | None = None,
    words: Sequence[str] | None = None,
    snapshots: Snapshots | None = None,
    state: str | None = None,
    alt: str | None = None,
    caption: str | None = None,
) -> "ExplorerWidget | HtmlFigure":
    """A live explorer of the model: its patterns, interventions, training and weights.

    In a notebook it is a widget. Its `state` is text that holds every setting: read it to save a
    configuration, assign it to restore one. While the book is built it is a figure that needs no
    kernel.

    Args:
        model: a name from the zoo, an `AttentionOnly` or `SmearedKeys` module, or the result of
            `load_model` for one; or several, as a list of names or a mapping from title to model.
        tokens: ids, one axis; or text such as `"A B C A B"`, where A is 0. Default: that text,
            after the BOS token if the first model has one.
        head: the (layer, head) selected at the start.
        query: the position whose row is selected at the start.
        section: the section open at the start: "patterns", "change", "time", "weights" or "train".
        parts: the sections below the patterns, or `[]` for none. Default: all that the models
            support.
        period: the length of a copy, if the tokens repeat.
        words: the text of each id of the vocabulary. Default: A, B, C, …
        snapshots: training step → model or weights, for the section "time"; the last one must be
            the model. The toys of the zoo have theirs.
        state: the `state` of another explorer, instead of `head`, `query` and `section`.
        alt: alternative text, one sentence.
        caption: what the reader should look at, shown below the explorer. Plain text.

    Raises:
        ValueError: for a model that is not attention-only, tokens outside its vocabulary or longer
            than its context, or settings that contradict each other. `UnknownModel`, a ValueError,
            for a name that does not exist.
    """
    models = explorer_models(model, snapshots)
    explorer = Explorer(
        models=tuple((one.name, one.title) for one in models),
        tokens=_default_tokens(models[0].model.config) if tokens is None else _ids(tokens),
        head=head,
        query=query,
        open=section,
        period=period,
        caption=caption,
        state=state,
        words=None if words is None else tuple(map(str, words)),
        parts=tuple(_available_parts(models) if parts is None else parts),
    )
    explorer = explorer if alt is None else replace(explorer, alt=alt)
    for one in models:
        _require_fit(explorer, one.title, one.model.config)
    if os.environ.get(BOOK_VARIABLE):
        missing = _data(one for one in models if not one.in_site)
        return HtmlFigure(element_with_data(explorer, missing))
    from induction_heads.explorer.widget import ExplorerWidget

    return ExplorerWidget(explorer, _data(models))


def _data(models: Iterable[ExplorerModel]) -> dict[tuple[str, str], str]:
    return {key: text for one in models for key, text in one.data().items()}


def _available_parts(models: list[ExplorerModel]) -> list[str]:
    """All sections if any model has snapshots, otherwise all but "time"."""
    has_snapshots = any(one.in_site or one.snapshots is not None for one in models)
    return [part for part in PARTS if has_snapshots or part != "time"]


def _default_tokens(config: AttentionOnlyConfig) -> tuple[int, ...] | None:
    """None for the default of the page; for a model with a BOS token that token, then A B C A B."""
    bos = config.bos_token
    if bos is None:
        return None
    others = [token for token in range(config.d_vocab) if token != bos]
    return (bos, *(others[place] for place in DEFAULT_TOKENS))


def _ids(tokens: "Tensor | Sequence[int] | str") -> tuple[int, ...]:
    """Token ids as integers. Raises ValueError unless they have exactly one axis."""
    if isinstance(tokens, str):
        return tokens_from_text(tokens)
    ids = tokens.tolist() if isinstance(tokens, Tensor) else list(tokens)
    wrong = [one for one in ids if isinstance(one, bool) or not isinstance(one, Integral)]
    if wrong:
        raise ValueError(
            f"Got {wrong[0]!r} among the tokens; expected integers of shape [pos]. "
            "Pass one row of ids, such as tokens[0]."
        )
    return tuple(int(one) for one in ids)


def _require_fit(explorer: Explorer, title: str, config: AttentionOnlyConfig) -> None:
    """Raise ValueError if the tokens, the words or the head do not fit the model."""
    tokens = explorer.tokens or ()
    outside = [token for token in tokens if not 0 <= token < config.d_vocab]
    if outside:
        raise ValueError(
            f"Got token {outside[0]}, but the ids of {title} are 0 to {config.d_vocab - 1}."
        )
    if len(tokens) > config.n_ctx:
        raise ValueError(
            f"Got {len(tokens)} tokens, but {title} takes at most {config.n_ctx}. Pass fewer."
        )
    if explorer.words is not None and len(explorer.words) != config.d_vocab:
        raise ValueError(
            f"Got {len(explorer.words)} words for the {config.d_vocab} ids of {title}. Pass one "
            "word for each id of the vocabulary."
        )
    layer, head = explorer.head or (0, 0)
    if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
        raise ValueError(
            f"Got head={explorer.head}, but {title} has {config.n_layers} layers of "
            f"{config.n_heads} heads. Both are counted from 0."
        )
