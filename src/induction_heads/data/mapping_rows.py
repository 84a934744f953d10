"""Rows of examples of one of eight mappings: only the examples show which mapping it is.

An input is one of 16 symbols, an output one of 16 others. Each mapping is one-to-one. A row is
`BOS x₁ f(x₁) x₂ f(x₂) …` with distinct inputs, so the answer to the last input is nowhere else in
the row and cannot be copied.
"""

import torch
from jaxtyping import Int
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens, seeded, tiled_blocks

BOS, N_SYMBOLS, N_TASKS, N_PAIRS = 0, 16, 8, 8
D_VOCAB = 1 + 2 * N_SYMBOLS
N_CTX = 1 + 2 * N_PAIRS
FIRST_OUTPUT = 1 + N_SYMBOLS
"""Ids 1 to 16 are inputs, 17 to 32 outputs."""

Rows = Int[Tensor, "batch pos"]


def mappings() -> Int[Tensor, "task symbol"]:
    """The eight fixed mappings: entry [t, i] is the output id of input id i + 1."""
    generator = torch.Generator().manual_seed(0)
    return torch.stack(
        [torch.randperm(N_SYMBOLS, generator=generator) for _ in range(N_TASKS)]
    ).add(FIRST_OUTPUT)


def task_rows(
    task: Int[Tensor, " batch"], n_pairs: int = N_PAIRS, *, seed: int | torch.Generator = 0
) -> Rows:
    """One row of `n_pairs` examples for each entry of `task`, a number from 0 to 7.

    >>> task_rows(torch.tensor([0, 5]), n_pairs=3).shape
    torch.Size([2, 7])
    """
    inputs = distinct_tokens(1 + N_SYMBOLS, n_pairs, len(task), seed, exclude=(BOS,))
    outputs = mappings()[task].gather(1, inputs - 1)
    pairs = torch.stack([inputs, outputs], dim=-1).flatten(1)
    return torch.cat([torch.full((len(task), 1), BOS), pairs], dim=1)


def few_shot_prompts(
    task: int, batch: int = 64, n_examples: int = N_PAIRS - 1, *, seed: int | torch.Generator = 0
) -> tuple[Rows, Int[Tensor, " batch"]]:
    """Rows of `n_examples` examples and a last input, and the answers to that input.

    >>> prompts, answers = few_shot_prompts(task=3, batch=4, n_examples=2)
    >>> prompts.shape, answers.shape  # BOS, two pairs, the last input.
    (torch.Size([4, 6]), torch.Size([4]))
    """
    rows = task_rows(torch.full((batch,), task), n_examples + 1, seed=seed)
    return rows[:, :-1], rows[:, -1]


def with_shuffled_answers(prompts: Rows, *, seed: int | torch.Generator = 0) -> Rows:
    """The prompts with the outputs of the examples shuffled in each row.

    The tokens are the same, but they no longer show which mapping it is.
    """
    places = torch.arange(2, prompts.shape[1], 2)
    order = torch.rand(len(prompts), len(places), generator=seeded(seed)).argsort(dim=1)
    shuffled = prompts.clone()
    shuffled[:, places] = prompts[:, places].gather(1, order)
    return shuffled


def training_rows(generator: torch.Generator) -> Rows:
    """48 rows, each of a random mapping, and 16 rows in which a block of random tokens repeats."""
    tasks = torch.randint(N_TASKS, (48,), generator=generator)
    source = distinct_tokens(D_VOCAB, N_CTX - 1, 16, generator, exclude=(BOS,))
    blocks = tiled_blocks(source, N_CTX - 1, generator, periods=(3, 8), copies=6)
    repeats = torch.cat([torch.full((16, 1), BOS), blocks], dim=1)
    return torch.cat([task_rows(tasks, seed=generator), repeats])
