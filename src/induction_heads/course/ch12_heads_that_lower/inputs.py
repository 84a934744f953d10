"""Inputs of the exercises of chapter 12."""

import torch

from induction_heads.course.exercise import Case


def suppression_cases(seed: int) -> list[Case]:
    """Random logits and effects, and a head that lowers each prediction."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for batch, n_pos, d_vocab in ((3, 8, 6), (2, 12, 9), (5, 5, 4)):
        before = torch.randn(batch, n_pos, d_vocab, generator=generator)
        effect = torch.randn(batch, n_pos, d_vocab, generator=generator)
        tokens = torch.randint(d_vocab, (batch, n_pos), generator=generator)
        label = f"{batch} rows of {n_pos} tokens, {d_vocab} ids"
        if d_vocab == 9:
            tokens, label = tokens.clamp(max=7), f"{label}, the last of which never occurs"
            before[..., -1] -= 9  # Nor is it ever predicted.
        cases.append(Case(label, (before, effect, tokens)))
    before, effect, tokens = cases[0].args
    lowered = effect - 3 * torch.nn.functional.one_hot(before.argmax(-1), before.shape[-1])
    return [*cases, Case("a head that lowers each prediction by 3", (before, lowered, tokens))]


def weight_cases(seed: int) -> list[Case]:
    """Random circuits with some low and some high diagonal entries; a head that writes nothing."""
    generator = torch.Generator().manual_seed(seed)
    cases = []
    for size, n_lowest in ((9, 1), (12, 3), (7, 2)):
        ov, qk = torch.randn(2, size, size, generator=generator)
        chosen = torch.rand(2, size, generator=generator) < 0.5
        ov[range(size), range(size)] -= 1.5 * chosen[0]
        qk[range(size), range(size)] += 3.0 * chosen[1]
        ov[size // 2] = ov[size // 2].round()  # A row with ties.
        cases.append(Case(f"{size} tokens, the {n_lowest} lowest", (ov, qk, n_lowest)))
    ov, qk, _ = cases[0].args
    ties = qk.clone()
    ties[1] = 2.0
    ties[2, :2] = ties[2, 2] = 5.0
    positive = ov - ov.min() + 1  # All raised: the least raised still has the lowest logit.
    cases.append(Case("a head that writes nothing", (torch.zeros(8, 8), torch.eye(8), 1)))
    cases.append(Case("scores with ties", (ov, ties, 2)))
    cases.append(Case("every logit is raised", (positive, qk - 10, 2)))
    return [*cases, Case("all tokens are lowest", (ov, qk, len(ov)))]


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
