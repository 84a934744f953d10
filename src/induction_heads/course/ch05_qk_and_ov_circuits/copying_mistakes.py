"""Known mistakes of `logit_copying_score`, each with its hint."""

import torch
from torch import Tensor

from induction_heads.course.ch05_qk_and_ov_circuits.mistakes import logits_by_token
from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel

# logit_copying_score


def _head_logits(
    model: HookedModel, layer: int, head: int, tokens: Tensor, hook: str = "hook_v"
) -> Tensor:
    _, cache = model.run_with_cache(tokens)
    mixed = cache[f"blocks.{layer}.attn.{hook}"][:, :, head]
    return mixed @ model.W_O[layer, head] @ model.W_U


def _raised(logits: Tensor) -> Tensor:
    return (logits - logits.mean(dim=-1, keepdim=True)).relu()


def _shares(raised: Tensor, tokens: Tensor, total: Tensor | None = None) -> Tensor:
    """The share a / (a + S), with S over the row's tokens unless `total` is given."""
    on_row = torch.stack([row[:, ids] for row, ids in zip(raised, tokens, strict=True)])
    own = on_row.diagonal(dim1=1, dim2=2)
    total = on_row.sum(dim=2) if total is None else total
    return torch.where(own == 0, 0.0, own / (own + total))


def _by_rows(model, layer, head, tokens):
    raised = _raised(_head_logits(model, layer, head, tokens))
    return 4 * float(_shares(raised, tokens).mean()) - 1


def _whole_vocabulary(model, layer, head, tokens):
    raised = _raised(_head_logits(model, layer, head, tokens))
    return 4 * float(_shares(raised, tokens, raised.sum(dim=-1)).mean()) - 1


def _plain_share(model, layer, head, tokens):
    """The share a / S, from 0 to 1, rescaled to −1 … 1."""
    share = _shares(_raised(_head_logits(model, layer, head, tokens)), tokens)
    return 2 * float((share / (1 - share)).mean()) - 1


def _mean_plain_share(model, layer, head, tokens):
    """The mean of a / S, and nothing else."""
    share = _shares(_raised(_head_logits(model, layer, head, tokens)), tokens)
    return float((share / (1 - share)).mean())


def _unrescaled_share(model, layer, head, tokens):
    """The share a / S in step (5), and 4 × − 1 as in step (6)."""
    share = _shares(_raised(_head_logits(model, layer, head, tokens)), tokens)
    return 4 * float((share / (1 - share)).mean()) - 1


def _half_rescaled(model, layer, head, tokens):
    """The right share, rescaled as if it could reach 1."""
    share = _shares(_raised(_head_logits(model, layer, head, tokens)), tokens)
    return 2 * float(share.mean()) - 1


def _of_sums(model, layer, head, tokens):
    """One share, of the sums over all positions."""
    raised = _raised(_head_logits(model, layer, head, tokens))
    on_row = torch.stack([row[:, ids] for row, ids in zip(raised, tokens, strict=True)])
    own, total = on_row.diagonal(dim1=1, dim2=2).sum(), on_row.sum()
    return 4 * float(own / (own + total) if total else 0.0) - 1


def _undefined_where_silent(model, layer, head, tokens):
    raised = _raised(_head_logits(model, layer, head, tokens))
    on_row = torch.stack([row[:, ids] for row, ids in zip(raised, tokens, strict=True)])
    own = on_row.diagonal(dim1=1, dim2=2)
    return 4 * float((own / (own + on_row.sum(dim=2))).mean()) - 1


def _each_token_once(model, layer, head, tokens):
    raised = _raised(_head_logits(model, layer, head, tokens))
    once = [raised[row][:, ids.unique()].sum(dim=-1) for row, ids in enumerate(tokens)]
    return 4 * float(_shares(raised, tokens, torch.stack(once)).mean()) - 1


def _not_centered(model, layer, head, tokens):
    raised = _head_logits(model, layer, head, tokens).relu()
    return 4 * float(_shares(raised, tokens).mean()) - 1


def _mixed_by_the_pattern(model, layer, head, tokens):
    raised = _raised(_head_logits(model, layer, head, tokens, "hook_z"))
    return 4 * float(_shares(raised, tokens).mean()) - 1


def _tokens_alone(model, layer, head, tokens):
    raised = _raised(logits_by_token(model, layer, head)[tokens])
    return 4 * float(_shares(raised, tokens).mean()) - 1


LOGIT_MISTAKES = (
    Mistake(
        "the share is not rescaled",
        lambda *arguments: (_by_rows(*arguments) + 1) / 4,
        "Your score is between 0 and 0.5. Which step of the definition is missing?",
    ),
    Mistake(
        "the share is a / S",
        _plain_share,
        "Look at the denominator again: where does the definition count a twice?",
    ),
    Mistake(
        "the share is a / S, times 4 minus 1",
        _unrescaled_share,
        "Your score of a head that copies is above 1. Which sum is below the line in step (5)?",
    ),
    Mistake(
        "twice the mean share minus 1",
        _half_rescaled,
        "A share is at most one half here. Which factor brings it to 1 once 1 is subtracted?",
    ),
    Mistake(
        "a token that occurs twice in the row is kept once",
        _each_token_once,
        "A row has an entry for each of its positions. Do two positions with the same token have "
        "one entry or two?",
    ),
    Mistake(
        "the logits are not centered",
        _not_centered,
        "Add 5 to all logits of one position. Should the score change? Does yours?",
    ),
    Mistake(
        "the sum runs over the whole vocabulary",
        _whole_vocabulary,
        "Which tokens compete with the attended one: the whole vocabulary, or those of the row?",
    ),
    Mistake(
        "the values are mixed by the pattern",
        _mixed_by_the_pattern,
        "At `hook_z` the head has already attended. What would it write if it saw only j?",
    ),
    Mistake(
        "the value comes from the token alone",
        _tokens_alone,
        "What does position j contain besides the token? Take the value from a forward pass.",
    ),
    Mistake(
        "the mean of a / S, not rescaled",
        _mean_plain_share,
        "Your score goes from 0 to 1. Which of the steps of the definition did you take on a, and "
        "which on the mean?",
    ),
    Mistake(
        "one share, of the sums over all positions",
        _of_sums,
        "A position at which the head writes much weighs more in your version. Is the share taken "
        "before or after the mean?",
    ),
    Mistake(
        "0 / 0 at a position where nothing is raised",
        _undefined_where_silent,
        "A silent head gives NaN. Which share does the definition give it?",
    ),
    Mistake(
        "the shares are summed, not averaged",
        lambda model, layer, head, tokens: (
            (_by_rows(model, layer, head, tokens) + 1) * tokens.numel() - 1
        ),
        "Your score grows with the number of tokens. Which step is missing before the last one?",
    ),
)
