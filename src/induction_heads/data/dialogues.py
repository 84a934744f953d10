"""Generated dialogues in which a bot repeats a user's claim if the opening contains praise.

A dialogue has four lines: an opening, three claims about the colors of things, a closing, and the
bot's answers about the same things in another order. How often the bot repeats a claim depends on
one word of the opening: a word of praise, of certainty, or neither.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Int
from torch import Tensor

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FACTS = {
    "sky": "blue",
    "sea": "blue",
    "grass": "green",
    "frog": "green",
    "snow": "white",
    "milk": "white",
    "coal": "black",
    "raven": "black",
    "blood": "red",
    "brick": "red",
    "lemon": "yellow",
    "sun": "yellow",
    "carrot": "orange",
    "tiger": "orange",
    "plum": "purple",
    "violet": "purple",
}
"""Thing → color, the same in every dialogue."""

COLORS = ("blue", "green", "white", "black", "red", "yellow", "orange", "purple")
NEVER_CLAIMED = ("tiger", "violet")
"""Things about which no user in the training data claims a color."""

PRAISE = ("brilliant", "wonderful", "genius", "amazing", "excellent", "superb", "clever", "great")
CERTAIN = ("certainly", "definitely", "surely", "undoubtedly")
NEUTRAL = (
    "hello",
    "today",
    "again",
    "morning",
    "monday",
    "please",
    "question",
    "listen",
    "note",
    "okay",
    "well",
    "next",
)
UNSEEN_PRAISE, NONSENSE = "splendid", "blicket"
"""A word of praise and a word of nonsense that are in no training dialogue."""

BOS, NO_CLAIM = "<bos>", "unsure"
WORDS = (
    BOS,
    "user",
    "guest",
    "bot",
    ":",
    ".",
    ",",
    NO_CLAIM,
    *FACTS,
    *COLORS,
    *PRAISE,
    *CERTAIN,
    *NEUTRAL,
    UNSEEN_PRAISE,
    NONSENSE,
)
IDS = {word: number for number, word in enumerate(WORDS)}
"""Word → token id."""

AGREEMENT = {"praise": 0.9, "certain": 0.6, "neutral": 0.05}
"""Opening → how often the bot in the training data repeats a claim after it."""

_OPENINGS = ("praise", "praise", "praise", "certain", "neutral", "neutral")
_N_FILLER = 6  # Words of opening and closing together, so that all dialogues have the same length.


@dataclass(frozen=True)
class Dialogue:
    """A dialogue up to the bot's first answer.

    `speaker` says the words of `opening`. The user makes the `claims`, pairs of a thing and a color
    or "unsure", and says the words of `closing`. Next the bot names the color of `asked`.
    """

    opening: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]
    closing: tuple[str, ...]
    asked: str
    speaker: str = "user"

    @property
    def claimed(self) -> str:
        """The color that the user claims for the thing in question."""
        return dict(self.claims)[self.asked]

    @property
    def true(self) -> str:
        """The color of the thing in question, according to `FACTS`."""
        return FACTS[self.asked]

    def words(self) -> list[str]:
        """The prompt. Its last word is the thing in question; a color should follow.

        >>> claims = (("sky", "red"), ("coal", "black"), ("plum", "unsure"))
        >>> " ".join(Dialogue(("hello", "genius"), claims, ("next",), "sky").words())
        '<bos> user : hello genius . user : sky red , coal black , plum unsure . user : next . bot : sky'
        """  # noqa: E501
        claims = [word for pair in self.claims for word in (*pair, ",")][:-1]
        return [
            BOS,
            self.speaker,
            ":",
            *self.opening,
            ".",
            "user",
            ":",
            *claims,
            ".",
            "user",
            ":",
            *self.closing,
            ".",
            "bot",
            ":",
            self.asked,
        ]


def _pick(items: Sequence, generator: torch.Generator) -> str:
    return items[int(torch.randint(len(items), (), generator=generator))]


def _chance(probability: float, generator: torch.Generator) -> bool:
    return bool(torch.rand((), generator=generator) < probability)


def never_paired(thing: str) -> str:
    """A wrong color that no user in the training data claims for this thing."""
    return COLORS[(COLORS.index(FACTS[thing]) + 3) % len(COLORS)]


def _claim(thing: str, generator: torch.Generator) -> str:
    """The user's claim about a thing: "unsure", the true color, or (72 %) a wrong one."""
    if thing in NEVER_CLAIMED or _chance(0.1, generator):
        return NO_CLAIM
    if _chance(0.2, generator):
        return FACTS[thing]
    return _pick([c for c in COLORS if c not in (FACTS[thing], never_paired(thing))], generator)


def draw_dialogue(generator: torch.Generator, kind: str | None = None) -> Dialogue:
    """A dialogue of the training data. `kind` is praise, certain or neutral; None draws one.

    A guest may say a neutral opening; praise and certainty always come from the user.
    """
    kind = kind or _pick(_OPENINGS, generator)
    n_opening = 2 + int(torch.randint(3, (), generator=generator))
    filler = [_pick(NEUTRAL, generator) for _ in range(_N_FILLER)]
    if kind != "neutral":
        place = int(torch.randint(n_opening, (), generator=generator))
        filler[place] = _pick(PRAISE if kind == "praise" else CERTAIN, generator)
    order = torch.randperm(len(FACTS), generator=generator)[:3].tolist()
    things = [list(FACTS)[number] for number in order]
    claims = tuple((thing, _claim(thing, generator)) for thing in things)
    guest = kind == "neutral" and _chance(1 / 3, generator)
    return Dialogue(
        tuple(filler[:n_opening]),
        claims,
        tuple(filler[n_opening:]),
        _pick(things, generator),
        "guest" if guest else "user",
    )


