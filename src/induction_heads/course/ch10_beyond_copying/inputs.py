"""Inputs of the exercises of chapter 10."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Case, ModelInput
from induction_heads.course.random_inputs import random_patterns
from induction_heads.data.tokens import distinct_tokens, repeated_tokens


def fuzzy_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and a relation between ids."""
    generator = torch.Generator().manual_seed(seed)
    forms = torch.arange(12) % 4
    same = forms[:, None] == forms[None, :]
    loose = torch.rand(6, 6, generator=generator) < 0.5
    cycle = torch.eye(5).roll(1, dims=1).bool()
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
            "each id is like the next one",
            (random_patterns(generator, 2, 2, 14), torch.arange(14).repeat(2, 1) % 5, cycle),
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
    return [
        Case("pairs over three ids", (_twice(generator, 3, 7, 3, 3), 2)),
        Case("triples over two ids", (_twice(generator, 2, 8, 3, 4), 3)),
        Case("single tokens", (_twice(generator, 4, 5, 2, 3), 1)),
        Case("rows without any repeat", (torch.randperm(9, generator=generator)[None], 1)),
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
    return cases


def shifted_cases(seed: int) -> list[Case]:
    """Random patterns, tokens that repeat, and two distances."""
    generator = torch.Generator().manual_seed(seed + 2)
    return [
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


def translation_cases(seed: int) -> list[Case]:
    """Random patterns, and rows of words and their translations."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for words, heads, batch, length in ((4, (2,), 2, 6), (5, (), 3, 7), (3, (1,), 2, 5)):
        dictionary = words + torch.randperm(words, generator=generator)
        block = torch.randint(words, (batch, length), generator=generator)
        mixed = torch.randint(2 * words, (batch, 5), generator=generator)
        # Words, their translations, a mixture, and words again: both directions occur.
        tokens = torch.cat([block, dictionary[block], mixed, block[:, :2]], dim=1)
        shape = (batch, *heads, tokens.shape[1])
        cases.append(
            Case(f"{words} words", (random_patterns(generator, *shape), tokens, dictionary)),
        )
    # Of seven ids five have a translation, and some of these are translations themselves.
    dictionary, tokens = torch.randperm(7, generator=generator)[:5], _twice(generator, 7, 7, 2, 4)
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


def suppression_cases(seed: int) -> list[Case]:
    """Random logits and effects, and a head that lowers each prediction."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, d_vocab in ((3, 8, 6), (2, 12, 9), (5, 5, 4)):
        before = torch.randn(batch, n_pos, d_vocab, generator=generator)
        effect = torch.randn(batch, n_pos, d_vocab, generator=generator)
        tokens = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        label = f"{batch} rows of {n_pos} tokens, {d_vocab} ids"
        cases.append(Case(label, (before, effect, tokens)))
    before, effect, tokens = cases[0].args
    lowered = effect - 3 * torch.nn.functional.one_hot(before.argmax(-1), before.shape[-1])
    return [*cases, Case("a head that lowers each prediction by 3", (before, lowered, tokens))]


def compensation_cases(seed: int) -> list[Case]:
    """Random logits, and a case in which nothing reacts."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, d_vocab in ((3, 6, 7), (1, 9, 4), (4, 3, 11)):
        direct, clean, ablated = torch.randn(3, batch, n_pos, d_vocab, generator=generator) * 2
        tokens = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        label = f"{batch} rows of {n_pos} tokens, {d_vocab} ids"
        cases.append(Case(label, (direct, clean, ablated, tokens)))
    direct, clean, ablated, tokens = cases[0].args
    few = (direct, clean, ablated, tokens.clamp(max=4))
    cases.append(Case("a row of 7 ids of which the last two do not occur", few))
    return [*cases, Case("nothing reacts", (direct, clean, clean - direct, tokens))]


def effect_cases(seed: int) -> list[Case]:
    """Trained, random and hand-built models; the corrupted rows have another first copy."""
    toy = ModelInput(name="toy-2l")
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 3, "d_vocab": 24})
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    cases = []
    for label, model, d_vocab, period, bos in (
        ("toy-2l, period 12", toy, 64, 12, None),
        ("random heads of three layers, behind a BOS token", random, 20, 7, 0),
        ("a hand-built model, three heads a layer", built, 24, 9, None),
    ):
        prompts = repeated_tokens(d_vocab, period, batch=6, seed=seed, bos_token=bos)[:, :-2]
        rows = repeated_tokens(d_vocab, period, batch=5, seed=seed + 1, bos_token=bos)
        answers, corrupted = rows[:, -2], rows[:, :-2].clone()
        # The first copy in another order: the same tokens, which no longer say what comes next.
        first = slice(rows.shape[1] - 2 * period, rows.shape[1] - period)
        corrupted[:, first] = _reordered(corrupted[:, first], seed)
        cases.append(Case(label, (model, prompts, corrupted, answers)))
    return cases


def _reordered(rows: Tensor, seed: int) -> Tensor:
    """The rows with the entries of each shuffled independently."""
    return rows.gather(1, distinct_tokens(rows.shape[1], rows.shape[1], len(rows), seed))


def function_cases(seed: int) -> list[Case]:
    """Random outputs and effects; one head does much harm."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for n_layers, n_heads, width, n in ((2, 4, 6, 3), (3, 2, 5, 2), (4, 3, 8, 5)):
        outputs = torch.randn(n_layers, n_heads, width, generator=generator)
        effects = torch.randn(n_layers, n_heads, generator=generator)
        effects.view(-1)[effects.argmin()] = -4.0  # One head does much harm.
        label = f"{n} of {n_layers} layers of {n_heads} heads"
        cases.append(Case(label, (outputs, effects, n)))
    return cases


def task_cases(seed: int) -> list[Case]:
    """Random residual streams of different numbers and lengths."""
    generator = torch.Generator().manual_seed(seed)
    sizes = ((4, 7, 3, 2, 5), (3, 5, 6, 1, 8), (2, 9, 2, 9, 4))
    return [
        Case(
            f"{b} rows of {p} and {c} rows of {q}",
            (torch.randn(b, p, d, generator=generator), torch.randn(c, q, d, generator=generator)),
        )
        for b, p, c, q, d in sizes
    ]
