"""Inputs of the exercises of chapter 10 on suppression, self-repair and vectors."""

import torch
from torch import Tensor

from induction_heads.checks.exercise import Case, ModelInput
from induction_heads.tokens import distinct_tokens, repeated_tokens


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
    direct, clean, _, tokens = cases[0].args
    return [*cases, Case("nothing reacts", (direct, clean, clean - direct, tokens))]


def effect_cases(seed: int) -> list[Case]:
    """A trained and a hand-built model; the corrupted rows have another first copy."""
    toy = ModelInput(name="toy-2l")
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 3, "d_vocab": 24})
    cases = []
    for label, model, d_vocab, period in (
        ("toy-2l, period 12", toy, 64, 12),
        ("toy-2l, period 7", toy, 64, 7),
        ("a hand-built model, three heads a layer", built, 24, 9),
    ):
        prompts = repeated_tokens(d_vocab, period, batch=6, seed=seed)[:, :-2]
        rows = repeated_tokens(d_vocab, period, batch=5, seed=seed + 1)
        answers, corrupted = rows[:, -2], rows[:, :-2].clone()
        # The first copy in another order: the same tokens, and nothing to be told from them.
        corrupted[:, :period] = _reordered(corrupted[:, :period], seed)
        cases.append(Case(label, (model, prompts, corrupted, answers)))
    return cases


def _reordered(rows: Tensor, seed: int) -> Tensor:
    """The rows with their entries in an order of each row's own."""
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
        Case(f"{b} rows of {p} and {c} rows of {q}",
             (torch.randn(b, p, d, generator=generator), torch.randn(c, q, d, generator=generator)))
        for b, p, c, q, d in sizes
    ]  # fmt: skip
