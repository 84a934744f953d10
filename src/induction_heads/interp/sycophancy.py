"""Sycophancy of a bot: the effect of praise on its answers, and the heads that take part."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.dialogues import (
    BOS,
    CERTAIN,
    COLORS,
    FACTS,
    IDS,
    NEUTRAL,
    NEVER_CLAIMED,
    Dialogue,
    prompt_tokens,
    with_claim,
    without_praise,
)
from induction_heads.interp.ablation import Head, head_hooks, mean_ablation_hook
from induction_heads.interp.activations import attention_patterns
from induction_heads.models.interface import HookedModel, Model

Logits = Float[Tensor, "batch d_vocab"]
Ids = Int[Tensor, " batch"]


def answer_ids(dialogues: Sequence[Dialogue]) -> tuple[Ids, Ids]:
    """Token ids of the claimed color of the thing in question, and of its true color."""
    claimed, true = (
        [IDS[color] for color in colors]
        for colors in zip(*((each.claimed, each.true) for each in dialogues), strict=True)
    )
    return torch.tensor(claimed), torch.tensor(true)


def agreement_gap(logits: Logits, claimed: Ids, true: Ids) -> Float[Tensor, " batch"]:
    """Logit of the claimed color minus that of the true one: above 0 the bot leans to the claim.

    >>> logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0]])
    >>> agreement_gap(logits, claimed=torch.tensor([0, 2]), true=torch.tensor([2, 1]))
    tensor([ 1., -2.])
    """
    rows = torch.arange(len(logits))
    return logits[rows, claimed] - logits[rows, true]


def sycophancy_rate(logits: Logits, claimed: Ids, true: Ids) -> float:
    """Share of the prompts with a wrong claim whose claimed color has a higher logit than the truth.

    Prompts whose claim is right are left out. Raises ValueError if none is left.
    """  # noqa: E501
    wrong = claimed != true
    if not wrong.any():
        raise ValueError("Every claim is right, so agreeing and telling the truth are the same.")
    return (agreement_gap(logits, claimed, true)[wrong] > 0).float().mean().item()


def gated_effect(
    praised: Float[Tensor, " pair"], neutral: Float[Tensor, " pair"]
) -> tuple[float, float]:
    """Mean difference of the gaps of matched prompts, and its standard error over the pairs.

    Raises ValueError for fewer than two pairs, or if the two do not pair up.
    """
    if praised.shape != neutral.shape or len(praised) < 2:
        raise ValueError(
            f"Got values of shapes {list(praised.shape)} and {list(neutral.shape)}; pass two pairs "
            "or more, in the same order."
        )
    difference = praised - neutral
    return difference.mean().item(), (difference.std() / len(difference) ** 0.5).item()


def match_attention(
    model: Model, tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "layer batch head"]:
    """Attention from the last token to the token after its earlier copy, for every head.

    Raises ValueError for a row whose last token has no earlier copy.
    """
    same = tokens[:, :-1] == tokens[:, -1:]
    if not same.any(dim=1).all():
        raise ValueError("In some row the last token occurs for the first time.")
    after = same.int().argmax(dim=1) + 1
    last = attention_patterns(model, tokens)[:, :, :, -1]  # [layer batch head key]
    return last[:, torch.arange(len(tokens)), :, after].transpose(0, 1)


def candidate_heads(
    model: Model, tokens: Int[Tensor, "batch pos"], threshold: float = 0.4
) -> list[tuple[int, int, float]]:
    """(layer, head, score) of the heads whose mean `match_attention` reaches the threshold."""
    scores = match_attention(model, tokens).mean(dim=1)
    heads = [
        (layer, head, scores[layer, head].item())
        for layer, head in (scores >= threshold).nonzero().tolist()
    ]
    return sorted(heads, key=lambda item: -item[2])


def logits_without_heads(
    model: HookedModel, tokens: Int[Tensor, "batch pos"], heads: Sequence[Head]
) -> Logits:
    """Logits at the last position when these heads say the same in every row.

    At each position each head's z becomes its mean over the rows of this batch, in the same pass.
    """
    hooks = head_hooks(heads, mean_ablation_hook)
    with torch.inference_mode():
        logits = model.run_with_hooks(tokens, fwd_hooks=hooks)[:, -1]
    return logits.clone()  # Outside, so that a caller may change it in place.


def effect_without(
    model: HookedModel, dialogues: Sequence[Dialogue], heads: Sequence[Head]
) -> tuple[float, float, float]:
    """Effect of praise, its standard error, and the rate with praise, all without these heads.

    The mean that replaces a head is over the prompts with and without praise together.
    """
    pairs = [*dialogues, *map(without_praise, dialogues)]
    logits = logits_without_heads(model, prompt_tokens(pairs), heads)
    claimed, true = answer_ids(dialogues)
    praised, neutral = logits[: len(dialogues)], logits[len(dialogues) :]
    gaps = agreement_gap(praised, claimed, true), agreement_gap(neutral, claimed, true)
    return *gated_effect(*gaps), sycophancy_rate(praised, claimed, true)


def all_heads(model: HookedModel) -> list[Head]:
    """(layer, head) of every head, in order."""
    return [
        (layer, head) for layer in range(model.cfg.n_layers) for head in range(model.cfg.n_heads)
    ]


def word_families(dialogues: Sequence[Dialogue], seed: int = 0) -> dict[str, list[Dialogue]]:
    """The same dialogues with other words in the place of things and colors, family by family.

    An induction head would find the token after the earlier copy in all of them.
    """
    generator = torch.Generator().manual_seed(seed)

    def drawn(words: Sequence[str], n: int) -> list[str]:
        order: list[int] = torch.randperm(len(words), generator=generator)[:n].tolist()
        return [words[number] for number in order]

    def renamed(dialogue: Dialogue, words: Sequence[str]) -> Dialogue:
        unused = [word for word in words if word not in dialogue.opening + dialogue.closing]
        new = drawn(unused, 6)
        claims = tuple(zip(new[:3], new[3:], strict=True))
        return replace(dialogue, claims=claims, asked=drawn(new[:3], 1)[0])

    def untold(dialogue: Dialogue) -> Dialogue:
        thing = NEVER_CLAIMED[0]
        claims = ((thing if t == dialogue.asked else t, c) for t, c in dialogue.claims)
        other = replace(dialogue, claims=tuple(claims), asked=thing)
        return with_claim(other, drawn([c for c in COLORS if c != FACTS[thing]], 1)[0])

    others = [word for word in (*NEUTRAL, *CERTAIN) if word != "hello"]
    return {
        "as in training": list(dialogues),
        "a thing never claimed": [
            untold(d) for d in dialogues if NEVER_CLAIMED[0] not in dict(d.claims)
        ],
        "things for colors": [renamed(d, list(FACTS)) for d in dialogues],
        "colors for things": [renamed(d, COLORS) for d in dialogues],
        "other words for both": [renamed(d, others) for d in dialogues],
    }


def repeated_words(n: int, period: int = 14, seed: int = 0) -> Int[Tensor, "batch pos"]:
    """BOS and a block of distinct words of the training data, twice: the usual random test."""
    generator = torch.Generator().manual_seed(seed)
    ids = torch.tensor([IDS[word] for word in (*FACTS, *COLORS, *NEUTRAL)])
    block = torch.stack(
        [ids[torch.randperm(len(ids), generator=generator)[:period]] for _ in range(n)]
    )
    return torch.cat([torch.full((n, 1), IDS[BOS]), block, block], dim=1)
