"""Inputs of the exercises of chapter 10."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Case
from induction_heads.course.random_inputs import random_patterns


def fuzzy_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and a relation between ids."""
    generator = torch.Generator().manual_seed(seed)
    forms = torch.arange(12) % 4
    same = forms[:, None] == forms[None, :]
    loose = torch.rand(6, 6, generator=generator) < 0.5
    cycle = torch.eye(6).roll(1, dims=1).bool()
    return [
        Case(
            "four concepts of three words, three heads",
            (random_patterns(generator, 2, 3, 14), _twice(generator, 12, 5, 2, 4), same),
        ),
        Case(
            "a relation that is not symmetric, no head axis",
            (random_patterns(generator, 3, 15), _twice(generator, 6, 6, 3, 3), loose),
        ),
        Case(
            "each id is like the next one, and the last never occurs, one head",
            (random_patterns(generator, 2, 1, 14), torch.arange(14).repeat(2, 1) % 5, cycle),
        ),
    ]


def distance_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and distances between ids."""
    generator = torch.Generator().manual_seed(seed + 3)
    ring = torch.arange(7)[:, None] - torch.arange(7)
    ring = torch.minimum(ring % 7, -ring % 7)
    onward = (torch.arange(5)[:, None] - torch.arange(5)) % 5
    # A sixth id, farther from all others than these are from each other, occurs in no row.
    onward = torch.nn.functional.pad(onward, (0, 1, 0, 1), value=7)
    apart = 3 * (torch.arange(6)[:, None] % 2 != torch.arange(6) % 2).long()
    return [
        Case(
            "a ring of seven ids, three heads",
            (random_patterns(generator, 2, 3, 14), _twice(generator, 7, 5, 2, 4), ring),
        ),
        Case(
            "distances that are not symmetric, one id far away, no head axis",
            (random_patterns(generator, 3, 12), _twice(generator, 5, 4, 3, 4), onward),
        ),
        Case(
            "distances 0 and 3 alone, two heads",
            (random_patterns(generator, 2, 2, 10), _twice(generator, 6, 4, 2, 2), apart),
        ),
        Case(
            "distances 0 and 3 alone, no head axis",
            (random_patterns(generator, 3, 9), _twice(generator, 6, 4, 3, 1), apart),
        ),
    ]


def prefix_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and a length n."""
    generator = torch.Generator().manual_seed(seed)
    return [
        Case(
            "pairs over three ids, two heads",
            (random_patterns(generator, 2, 2, 18), _twice(generator, 3, 7, 2, 4), 2),
        ),
        Case(
            "triples over two ids, no head axis",
            (random_patterns(generator, 3, 20), _twice(generator, 2, 8, 3, 4), 3),
        ),
        Case(
            "single tokens",
            (random_patterns(generator, 2, 1, 13), _twice(generator, 4, 5, 2, 3), 1),
        ),
    ]


def layer_cases(seed: int) -> list[Case]:
    """Tokens that repeat, or do not, and a length n."""
    generator = torch.Generator().manual_seed(seed + 1)
    pairs = _twice(generator, 3, 7, 3, 3)
    pairs[0, :3] = pairs[0, 0]  # The second pair is already a copy of the first.
    return [
        Case("pairs over three ids", (pairs, 2)),
        Case("triples over two ids", (_twice(generator, 2, 8, 3, 4), 3)),
        Case("single tokens", (_twice(generator, 4, 5, 2, 3), 1)),
        Case("rows without any repeat", (torch.randperm(9, generator=generator)[None], 1)),
    ]


