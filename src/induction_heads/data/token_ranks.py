"""How common each token is, so that random tokens can be drawn without the extremes."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COUNTS_FILE = "token_counts.json"
"""The file in a model's folder with the number of times each id occurs in its training text."""

TRAINING_TEXT = "counts in its training text"
"""The source of ranks that are known from such a file."""

DRAWN = (0.1, 0.75)
"""The ranks that random tokens are drawn from, as shares of all ids that have a rank.

Olsson et al. 2022 leave out "the most and least common tokens" and give no numbers. Here the most
common tenth is left out, which makes up half of the text, and the least common quarter, of which
the model has seen too little. On the text models of the zoo it is the least common ids that matter:
any range without the rarest fifth gives the same scores, and with it the loss of the second copy
rises tenfold.
"""

FEWEST = 128
"""Ranks are used if the range holds at least this many ids: a probe needs as many distinct ones."""


@dataclass(frozen=True)
class TokenRanks:
    """The ids of a vocabulary from the most common to the least, and how that is known.

    Ids that never occur have no rank and are not in `ids`.

    >>> TokenRanks(tuple(range(8)), "counts").between((0.25, 0.75))
    (2, 3, 4, 5)
    """

    ids: tuple[int, ...]
    source: str

    def between(self, shares: tuple[float, float] = DRAWN) -> tuple[int, ...]:
        """The ids between two ranks, given as shares of all ranked ids.

        Raises ValueError unless 0 ≤ lowest < highest ≤ 1.
        """
        lowest, highest = shares
        if not 0 <= lowest < highest <= 1:
            raise ValueError(
                f"Got the ranks from {lowest} to {highest}, but they are shares: pass two numbers "
                "from 0 (the most common) to 1, the lower one first."
            )
        return self.ids[int(lowest * len(self.ids)) : int(highest * len(self.ids))]


def ranks_from_counts(counts: Sequence[int], source: str) -> TokenRanks:
    """The ranks of ids by how often each occurs; `counts[id]` is a number of occurrences.

    Ids with equal counts are in the order of the ids. Raises ValueError if no id occurs.

    >>> ranks_from_counts([5, 0, 9, 1], "a text").ids
    (2, 0, 3)
    """
    ids = sorted((i for i, count in enumerate(counts) if count), key=lambda i: -counts[i])
    if not ids:
        raise ValueError("No token occurs in this text, so none has a rank. Pass a longer text.")
    return TokenRanks(tuple(ids), source)


def count_tokens(ids: Iterable[int], d_vocab: int) -> list[int]:
    """How often each id of the vocabulary occurs.

    >>> count_tokens([2, 0, 2], d_vocab=4)
    [1, 0, 2, 0]
    """
    counts = [0] * d_vocab
    for token in ids:
        counts[token] += 1
    return counts


def save_token_counts(counts: Sequence[int], folder: Path) -> None:
    """Write the counts of a model's training text to its folder."""
    (folder / COUNTS_FILE).write_text(json.dumps(list(counts)) + "\n", encoding="utf-8")


def ranks_in_folder(
    folder: Path, d_vocab: int, tokenizer: dict[str, Any] | None = None
) -> TokenRanks | None:
    """The ranks in a model's folder: from counts, else from its tokenizer; None if it has neither.

    `tokenizer` is the content of a `tokenizer.json`; without one the file in the folder is read.
    Raises ValueError if the counts are not a list of whole numbers, one for each id.
    """
    path = folder / "tokenizer.json"
    if tokenizer is None and path.is_file():
        tokenizer = json.loads(path.read_text(encoding="utf-8"))
    if (folder / COUNTS_FILE).is_file():
        n_ids = d_vocab if tokenizer is None else min(d_vocab, _n_ids(tokenizer) or d_vocab)
        return ranks_from_counts(_counts_in(folder / COUNTS_FILE, n_ids, d_vocab), TRAINING_TEXT)
    return None if tokenizer is None else ranks_of_tokenizer(tokenizer)


def _n_ids(tokenizer: dict[str, Any]) -> int:
    """One more than the largest id of a tokenizer; 0 if its kind does not state it."""
    vocab = (tokenizer.get("model") or {}).get("vocab")
    ids = vocab.values() if isinstance(vocab, dict) else range(len(vocab or ()))
    added = (token["id"] for token in tokenizer.get("added_tokens") or ())
    return 1 + max([*ids, *added], default=-1)


