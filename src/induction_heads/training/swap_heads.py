"""What the heads of the models of swapped answers do with the earlier answer."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.matching_rows import N_ASKED, SWAP_IDS, other_answer
from induction_heads.interp.ablation import head_hooks
from induction_heads.interp.activations import attention_patterns
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.suppression import (
    head_effects,
    suppression_by_weights,
    suppression_circuits,
)
from induction_heads.models.attention_only import AttentionOnly
from induction_heads.models.interface import HookedModel
from induction_heads.models.loading import to_transformer_lens
from induction_heads.training.matching_tasks import MeasuredRows
from induction_heads.training.records import rounded

KINDS = ("copied", "swapped")


def by_kind(rows: MeasuredRows) -> dict[str, MeasuredRows]:
    """The rows in which the earlier answer is right, and those in which it is wrong."""
    swapped = rows.tokens[:, 0] == 1
    return {
        kind: MeasuredRows(rows.tokens[rows_of], rows.marked[rows_of], rows.control[rows_of])
        for kind, rows_of in zip(KINDS, (~swapped, swapped), strict=True)
    }


def effects_on_earlier_answers(
    model: HookedModel, rows: MeasuredRows
) -> Float[Tensor, "layer head"]:
    """How far each head raises the earlier answer over the other one of the word, in logits.

    The direct effect (`head_effects`), as a mean over the queries with a marked key.
    """
    row, query, key = rows.marked.nonzero(as_tuple=True)
    answer, index = rows.tokens[row, key], torch.arange(len(row))
    found = torch.zeros(model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            effect = head_effects(model, rows.tokens, layer, head)[1][row, query]
            raised = effect[index, answer] - effect[index, other_answer(answer)]
            found[layer, head] = raised.mean()
    return found


def ablation_costs(model: HookedModel, rows: MeasuredRows) -> Float[Tensor, "layer head"]:
    """How far the loss at the marked queries rises without each head (zero ablation), in nats."""
    marked = rows.marked.any(dim=-1)[:, :-1]

    def loss(heads: list[tuple[int, int]]) -> float:
        with torch.inference_mode():
            logits = model.run_with_hooks(rows.tokens, fwd_hooks=head_hooks(heads))
        return per_token_loss(logits, rows.tokens)[marked].mean().item()

    before, sizes = loss([]), (model.cfg.n_layers, model.cfg.n_heads)
    places = [(layer, head) for layer in range(sizes[0]) for head in range(sizes[1])]
    return torch.tensor([loss([place]) - before for place in places]).view(sizes)


def shares_by_weights(
    model: HookedModel, *, order: Int[Tensor, " id"] | None = None
) -> Float[Tensor, "share layer head"]:
    """`suppression_by_weights` of every head, on the answers.

    `order` is a control: the own id of each answer is looked for at another one.
    """
    answers = torch.arange(2 + N_ASKED, SWAP_IDS)
    shares = torch.zeros(2, model.cfg.n_layers, model.cfg.n_heads)
    for layer in range(model.cfg.n_layers):
        for head in range(model.cfg.n_heads):
            ov, qk = suppression_circuits(model, layer, head, answers)
            if order is not None:
                ov, qk = ov[order], qk[order]
            shares[:, layer, head] = torch.tensor(suppression_by_weights(ov, qk))
    return shares


def swap_record(model: AttentionOnly, rows: MeasuredRows) -> dict[str, Any]:
    """For both kinds of rows: each head's attention to the earlier answer, effect and cost.

    And its shares by weights, with those for answers in another order as a control.
    """
    bridge, record = to_transformer_lens(model), {}
    order = torch.randperm(2 * N_ASKED, generator=torch.Generator().manual_seed(0))
    for name, other in (("by_weights", None), ("by_weights_control", order)):
        shares = shares_by_weights(bridge, order=other)
        record[name] = [rounded(share, digits=3) for share in shares]
    for kind, of_kind in by_kind(rows).items():
        patterns = attention_patterns(model, of_kind.tokens)
        on = torch.einsum("lbhqk,bqk->lh", patterns, of_kind.marked.to(patterns.dtype))
        record[kind] = {
            "attention": rounded(on / of_kind.marked.any(dim=-1).sum(), digits=3),
            "effect": rounded(effects_on_earlier_answers(bridge, of_kind), digits=3),
            "cost": rounded(ablation_costs(bridge, of_kind), digits=3),
        }
    return record
