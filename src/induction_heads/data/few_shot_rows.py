"""Rows of examples of one of eight mappings, with an arrow at the place of the answer.

A mapping is one-to-one between 8 inputs and 8 outputs. A row is `BOS x₁ → f(x₁) x₂ → f(x₂) …` with
distinct inputs, so the answer to the last input is nowhere else in the row and cannot be copied.
The arrow is the same token for all inputs and mappings: what a model holds there about the mapping
comes from the examples. (`mapping_rows` has no arrow, and twice the symbols.)
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from induction_heads.data.tokens import distinct_tokens, seeded, tiled_blocks

BOS, ARROW = 0, 1
N_SYMBOLS, N_TASKS, N_PAIRS = 8, 8, 6
FIRST_INPUT = 2
FIRST_OUTPUT = FIRST_INPUT + N_SYMBOLS
D_VOCAB = FIRST_OUTPUT + N_SYMBOLS
N_CTX = 1 + 3 * N_PAIRS

N_OF_TASKS, N_REPEATED = 24, 16
"""Rows of examples in a training batch, and rows that repeat a block of random tokens."""

Rows = Int[Tensor, "batch pos"]


def few_shot_mappings() -> Int[Tensor, "task symbol"]:
    """The eight fixed mappings: entry [t, i] is the output id of the input id i + 2.

    >>> few_shot_mappings().shape
    torch.Size([8, 8])
    """
    generator = torch.Generator().manual_seed(0)
    return torch.stack(
        [torch.randperm(N_SYMBOLS, generator=generator) for _ in range(N_TASKS)]
    ).add(FIRST_OUTPUT)


def arrow_rows(
    task: Int[Tensor, " batch"], n_pairs: int = N_PAIRS, *, seed: int | torch.Generator = 0
) -> Rows:
    """One row of `n_pairs` examples for each entry of `task`, a number from 0 to 7.

    >>> arrow_rows(torch.tensor([0, 5]), n_pairs=3).shape
    torch.Size([2, 10])
    """
    inputs = distinct_tokens(FIRST_OUTPUT, n_pairs, len(task), seed, exclude=(BOS, ARROW))
    outputs = few_shot_mappings()[task].gather(1, inputs - FIRST_INPUT)
    triples = torch.stack([inputs, torch.full_like(inputs, ARROW), outputs], dim=-1).flatten(1)
    return torch.cat([torch.full((len(task), 1), BOS), triples], dim=1)


def arrow_prompts(
    task: int, batch: int = 64, n_examples: int = N_PAIRS - 1, *, seed: int | torch.Generator = 0
) -> tuple[Rows, Int[Tensor, " batch"]]:
    """Rows of `n_examples` examples, a last input and its arrow, and the answers to that input.

    >>> prompts, answers = arrow_prompts(task=3, batch=4, n_examples=2)
    >>> prompts.shape, answers.shape  # BOS, two examples of three tokens, the input, the arrow.
    (torch.Size([4, 9]), torch.Size([4]))
    """
    rows = arrow_rows(torch.full((batch,), task), n_examples + 1, seed=seed)
    return rows[:, :-1], rows[:, -1]


def shuffled_answers(prompts: Rows, *, seed: int | torch.Generator = 0) -> Rows:
    """The prompts with the outputs of the examples shuffled in each row.

    The tokens are the same, and no example fits. Which inputs and which outputs there are still
    says something about the mapping: see `random_answers`.
    """
    places = torch.arange(3, prompts.shape[1], 3)
    order = torch.rand(len(prompts), len(places), generator=seeded(seed)).argsort(dim=1)
    shuffled = prompts.clone()
    shuffled[:, places] = prompts[:, places].gather(1, order)
    return shuffled


def random_answers(
    prompts: Rows, answers: Int[Tensor, " batch"], *, seed: int | torch.Generator = 0
) -> Rows:
    """The prompts with random outputs in the examples, all different, none of them the answer.

    With five examples of eight symbols, the set of shown inputs and that of shown outputs say much
    about a one-to-one mapping, even if the outputs are shuffled. Random outputs say nothing, except
    what the examples of a mapping say as well: the answer is not one of them.
    """
    places = torch.arange(3, prompts.shape[1], 3)
    luck = torch.rand(len(prompts), N_SYMBOLS, generator=seeded(seed))
    luck.scatter_(1, (answers - FIRST_OUTPUT)[:, None], 2.0)  # Last in the order.
    changed = prompts.clone()
    changed[:, places] = luck.argsort(dim=1)[:, : len(places)] + FIRST_OUTPUT
    return changed


def few_shot_training_rows(generator: torch.Generator) -> Rows:
    """24 rows, each of a random mapping, and 16 in which a block of random tokens repeats."""
    examples = arrow_rows(
        torch.randint(N_TASKS, (N_OF_TASKS,), generator=generator), seed=generator
    )
    source = distinct_tokens(D_VOCAB, D_VOCAB - 1, N_REPEATED, generator, exclude=(BOS,))
    blocks = tiled_blocks(source, N_CTX - 1, generator, periods=(3, 9), copies=6)
    repeats = torch.cat([torch.full((N_REPEATED, 1), BOS), blocks], dim=1)
    return torch.cat([examples, repeats])


def copied_targets(tokens: Rows) -> Bool[Tensor, "batch pos"]:
    """True at each position whose next token is what an induction head would predict.

    That is the token after the latest earlier copy of the token here, as in the HAPAX training of
    Sahin et al. (2025), who leave these targets out of the loss. Always false at the last position,
    which has no next token.

    >>> copied_targets(torch.tensor([[5, 7, 8, 5, 7, 9]])).int().tolist()
    [[0, 0, 0, 1, 0, 0]]
    """
    earlier = (tokens[:, :, None] == tokens[:, None, :]).tril(diagonal=-1)
    latest = earlier.int() * torch.arange(1, tokens.shape[1] + 1)
    place = latest.max(dim=-1).values  # Of the token after the copy; 0 where there is no copy.
    following = tokens.gather(1, place)
    same = (place[:, :-1] > 0) & (following[:, :-1] == tokens[:, 1:])
    return torch.cat([same, torch.zeros_like(same[:, :1])], dim=1)
