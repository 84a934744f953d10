"""Solutions of chapter 12, heads that lower, with a reason for each line that needs one."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def copy_suppression_score(
    before: Float[Tensor, "batch pos d_vocab"],
    effect: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> float:
    """Row by row, with the set of tokens seen so far."""
    differences = []
    for row, tokens_of_row in enumerate(tokens.tolist()):
        seen: set[int] = set()  # A set: a token that occurs twice is one control, not two.
        for position, token in enumerate(tokens_of_row):
            seen.add(token)
            predicted = int(before[row, position].argmax())
            others = list(seen - {predicted})
            if predicted in seen and others:
                added = effect[row, position]
                # The other tokens of the context are the fair control: they could be copied too.
                differences.append(added[predicted] - added[others].mean())
    return torch.stack(differences).mean().item()


def suppression_by_weights(
    ov: Float[Tensor, "attended changed"], qk: Float[Tensor, "predicted key"], n_lowest: int
) -> tuple[float, float]:
    """A rank on the diagonal, row by row: the number of entries that are as low, or as high."""
    own_logit, own_score = ov.diagonal()[:, None], qk.diagonal()[:, None]
    # `<=` counts the token itself and its ties, so a head that writes nothing lowers nothing.
    lowered = (ov <= own_logit).sum(dim=1) <= n_lowest
    found = (qk >= own_score).sum(dim=1) == 1
    return lowered.float().mean().item(), found.float().mean().item()


def compensation(
    direct: Float[Tensor, "batch pos d_vocab"],
    clean: Float[Tensor, "batch pos d_vocab"],
    ablated: Float[Tensor, "batch pos d_vocab"],
    tokens: Int[Tensor, "batch pos"],
) -> Float[Tensor, "batch pos-1"]:
    """If nothing reacted, the logit would fall by exactly the direct effect."""
    following = tokens[:, 1:, None]  # The last position has no next token.
    straight, with_head, without = (
        logits[:, :-1].gather(-1, following)[..., 0] for logits in (direct, clean, ablated)
    )
    return straight - (with_head - without)


def repair_by_norm_formula() -> str:
    """The logit is 2a / √(4a² + r²) with both heads and a / √(a² + r²) with one.

    The direct effect of one is a / √(4a² + r²), so the fall is 2 − √(4a² + r²) / √(a² + r²) of it.
    """
    return "1 - (2 - sqrt(4*a**2 + r**2) / sqrt(a**2 + r**2))"
