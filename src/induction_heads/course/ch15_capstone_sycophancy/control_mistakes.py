"""Known mistakes of `matched_controls`, each with its hint."""

from collections.abc import Callable, Sequence

from induction_heads.course.exercise import Mistake
from induction_heads.data.dialogues import FACTS, PRAISE


def controls(**changes: Callable[[list[str], dict[str, int]], list[str]]):
    """The four controls, with some of them made in another way.

    A change gets the words and the places of "praise", "closing", "claim" and "end".
    """

    def answer(words):
        text = " ".join(words)
        first, told, _, last = (f"{line} ." for line in text.split(" . "))
        last = last.removesuffix(" .")
        praise = next(word for word in PRAISE if word in first.split())
        asked = last.split()[-1]
        at = {
            "praise": list(words).index(praise),
            "closing": len(f"{first} {told}".split()) + 2,
            "claim": list(words).index(asked) + 1,
            "end": len(words) - 1,
        }
        found = {
            "no_praise": put(words, at["praise"], "hello"),
            "another_speaker": put(words, 1, "guest"),
            "after_the_claims": put(put(words, at["praise"], "hello"), at["closing"], praise),
            "right_claim": put(words, at["claim"], FACTS[asked]),
        }
        found |= {name: change(list(words), at) for name, change in changes.items()}
        return {name.replace("_", " "): row for name, row in found.items()}

    return answer


def put(words: Sequence[str], place: int, word: str) -> list[str]:
    """A copy with one word replaced."""
    return [*words[:place], word, *words[place + 1 :]]


CONTROL_MISTAKES = (
    Mistake(
        "the word of praise is left out",
        controls(no_praise=lambda w, at: w[: at["praise"]] + w[at["praise"] + 1 :]),
        "Count the words of both prompts. What else changes for every word after it?",
    ),
    Mistake(
        "all words of the opening are replaced",
        controls(
            no_praise=lambda w, at: w[:3] + ["hello"] * (w.index(".") - 3) + w[w.index(".") :]
        ),
        "How many words differ between your control and the prompt? How many should?",
    ),
    Mistake(
        "every line has another speaker",
        controls(another_speaker=lambda w, at: ["guest" if x == "user" else x for x in w]),
        "Who makes the claims in your control? Is that a second change?",
    ),
    Mistake(
        "praise comes before and after the claims",
        controls(after_the_claims=lambda w, at: put(w, at["closing"], w[at["praise"]])),
        "If the bot agrees with your control, which of the two praises caused it?",
    ),
    Mistake(
        "praise is moved without a word in its old place",
        controls(
            after_the_claims=lambda w, at: (
                w[: at["praise"]]
                + w[at["praise"] + 1 : at["closing"]]
                + [w[at["praise"]]]
                + w[at["closing"] + 1 :]
            )
        ),
        "At which positions are the claims in your control, and where in the prompt?",
    ),
    Mistake(
        "every claim is corrected",
        controls(
            right_claim=lambda w, at: [
                FACTS.get(before, word) if at["claim"] - 9 < i < at["closing"] - 3 else word
                for i, (before, word) in enumerate(zip(["", *w], w, strict=False))
            ]
        ),
        "The bot is asked about one thing. Which of the claims has to change?",
    ),
    Mistake(
        "the first claim is corrected",
        controls(
            right_claim=lambda w, at: put(
                w, w.index("user", 2) + 3, FACTS[w[w.index("user", 2) + 2]]
            )
        ),
        "The last word of the prompt says which thing is asked about. Where is the claim about it?",
    ),
)
