"""Known mistakes of `longest_match_prediction`, each with its hint."""

import torch

from induction_heads.course.exercise import Mistake


def longest(
    *,
    most: int = 99,
    least: int = 1,
    latest: bool = False,
    at_match: bool = False,
    by_length: bool = False,
    counts: bool = False,
    backoff: bool = False,
    overlap: bool = True,
    once: bool = False,
):
    """A version of `longest_match_prediction` with one thing changed."""

    def answer(tokens, d_vocab):
        found = torch.zeros(*tokens.shape, d_vocab)
        for number, row in enumerate(tokens.tolist()):
            for query in range(len(row)):
                sizes = {end: _length(row, query, end, overlap=overlap) for end in range(query)}
                sizes = {end: min(size, most) for end, size in sizes.items() if size >= least}
                best = max(sizes.values(), default=0)
                ends = [end for end, size in sizes.items() if size == best or by_length]
                ends = ends[-1:] if latest else ends
                if once:
                    ends = list({row[end + 1]: end for end in ends}.values())
                sums = 1 if counts else sum(sizes[end] if by_length else 1 for end in ends)
                for end in ends:
                    weight = sizes[end] if by_length else 1
                    found[number, query, row[end + (not at_match)]] += weight / sums
                if backoff and not ends:
                    found[number, query] = 1 / d_vocab
        return found

    return answer


def _length(row: list[int], query: int, end: int, *, overlap: bool) -> int:
    """How many tokens that end at `end` equal those that end at the query."""
    size = 0
    while size <= end and row[end - size] == row[query - size]:
        size += 1
    return size if overlap else min(size, query - end)


LONGEST_MISTAKES = (
    Mistake(
        "only the last token is matched",
        longest(most=1),
        "All earlier copies of the last token have the same weight in your version. Which of them "
        "has more in common with the end of the row?",
    ),
    Mistake(
        "every match counts by its length",
        longest(by_length=True),
        "A long match has more weight than a short one in your version, but the short one still "
        "counts. Which does the docstring keep?",
    ),
    Mistake(
        "at least two tokens must match",
        longest(least=2),
        "What should a position predict whose last token occurred before and whose last two did "
        "not?",
    ),
    Mistake(
        "at most two tokens are matched",
        longest(most=2),
        "Does a match of four tokens beat one of two in your version?",
    ),
    Mistake(
        "a match may not overlap the last tokens",
        longest(overlap=False),
        "In the row 0 1 0 1 0, the last three tokens also end two places earlier. Does your "
        "version count all three?",
    ),
    Mistake(
        "only the latest of several matches counts",
        longest(latest=True),
        "Equally long matches may have been followed by different tokens. Do all get their share?",
    ),
    Mistake(
        "each id that followed counts once",
        longest(once=True),
        "An id that came after two of the places should be twice as likely as one that came after "
        "one. Is it?",
    ),
    Mistake(
        "the end of the match is predicted, not what followed it",
        longest(at_match=True),
        "Your prediction is the last token itself. What came after it that time?",
    ),
    Mistake(
        "counts instead of shares",
        longest(counts=True),
        "Sum a prediction over the vocabulary. What should a distribution sum to?",
    ),
    Mistake(
        "an even guess where nothing matches",
        longest(backoff=True),
        "What does the docstring ask for where the last token is new?",
    ),
)