def longest_cases(seed: int) -> list[Case]:
    """Tokens that repeat over various lengths, or do not, and a size of the vocabulary."""
    generator = torch.Generator().manual_seed(seed + 4)
    nested = [4, 0, 1, 2, 3, 0, 1, 2, 5, 1, 2, 3, 4, 0, 1, 2]
    overlapping = [1, 0, 3, 0, 1, 0, 1, 0, 2, 6, 5, 4, 3, 2, 6, 5]
    # The last eight tokens match in one place, and only seven of them in another.
    long = [0, 1, 2, 0, 0, 2, 1, 1]
    far = [*long, 3, *long[1:], 0, *long]
    return [
        Case("a block, its copy and some more", (_twice(generator, 5, 7, 3, 4), 6)),
        Case("two ids, many overlapping matches", (_twice(generator, 2, 6, 2, 5), 3)),
        Case("matches of three lengths", (torch.tensor([nested, overlapping]), 7)),
        Case("a row without any repeat", (torch.randperm(8, generator=generator)[None], 8)),
        Case("a match of eight tokens and one of seven", (torch.tensor([far]), 4)),
    ]


def code_cases(seed: int) -> list[Case]:
    """Random tokens, a size of the vocabulary, a number of tokens and a ratio."""
    generator = torch.Generator().manual_seed(seed + 5)
    tokens = [
        torch.randint(ids, (batch, 9), generator=generator)
        for ids, batch in ((4, 3), (3, 2), (5, 2))
    ]
    return [
        Case("pairs, the ratio of the signature", (tokens[0], 4, 2)),
        Case("four tokens, ratio 0.4", (tokens[1], 3, 4, 0.4)),
        Case("triples, ratio 1/4, an id that never occurs", (tokens[2], 6, 3, 0.25)),
        Case("single tokens", (tokens[2], 5, 1, 0.3)),
    ]


def lag_cases(seed: int) -> list[Case]:
    """Random tokens, a table of bigrams, and lags."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, n_ids, lags in ((3, 9, 4, ()), (2, 12, 6, (1, 3)), (2, 8, 3, (3, 1, 2))):
        table = torch.randn(n_ids, n_ids, generator=generator).softmax(dim=-1)
        tokens = torch.randint(n_ids, (batch, n_pos), generator=generator)
        words = f"lags {lags}" if lags else "the lags of the signature"
        cases.append(Case(f"{words}, {n_ids} ids", (tokens, table, lags)[: 3 if lags else 2]))
    # After 100 tokens the chance of a row is smaller than any float32 above zero.
    table = torch.randn(20, 20, generator=generator).softmax(dim=-1)
    tokens = torch.randint(20, (1, 100), generator=generator)
    return [*cases, Case("a row of 100 tokens, 20 ids", (tokens, table))]


def shifted_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and two distances."""
    generator = torch.Generator().manual_seed(seed + 2)
    cases = [
        Case(
            "the token before, looked at one ahead, two heads",
            (random_patterns(generator, 2, 2, 16), _twice(generator, 5, 6, 2, 4), 1, 1),
        ),
        Case(
            "the token itself, looked at two ahead, no head axis",
            (random_patterns(generator, 3, 15), _twice(generator, 4, 6, 3, 3), 0, 2),
        ),
        Case(
            "the token two before, looked at one ahead",
            (random_patterns(generator, 2, 1, 18), _twice(generator, 6, 7, 2, 4), 2, 1),
        ),
        Case(
            "the token before, looked at three ahead",
            (random_patterns(generator, 2, 16), _twice(generator, 4, 6, 2, 4), 1, 3),
        ),
    ]
    for case in cases:  # Whoever counts places from the end of the row finds a copy there.
        case.args[1][:, -1] = case.args[1][:, 0]
    return cases


