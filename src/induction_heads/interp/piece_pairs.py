"""Pairs of vocabulary pieces that are nearly the same word, and whether a head matches across them.

A tokenizer gives " get", "get" and "Get" three ids. A head that matches exactly treats them as
unrelated; one that matches by degrees attends, from the second piece, to what followed the first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.data.token_ranks import TokenRanks, token_ranks
from induction_heads.data.tokens import bos_token, with_bos
from induction_heads.interp.activations import visit_patterns
from induction_heads.interp.losses import in_float32

Pairs = list[tuple[int, int]]

BEFORE, GAP = 4, 20
"""Tokens before the earlier piece, and between the token after it and the second prefix."""

CHUNK = 512
"""Rows of a forward pass."""


def piece_texts(model: Any) -> dict[int, str]:
    """Id → text, for the pieces that occur in the model's training text and are more than space.

    Pieces that are not whole characters are left out. Raises ValueError for a model without a
    tokenizer, or whose tokens have no known frequency.
    """
    ranks = token_ranks(model)
    if getattr(model, "tokenizer", None) is None or ranks is None:
        raise ValueError(
            "Pairs of pieces need a model with a tokenizer and with known token frequencies, such "
            "as python-2l."
        )
    texts = {token: model.tokenizer.decode([token]) for token in ranks.ids}
    return {i: text for i, text in texts.items() if text.strip() and "\ufffd" not in text}


def piece_pairs(texts: dict[int, str]) -> dict[str, Pairs]:
    """All pairs of ids whose texts differ only in one leading space, or only in case.

    Both orders of a pair are listed.

    >>> piece_pairs({0: "get", 1: " get", 2: "Get", 3: "set"})
    {'leading space': [(0, 1), (1, 0)], 'case': [(0, 2), (2, 0)]}
    """
    ids = {text: token for token, text in texts.items()}
    groups: dict[str, list[int]] = {}
    for token, text in texts.items():
        groups.setdefault(text.lower(), []).append(token)
    space = [(token, ids[f" {text}"]) for text, token in ids.items() if f" {text}" in ids]
    both = [pair for a, b in space for pair in ((a, b), (b, a))]
    case = [(a, b) for group in groups.values() for a in group for b in group if a != b]
    return {"leading space": both, "case": case}


def frequency_matched(pairs: Pairs, texts: dict[int, str], ids: Sequence[int]) -> Pairs:
    """Each pair with its second piece replaced by an unrelated one of nearly the same frequency.

    `ids` are the ids from the most common to the least. The replacement is the piece of `texts`
    that is nearest in this order, the more common one first, and differs from the first piece in
    more than space and case.

    >>> frequency_matched([(0, 1)], {0: "get", 1: " get", 2: "Get", 3: "set"}, ids=[0, 1, 2, 3])
    [(0, 3)]
    """
    plain = {token: text.strip().lower() for token, text in texts.items()}
    ids = [token for token in ids if token in plain]
    rank = {token: place for place, token in enumerate(ids)}
    found = []
    for first, second in pairs:
        others = [token for token in ids if plain[token] != plain[first]]
        nearest = min(others, key=lambda token: (abs(rank[token] - rank[second]), rank[token]))
        found.append((first, nearest))
    return found


@dataclass(frozen=True)
class PairMatches:
    """What a model does with `… A B … A'`, for each pair of pieces A and A'.

    `attention` is from A' to B; `log_probability` is that of B as the next token, in nats.
    """

    attention: Float[Tensor, "pair layer head"]
    log_probability: Float[Tensor, " pair"]


def pair_matches(
    model: Any, pairs: Pairs, *, two_tokens: bool = False, rows: int = 8, seed: int = 0
) -> PairMatches:
    """Attention and copying across each pair, as a mean over `rows` rows of random other tokens.

    A row is `[BOS] p4 p3 p2 p1 A B [20 tokens] q4 q3 q2 q1 A'`, all tokens but A and A' different
    draws. With `two_tokens`, q1 is p1, so that the token before matches exactly. Raises ValueError
    if the frequencies of the model's tokens are not known.
    """
    common = torch.tensor(_ranks(model).between())
    generator = torch.Generator().manual_seed(seed)
    first, last = torch.tensor(pairs).repeat_interleave(rows, dim=0).split(1, dim=1)
    # The pieces of the pair come last in the random order, so that they are not drawn.
    taken = ((common == first) | (common == last)).float()
    order = (torch.rand(len(first), len(common), generator=generator) + taken).argsort(dim=1)
    drawn = common[order[:, : 2 * BEFORE + 1 + GAP]]
    before, after_it, again = drawn.split([BEFORE, 1 + GAP, BEFORE], dim=1)
    if two_tokens:
        again = torch.cat([again[:, :-1], before[:, -1:]], dim=1)
    bos = bos_token(model)
    tokens = with_bos(torch.cat([before, first, after_it, again, last], dim=1), bos)
    key = BEFORE + 1 + (bos is not None)
    attention, chances = [], []
    for some in tokens.split(CHUNK):
        layers: list[Tensor] = []
        visit_patterns(
            model, some, lambda _, pattern, to=layers: to.append(pattern[..., -1, key].clone())
        )
        attention.append(torch.stack(layers, dim=1))
        with torch.inference_mode():
            logits = in_float32(model(some)[:, -1])
        chances.append(logits.log_softmax(dim=-1).gather(1, some[:, key, None])[:, 0])
    return PairMatches(
        torch.cat(attention).unflatten(0, (len(pairs), rows)).mean(dim=1),
        torch.cat(chances).unflatten(0, (len(pairs), rows)).mean(dim=1),
    )


def kinds_of_matches(
    model: Any, texts: dict[int, str], *, rows: int = 1
) -> dict[tuple[str, str], tuple[Pairs, PairMatches]]:
    """The matches across all pairs of each kind, and of their two controls.

    The keys are (kind, which): a kind of `piece_pairs`, and "same" for the first piece twice,
    "variant" for the pair, "unrelated" for the pair of `frequency_matched`. `texts` are those of
    `piece_texts`. Raises ValueError if the frequencies of the model's tokens are not known.
    """
    found = {}
    for kind, pairs in piece_pairs(texts).items():
        unrelated = frequency_matched(pairs, texts, _ranks(model).ids)
        same = [(first, first) for first, _ in pairs]
        for which, these in (("same", same), ("variant", pairs), ("unrelated", unrelated)):
            found[kind, which] = these, pair_matches(model, these, rows=rows)
    return found


def _ranks(model: Any) -> TokenRanks:
    ranks = token_ranks(model)
    if ranks is None:
        raise ValueError("The frequencies of this model's tokens are not known.")
    return ranks
