"""Other correct implementations of the exercises of chapter 5."""

import torch

from induction_heads.course.ch05_qk_and_ov_circuits.copying_mistakes import _by_rows
from induction_heads.course.ch05_qk_and_ov_circuits.mistakes import (
    _by_gather,
    _core,
    _product,
    _ratio,
    _scores,
    logits_by_token,
)


def _scores_from_the_bilinear_form(model, layer, head):
    return model.W_E @ model.QK[layer, head] @ model.W_E.T


def _logits_from_the_bilinear_form(model, layer, head):
    return model.W_E @ model.OV[layer, head] @ model.W_U


QK_ALSO_RIGHT = (_scores, _scores_from_the_bilinear_form)


OV_ALSO_RIGHT = (logits_by_token, _logits_from_the_bilinear_form)


def _by_trace(circuit):
    core = _core(circuit)
    return _ratio(core.trace(), torch.linalg.eigvals(core).abs().sum())


def _by_the_dense_matrix(circuit):
    values = torch.linalg.eigvals(circuit.AB.double())
    real, _ = torch.view_as_real(values).sum(dim=0)
    return _ratio(real, values.abs().sum())


EIGENVALUE_ALSO_RIGHT = (_by_trace, _by_the_dense_matrix)


def _by_a_mask(model, layer, head, tokens):
    """The kept entries by counts over the vocabulary: how often each id is in the row."""
    _, cache = model.run_with_cache(tokens)
    read = cache[f"blocks.{layer}.ln1.hook_out"]
    logits = read @ (model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_U)
    centered = logits - logits.mean(dim=-1, keepdim=True)
    own = torch.nn.functional.one_hot(tokens, model.cfg.d_vocab)  # [batch pos d_vocab]
    raised = centered.clamp_min(0)
    kept = raised * own.sum(dim=1, keepdim=True)
    mine = (raised * own).sum(dim=-1)
    return float((4 * mine / (mine + kept.sum(dim=-1) + 1e-12) - 1).mean())


LOGIT_ALSO_RIGHT = (_by_rows, _by_a_mask)


def _by_patterns(model, tokens):
    """Every head's part as the sum over keys of weight × OV."""
    _, cache = model.run_with_cache(tokens)
    directions = model.W_U.T[tokens[:, 1:]]
    rows = [model.W_E[tokens[:, :-1]], model.W_pos[: tokens.shape[1] - 1].expand_as(directions)]
    for layer in range(model.cfg.n_layers):
        read = cache[f"blocks.{layer}.ln1.hook_out"]
        for head in range(model.cfg.n_heads):
            pattern = cache[f"blocks.{layer}.attn.hook_pattern"][:, head, :-1]
            rows.append(pattern @ (read @ model.OV[layer, head].AB))
    return torch.stack([torch.linalg.vecdot(row, directions) for row in rows])


ATTRIBUTION_ALSO_RIGHT = (_by_gather, _by_patterns)


def _by_tensors(config):
    shape = (config["d_model"], config["d_head"])
    return sum(torch.empty(shape, device="meta").numel() for _ in range(8))


PARAMETER_ALSO_RIGHT = (_product, _by_tensors)


ALSO_RIGHT = {
    "qk_circuit": QK_ALSO_RIGHT,
    "ov_circuit": OV_ALSO_RIGHT,
    "eigenvalue_copying_score": EIGENVALUE_ALSO_RIGHT,
    "logit_copying_score": LOGIT_ALSO_RIGHT,
    "logit_attribution": ATTRIBUTION_ALSO_RIGHT,
    "induction_circuit_parameters": PARAMETER_ALSO_RIGHT,
}
"""Exercise → other answers that its check must accept."""