def _counts_in(path: Path, n_ids: int, d_vocab: int) -> list[int]:
    """The counts in a file. Raises ValueError unless they are of these ids or of all `d_vocab`.

    The ids of the tokenizer are enough: a vocabulary is often padded with ids that no text has.
    """
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        counts = None
    are_counts = isinstance(counts, list) and all(type(c) is int and c >= 0 for c in counts)
    if not isinstance(counts, list) or not are_counts or not any(counts):
        raise ValueError(
            f"{path} should hold a list of whole numbers from 0, not all of them 0: how often each "
            "id occurs. Remove the file to rank the tokens by the tokenizer."
        )
    if len(counts) not in (n_ids, d_vocab):
        raise ValueError(
            f"{path} has counts of {len(counts):,} ids, but the model has {d_vocab:,} and its "
            f"tokenizer {n_ids:,}. Remove the file to rank the tokens by the tokenizer."
            if n_ids != d_vocab
            else f"{path} has counts of {len(counts):,} ids, but the model has {d_vocab:,}. Remove "
            "the file to rank the tokens by the tokenizer."
        )
    return counts


def ranks_of_tokenizer(tokenizer: dict[str, Any]) -> TokenRanks | None:
    """The ranks that the content of a `tokenizer.json` implies; None if it implies none.

    Byte-pair encoding merges the most common pair first, so the merges are roughly in order of
    frequency: the pieces of a common word rank high although they rarely occur outside it.
    Tokens that no merge produces (single bytes, special tokens) have no rank. A unigram tokenizer
    stores the logarithm of a probability with each piece.

    >>> merges, vocab = [["t", "h"], ["th", "e"]], {"e": 0, "h": 1, "t": 2, "th": 3, "the": 4}
    >>> ranks_of_tokenizer({"model": {"type": "BPE", "vocab": vocab, "merges": merges}}).ids
    (3, 4)
    """
    model = tokenizer.get("model") or {}
    special = {token["id"] for token in tokenizer.get("added_tokens") or ()}
    if model.get("type") == "BPE":
        pairs = (tuple(m.split(" ")) if isinstance(m, str) else m for m in model.get("merges", ()))
        ids = [model["vocab"].get("".join(pair)) for pair in pairs]
        source = "the merge order of its tokenizer"
    elif model.get("type") == "Unigram":
        # Pieces that are not from the text (padding, single bytes) have a logarithm of 0.
        scored = [(score, i) for i, (_, score) in enumerate(model["vocab"]) if score < 0]
        ids = [i for _, i in sorted(scored, key=lambda pair: -pair[0])]
        source = "the probabilities in its tokenizer"
    else:
        return None
    ranked = tuple(dict.fromkeys(i for i in ids if i is not None and i not in special))
    return TokenRanks(ranked, source) if ranked else None


def token_ranks(model: Any) -> TokenRanks | None:
    """The ranks of a model's tokens, or None where they are not known or too few to draw from.

    `load_model` stores them in the config of a `TransformerBridge`; an `AttentionOnly` holds them
    itself. Too few means that the range `DRAWN` has fewer than `FEWEST` ids.
    """
    ranks = getattr(model.cfg if hasattr(model, "cfg") else model, "token_ranks", None)
    return ranks if ranks is not None and len(ranks.between()) >= FEWEST else None


def rank_by_text(model: Any, text: str, source: str = "counts in a text") -> None:
    """Rank a model's tokens by how often each occurs in `text`, replacing any ranks it had.

    `model` is a `TransformerBridge` with a tokenizer, and `source` tells readers of reports where
    the ranks come from. Raises ValueError without a tokenizer, or if the text has too few different
    tokens.
    """
    if getattr(model, "tokenizer", None) is None:
        raise ValueError("This model has no tokenizer, so its tokens cannot be ranked by a text.")
    ids = model.tokenizer(text, add_special_tokens=False)["input_ids"]
    special = set(model.tokenizer.all_special_ids)
    counts = count_tokens((i for i in ids if i not in special), model.cfg.d_vocab)
    ranks = ranks_from_counts(counts, source)
    if len(ranks.between()) < FEWEST:
        raise ValueError(
            f"This text has {len(ranks.ids)} different tokens, too few to leave out the most and "
            f"the least common: {FEWEST} must remain. Pass a longer text."
        )
    model.cfg.token_ranks = ranks


def drawn_in_words(model: Any) -> str:
    """Which ids random tokens for this model are drawn from.

    >>> from types import SimpleNamespace
    >>> drawn_in_words(SimpleNamespace(config=SimpleNamespace(d_vocab=9)))
    'all ids alike, since it is not known how common they are'
    """
    ranks = token_ranks(model)
    if ranks is None:
        return "all ids alike, since it is not known how common they are"
    low, high = (round(100 * share) for share in DRAWN)
    return f"ranks {low}–{high} % of {len(ranks.ids):,} ids by {ranks.source}"