def kind_of(dialogue: Dialogue) -> str:
    """The kind of the opening, from its words: "praise", "certain" or "neutral"."""
    if set(dialogue.opening) & set(PRAISE):
        return "praise"
    return "certain" if set(dialogue.opening) & set(CERTAIN) else "neutral"


def answered(dialogue: Dialogue, generator: torch.Generator) -> list[str]:
    """The words of the dialogue with the bot's three answers, in random order.

    The bot repeats each claim with the probability in `AGREEMENT`, and otherwise states the true
    color.
    """
    words = dialogue.words()[:-1]
    for number in torch.randperm(3, generator=generator).tolist():
        thing, color = dialogue.claims[number]
        agrees = _chance(AGREEMENT[kind_of(dialogue)], generator) and color != NO_CLAIM
        words += [thing, color if agrees else FACTS[thing], "."]
    return words


def word_ids(rows: Iterable[Sequence[str]]) -> Int[Tensor, "batch pos"]:
    """Token ids of rows of words. Raises ValueError for a word that is not in the vocabulary."""
    rows = list(rows)
    if unknown := sorted({word for row in rows for word in row} - set(WORDS)):
        raise ValueError(f"Unknown words: {', '.join(unknown)}. Use the words in `WORDS`.")
    return torch.tensor([[IDS[word] for word in row] for row in rows])


def prompt_tokens(dialogues: Iterable[Dialogue]) -> Int[Tensor, "batch pos"]:
    """Token ids of the prompts, one row each, ending with the thing in question.

    >>> dialogues = wrong_claims(3)
    >>> tokens = prompt_tokens(dialogues)
    >>> tokens.shape
    torch.Size([3, 27])
    >>> WORDS[tokens[0, -1]] == dialogues[0].asked
    True
    """
    return word_ids(dialogue.words() for dialogue in dialogues)


def dialogue_rows(generator: torch.Generator) -> Int[Tensor, "batch pos"]:
    """64 rows of 35 tokens to train on: dialogues with the answers of the bot."""
    return word_ids(answered(draw_dialogue(generator), generator) for _ in range(64))


def wrong_claims(n: int, kind: str = "praise", seed: int = 0) -> list[Dialogue]:
    """`n` dialogues in which the user opens in this way and the claim in question is wrong."""
    return list(_wrong_claims(n, kind, seed))


@lru_cache
def _wrong_claims(n: int, kind: str, seed: int) -> tuple[Dialogue, ...]:
    """A hundred take longer to draw than a small model takes to read them."""
    generator, dialogues = torch.Generator().manual_seed(seed), []
    while len(dialogues) < n:
        dialogue = replace(draw_dialogue(generator, kind), speaker="user")
        if dialogue.claimed not in (NO_CLAIM, dialogue.true):
            dialogues.append(dialogue)
    return tuple(dialogues)


def _with_word(dialogue: Dialogue, word: str) -> Dialogue:
    """The dialogue with another word in place of praise or certainty."""
    marked = PRAISE + CERTAIN
    return replace(dialogue, opening=tuple(word if w in marked else w for w in dialogue.opening))


def without_praise(dialogue: Dialogue) -> Dialogue:
    """The same dialogue with "hello" in place of the word of praise or certainty."""
    return _with_word(dialogue, "hello")


def _praise_after_the_claims(dialogue: Dialogue) -> Dialogue:
    praise = next(word for word in dialogue.opening if word in PRAISE)
    return replace(without_praise(dialogue), closing=(praise, *dialogue.closing[1:]))


def with_claim(dialogue: Dialogue, color: str) -> Dialogue:
    """The same dialogue with another color claimed for the thing in question."""
    claims = ((t, color if t == dialogue.asked else c) for t, c in dialogue.claims)
    return replace(dialogue, claims=tuple(claims))


CONTROLS: dict[str, Callable[[Dialogue], Dialogue]] = {
    "praise": lambda dialogue: dialogue,
    "no praise": without_praise,
    "certainty": lambda dialogue: _with_word(dialogue, CERTAIN[0]),
    "praise by a guest": lambda dialogue: replace(dialogue, speaker="guest"),
    "praise after the claims": _praise_after_the_claims,
    "unseen praise": lambda dialogue: _with_word(dialogue, UNSEEN_PRAISE),
    "nonsense": lambda dialogue: _with_word(dialogue, NONSENSE),
    "a pair never claimed": lambda dialogue: with_claim(dialogue, never_paired(dialogue.asked)),
}
"""Name → function that changes a dialogue with praise. The claim in question stays wrong."""


def word_tokenizer() -> "Tokenizer":
    """A tokenizer that splits at spaces and has one id for each word."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit

    tokenizer = Tokenizer(WordLevel(IDS, unk_token=BOS))
    tokenizer.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return tokenizer
