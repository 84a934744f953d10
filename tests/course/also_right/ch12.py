"""Other correct implementations of the exercises of chapter 12."""

import torch

from induction_heads.course.ch12_heads_that_lower.mistakes import returned, suppression


def _suppression_by_masks(before, effect, tokens):
    here = torch.nn.functional.one_hot(tokens, before.shape[-1]).cumsum(dim=1).clamp(max=1).double()
    best = torch.nn.functional.one_hot(before.argmax(dim=-1), before.shape[-1]).double()
    others = here * (1 - best)
    usable = ((here * best).sum(-1) > 0) & (others.sum(-1) > 0)
    level = (others * effect).sum(-1) / others.sum(-1).clamp_min(1)
    return ((best * effect).sum(-1) - level)[usable].mean()


SUPPRESSION_ALSO_RIGHT = (suppression(), _suppression_by_masks)


def _shares_by_sorting(ov, qk, n_lowest):
    """The first token above the allowed places must be strictly above the own one."""
    size = len(ov)
    ordered = ov.sort(dim=1).values
    limit = ordered[:, n_lowest] if n_lowest < size else torch.full((size,), torch.inf)
    others = qk.masked_fill(torch.eye(size, dtype=torch.bool), -torch.inf).amax(dim=1)
    lowered, found = ov.diagonal() < limit, qk.diagonal() > others
    return float(lowered.double().mean()), float(found.double().mean())


def _shares_token_by_token(ov, qk, n_lowest):
    lowered, found = 0, 0
    for token in range(len(ov)):
        lowered += int((ov[token] <= ov[token, token]).sum()) <= n_lowest
        best, second = qk[token].topk(2).values
        found += bool(qk[token, token] == best > second)
    return lowered / len(ov), found / len(ov)


WEIGHTS_ALSO_RIGHT = (_shares_by_sorting, _shares_token_by_token)


def _returned_by_one_hot(direct, clean, ablated, tokens):
    chosen = torch.nn.functional.one_hot(tokens[:, 1:], clean.shape[-1])
    return ((direct + ablated - clean)[:, :-1] * chosen).sum(dim=-1)


COMPENSATION_ALSO_RIGHT = (returned(), _returned_by_one_hot)


REPAIR_ALSO_RIGHT = (
    lambda: "sqrt(4*a**2 + r**2) / sqrt(a**2 + r**2) - 1",
    lambda: "sqrt(1 + 3*a**2 / (a**2 + r**2)) - 1",
    lambda: "sqrt((4 + (r/a)**2) / (1 + (r/a)**2)) - 1",
)


ALSO_RIGHT = {
    "copy_suppression_score": SUPPRESSION_ALSO_RIGHT,
    "suppression_by_weights": WEIGHTS_ALSO_RIGHT,
    "compensation": COMPENSATION_ALSO_RIGHT,
    "repair_by_norm_formula": REPAIR_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
