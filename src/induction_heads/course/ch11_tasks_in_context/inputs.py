"""Inputs of the exercises of chapter 11."""

import torch
from torch import Tensor

from induction_heads.course.exercise import Case, ModelInput
from induction_heads.data.tokens import distinct_tokens, repeated_tokens


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


def patch_cases(seed: int) -> list[Case]:
    """A trained, a random and a hand-built model; source rows of other lengths."""
    toy = ModelInput(name="toy-2l")
    built = ModelInput(kind="induction", options={"seed": seed, "n_heads": 3, "d_vocab": 24})
    random = ModelInput(kind="loud_neighbors", options={"seed": seed, "bos_token": 0})
    cases = []
    for label, model, d_vocab, bos, name in (
        ("toy-2l, in front of layer 1", toy, 64, None, "blocks.1.hook_resid_pre"),
        ("random heads of three layers, after layer 1", random, 20, 0, "blocks.1.hook_resid_post"),
        ("a hand-built model, in front of layer 0", built, 24, None, "blocks.0.hook_resid_pre"),
    ):
        rows = repeated_tokens(d_vocab, 6, batch=4, seed=seed, bos_token=bos)[:, :-2]
        source = repeated_tokens(d_vocab, 7, batch=4, seed=seed + 1, bos_token=bos)[:, :-1]
        cases.append(Case(label, (model, rows, source, name)))
    return cases


def exclusive_cases(seed: int) -> list[Case]:
    """Random scores of which the first heads of one kind are also high in the other."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for n_layers, n_heads, n in ((3, 4, 3), (2, 5, 4), (4, 3, 1)):
        others = torch.randn(n_layers, n_heads, generator=generator)
        scores = 0.8 * others + torch.randn(n_layers, n_heads, generator=generator)
        scores.view(-1)[others.argmax()] = 4.0  # The first head of both kinds.
        scores.view(-1)[others.argmin()] = 3.0  # Of one kind only.
        label = f"{n} of {n_layers} layers of {n_heads} heads"
        cases.append(Case(label, (scores, others, n)))
    return cases


def copied_cases(seed: int) -> list[Case]:
    """Rows with few ids, in which tokens recur with the same and with other followers."""
    generator = torch.Generator().manual_seed(seed)
    cases = [
        Case(f"{batch} rows of {n_pos} tokens, {ids} ids", (rows,))
        for batch, n_pos, ids in ((4, 14, 3), (3, 20, 5), (5, 9, 2))
        for rows in [torch.randint(ids, (batch, n_pos), generator=generator)]
    ]
    block = distinct_tokens(9, 4, 2, generator)
    return [*cases, Case("a block, three times", (block.repeat(1, 3),))]