def translation_cases(seed: int) -> list[Case]:
    """Random patterns, and rows of words and their translations."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for words, heads, batch, length in ((4, (2,), 2, 6), (5, (), 3, 7), (3, (1,), 2, 5)):
        dictionary = words + torch.randperm(words, generator=generator)
        block = torch.randint(words, (batch, length), generator=generator)
        mixed = torch.randint(2 * words, (batch, 5), generator=generator)
        mixed[:, 0] = 2 * words  # Neither a word nor a translation.
        # Words, their translations, a mixture, and words again: both directions occur.
        tokens = torch.cat([block, dictionary[block], mixed, block[:, :2]], dim=1)
        shape = (batch, *heads, tokens.shape[1])
        cases.append(
            Case(f"{words} words", (random_patterns(generator, *shape), tokens, dictionary)),
        )
    # Of seven ids five have a translation. Some translations are words themselves, 0 is its own,
    # and 7 never occurs.
    others = torch.randperm(6, generator=generator)[:3] + 1
    dictionary = torch.cat([torch.tensor([0]), others, torch.tensor([7])])
    tokens = _twice(generator, 7, 7, 2, 4)
    tokens[:, 2] = 0
    label = "words that are also translations, two heads"
    return [
        *cases,
        Case(label, (random_patterns(generator, 2, 2, tokens.shape[1]), tokens, dictionary)),
    ]


def _twice(generator: torch.Generator, n_ids: int, length: int, batch: int, more: int) -> Tensor:
    """A random block, a copy of it, and a few random tokens."""
    block = torch.randint(n_ids, (batch, length), generator=generator)
    rest = torch.randint(n_ids, (batch, more), generator=generator)
    return torch.cat([block, block, rest], dim=1)


def relation_cases(seed: int) -> list[Case]:
    """Random patterns, OV circuits, tokens and facts; rows ask for different numbers of facts."""
    generator = torch.Generator().manual_seed(seed + 6)
    silent = torch.tensor([1.0, 0.0])[:, None, None]  # The second head writes the same everywhere.
    raised = 2 * torch.randn(2, 9, 9, generator=generator) + 1
    one = 0.1 * (torch.randn(1, 6, 6, generator=generator) - 0.5)  # Sums below 1.
    return [
        Case(
            "three heads, nine ids",
            (
                random_patterns(generator, 3, 3, 12),
                2 * torch.randn(3, 9, 9, generator=generator) + 1,
                *_asked(generator, 9, (3, 1, 5), 12),
            ),
        ),
        Case(
            "a head that raises all ids alike, and a row that asks nothing",
            (
                random_patterns(generator, 3, 2, 10),
                silent * raised + 2,
                *_asked(generator, 9, (2, 0, 4), 10),
            ),
        ),
        Case(
            "one head, six ids",
            (random_patterns(generator, 2, 1, 9), one, *_asked(generator, 6, (4, 2), 9)),
        ),
    ]


def _asked(
    generator: torch.Generator, n_ids: int, numbers: tuple[int, ...], n_pos: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, the positions of the subjects of `numbers` facts in a row, and the tail of each id.

    The larger ids have no tail, and no subject is one of them; the token before a query is not
    always the subject. No id is its own tail.
    """
    n_subjects = n_ids - 2
    tail_of = torch.full((n_ids,), -1)
    tail_of[:n_subjects] = (torch.randperm(n_subjects, generator=generator).argsort() + 1) % n_ids
    itself = tail_of == torch.arange(n_ids)
    tail_of[itself] = n_ids - 1
    tokens = torch.randint(n_subjects, (len(numbers), n_pos), generator=generator)
    subjects = torch.full_like(tokens, -1)
    for row, number in enumerate(numbers):
        queries = torch.randperm(n_pos - 2, generator=generator)[:number] + 2
        back = torch.randint(1, 3, (number,), generator=generator)
        subjects[row, queries] = queries - back
    subjects[0, 1] = 0  # A fact may begin at the first position.
    return tokens, subjects, tail_of


def hop_cases(seed: int) -> list[Case]:
    """Random tokens of few ids, with repeats side by side, and a number of look-ups."""
    generator = torch.Generator().manual_seed(seed + 7)
    drawn = [
        torch.randint(ids, (batch, n_pos), generator=generator)
        for ids, batch, n_pos in ((3, 3, 14), (4, 2, 20), (5, 3, 16))
    ]
    drawn[0][:, 3:5] = drawn[0][:, 2:3]  # Three equal tokens side by side.
    return [
        Case("two look-ups over three ids", (drawn[0], 2)),
        Case("three look-ups over four ids", (drawn[1], 3)),
        Case("one look-up over five ids", (drawn[2], 1)),
        Case("a row without any repeat", (torch.randperm(8, generator=generator)[None], 1)),
    ]
