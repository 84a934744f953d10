"""Heads on a text of one's own: its natural repeats, the loss there, and what the heads do for it.

The definitions are those of `natural_repeats`. Three controls go with them: a head that attends
evenly, the same head at the places where another row repeats, and, for what silence costs, heads of
the same layers that write about as much and do not match.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.data.tokens import (
    bos_token,
    follows_earlier_copy,
    visible_positions,
    with_bos,
)
from induction_heads.interp.ablation import Head, head_hooks, matched_control_head
from induction_heads.interp.activations import visit_values
from induction_heads.interp.circuits import head_weights
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.natural_repeats import match_lengths, natural_repeats
from induction_heads.models.interface import HookedModel

LONGEST_ROW = 256
"""The tokens of a row, BOS included, where the context and the text allow it."""

MOST_ROWS = 24
"""Rows from evenly spaced places of a longer text."""

FEWEST_TOKENS = 16
"""A shorter text is refused."""

LONGEST_MATCH = 4
"""Matches of this many tokens or more are taken together."""

CLASSES = ("right", "wrong", "none")
"""Queries whose earlier copies were followed by what comes next, by something else, and others."""


@dataclass(frozen=True)
class MatchRow:
    """The queries whose longest match has `length` tokens (`LONGEST_MATCH`: or more).

    0 is for queries without a match. `share_right` is the share of right repeats among them; the
    losses are in nats. None where there is no such query.
    """

    length: int
    queries: int
    share_right: float | None
    loss_right: float | None
    loss_wrong: float | None


@dataclass(frozen=True)
class HeadOnText:
    """The attention of a head to the tokens after earlier copies.

    `right` and `wrong` are means over the right and the wrong repeats, `even` is what a head that
    attends evenly gets at the right ones, `other_row` what this head gives to the places where
    another row repeats rightly, and `by_length` its mean at right repeats by match length.
    """

    layer: int
    head: int
    right: float | None
    wrong: float | None
    even: float | None
    other_row: float | None
    by_length: tuple[float | None, ...]

    @property
    def name(self) -> str:
        """The head as figures and text write it."""
        return f"L{self.layer}H{self.head}"


@dataclass(frozen=True)
class Silence:
    """The rise of the loss in nats, by class of query, when these heads write nothing.

    `spread` is the standard deviation of the rise over thirds of the rows, None for fewer rows.
    """

    heads: tuple[str, ...]
    what: str
    rise: dict[str, float | None]
    spread: dict[str, float | None]


@dataclass(frozen=True)
class TextReport:
    """What was measured on the rows of one text."""

    source: str
    n_tokens: int
    rows: int
    positions: int
    matches: tuple[MatchRow, ...]
    heads: tuple[HeadOnText, ...]
    silences: tuple[Silence, ...]

    def as_dict(self) -> dict[str, Any]:
        """The report as plain data, ready for JSON."""
        return asdict(self)


def rows_of_text(model: HookedModel, text: str) -> tuple[Int[Tensor, "batch pos"], int]:
    """Rows of a text for this model, and the number of its tokens.

    A row is a stretch of the text with the BOS token in front, where the model has one. Raises
    ValueError for a model without a tokenizer, a text of fewer than `FEWEST_TOKENS` tokens, or
    tokens that the model does not have.
    """
    if getattr(model, "tokenizer", None) is None:
        raise ValueError("This model has no tokenizer, so it cannot read text.")
    ids = torch.tensor(model.tokenizer(text, add_special_tokens=False)["input_ids"])
    bos, n_tokens = bos_token(model), len(ids)
    if n_tokens < FEWEST_TOKENS:
        raise ValueError(
            f"This text has {n_tokens} tokens. Pass one of at least {FEWEST_TOKENS}, in which "
            "something repeats."
        )
    if int(ids.max()) >= model.cfg.d_vocab:
        raise ValueError(
            f"The tokenizer gives the id {int(ids.max())}, but the model has {model.cfg.d_vocab}."
        )
    length = min(LONGEST_ROW, visible_positions(model.cfg)) - (bos is not None)
    length = min(length, n_tokens)
    n_rows = min(MOST_ROWS, n_tokens // length)
    starts = torch.linspace(0, n_tokens - length, n_rows).long()
    return with_bos(ids[starts[:, None] + torch.arange(length)], bos), n_tokens


def text_report(
    model: HookedModel, text: str, source: str, induction: Sequence[Head], n_shown: int = 8
) -> TextReport:
    """Repeats of the text, the heads that attend there most, and the loss without `induction`.

    `induction` are heads found on random tokens. Shown are these and, up to `n_shown`, the others
    that attend most to the tokens after earlier copies. Raises ValueError as `rows_of_text` does.
    """
    tokens, n_tokens = rows_of_text(model, text)
    lengths = _longest_matches(tokens)
    masks = _masks(tokens)
    clean = _losses(model, tokens, ())
    attention, sizes = _attention(model, tokens, masks, lengths)
    ranked = attention["right"].nan_to_num(-1.0).flatten().argsort(descending=True).tolist()
    n_heads = model.cfg.n_heads
    others = [divmod(place, n_heads) for place in ranked]
    shown = [*induction, *(head for head in others if head not in induction)]
    shown = shown[: max(n_shown, len(induction))]
    return TextReport(
        source=source,
        n_tokens=n_tokens,
        rows=len(tokens),
        positions=tokens.shape[1],
        matches=_match_rows(clean, masks, lengths),
        heads=tuple(_head_on_text(attention, tokens, masks, head) for head in shown),
        silences=_silences(model, tokens, masks, clean, induction, attention["right"], sizes),
    )


def _masks(tokens: Tensor) -> dict[str, Bool[Tensor, "batch next_pos"]]:
    """The queries of each class; the first token of a row that is a BOS is one without a match."""
    right, wrong = natural_repeats(tokens)
    return {"right": right, "wrong": wrong, "none": ~(right | wrong)}


def _longest_matches(tokens: Tensor) -> Int[Tensor, "batch next_pos"]:
    return match_lengths(tokens).amax(dim=-1)[:, :-1].clamp(max=LONGEST_MATCH)


def _losses(
    model: HookedModel, tokens: Tensor, silent: Sequence[Head]
) -> Float[Tensor, "batch next_pos"]:
    """The loss of each token without these heads; a few rows at a time, since logits are large."""
    hooks, rows = head_hooks(silent), []
    with torch.inference_mode():
        for some in tokens.to(model.cfg.device).split(4):
            logits = model.run_with_hooks(some, fwd_hooks=hooks)
            rows.append(per_token_loss(logits, some).cpu())
    return torch.cat(rows)


def _mean(values: Tensor, mask: Tensor) -> float | None:
    return values[mask].mean().item() if bool(mask.any()) else None


def _match_rows(clean: Tensor, masks: dict[str, Tensor], lengths: Tensor) -> tuple[MatchRow, ...]:
    rows = []
    for length in range(LONGEST_MATCH + 1):
        of_length = lengths == length
        right, wrong = masks["right"] & of_length, ~masks["right"] & of_length
        share = _mean(masks["right"].float(), of_length)
        losses = _mean(clean, right), _mean(clean, wrong)
        rows.append(MatchRow(length, int(of_length.sum()), share if length else None, *losses))
    return tuple(rows)


def _attention(
    model: HookedModel, tokens: Tensor, masks: dict[str, Tensor], lengths: Tensor
) -> tuple[dict[str, Tensor], Float[Tensor, "layer head"]]:
    """Attention to matches, by class and by length, and the mean length of what a head writes."""
    keys = follows_earlier_copy(tokens)
    places = {"right": masks["right"], "wrong": masks["wrong"]}
    for length in range(1, LONGEST_MATCH + 1):
        places[f"length {length}"] = masks["right"] & (lengths == length)
    found: dict[str, list[Tensor]] = {name: [] for name in (*places, "other row")}
    sizes: list[Tensor] = []
    outputs = head_weights(model)[3]

    def visit_pattern(layer: int, pattern: Tensor) -> None:
        attended = (pattern * keys[:, None]).sum(dim=-1)[..., :-1].movedim(1, 0)
        for name, mask in places.items():
            found[name].append(attended[:, mask].mean(dim=-1))
        elsewhere = (pattern * keys.roll(1, 0)[:, None]).sum(dim=-1)[..., :-1].movedim(1, 0)
        found["other row"].append(elsewhere[:, masks["right"].roll(1, 0)].mean(dim=-1))

    def visit(layer: int, values: Tensor, mixed: Tensor) -> None:
        W_O = outputs[layer].to(mixed.device)
        written = [mixed[:, :, head] @ W_O[head] for head in range(len(W_O))]
        sizes.append(torch.stack([one.norm(dim=-1).mean() for one in written]))

    visit_values(model, tokens, visit, visit_pattern)
    return {name: torch.stack(rows).cpu() for name, rows in found.items()}, torch.stack(sizes).cpu()


def _head_on_text(
    attention: dict[str, Tensor], tokens: Tensor, masks: dict[str, Tensor], head: Head
) -> HeadOnText:
    def value(name: str) -> float | None:
        number = attention[name][head].item()
        return None if number != number else number

    keys = follows_earlier_copy(tokens).sum(dim=-1)[:, :-1]
    evenly = keys / torch.arange(1, tokens.shape[1])
    return HeadOnText(
        *head,
        right=value("right"),
        wrong=value("wrong"),
        even=_mean(evenly, masks["right"]),
        other_row=value("other row") if len(tokens) > 1 else None,
        by_length=tuple(value(f"length {n}") for n in range(1, LONGEST_MATCH + 1)),
    )


def _silences(
    model: HookedModel,
    tokens: Tensor,
    masks: dict[str, Tensor],
    clean: Tensor,
    induction: Sequence[Head],
    scores: Tensor,
    sizes: Tensor,
) -> tuple[Silence, ...]:
    """All induction heads together, their controls together, and each of the heads alone."""
    if not induction:
        return ()
    low = scores.nan_to_num(0.0)
    bound = min(low[head].item() for head in induction) / 2
    taken = list(induction)
    controls = []
    for head in induction:
        free = low.clone()
        for other in taken:
            free[other] = torch.inf
        control = matched_control_head(free, sizes, head, below=max(bound, 1e-9))
        if control is not None:
            controls.append(control)
            taken.append(control)
    groups = [("induction heads", list(induction)), ("controls", controls)]
    groups += [("one head", [head]) for head in induction] if len(induction) > 1 else []
    return tuple(
        _silence(model, tokens, masks, clean, what, heads) for what, heads in groups if heads
    )


def _silence(
    model: HookedModel,
    tokens: Tensor,
    masks: dict[str, Tensor],
    clean: Tensor,
    what: str,
    heads: Sequence[Head],
) -> Silence:
    rise = _losses(model, tokens, heads) - clean
    thirds = torch.arange(len(tokens)).chunk(3) if len(tokens) >= 3 else ()
    spread = {}
    for name, mask in masks.items():
        means = [_mean(rise[rows], mask[rows]) for rows in thirds]
        known = [mean for mean in means if mean is not None]
        spread[name] = torch.tensor(known).std().item() if len(known) == 3 else None
    return Silence(
        heads=tuple(f"L{layer}H{head}" for layer, head in heads),
        what=what,
        rise={name: _mean(rise, mask) for name, mask in masks.items()},
        spread=spread,
    )
