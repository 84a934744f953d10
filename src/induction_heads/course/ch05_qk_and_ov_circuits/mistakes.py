"""Known mistakes of chapter 5, each with its hint."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from induction_heads.course.exercise import Mistake
from induction_heads.models.interface import HookedModel

# qk_circuit and ov_circuit


def _scores(model: HookedModel, layer: int, head: int) -> Tensor:
    queries = torch.einsum("tm,md->td", model.W_E, model.W_Q[layer, head])
    keys = torch.einsum("tm,md->td", model.W_E, model.W_K[layer, head])
    return torch.einsum("qd,kd->qk", queries, keys)


def logits_by_token(model: HookedModel, layer: int, head: int) -> Tensor:
    """The OV circuit as one matrix [attended changed]."""
    written = torch.einsum("md,dn->mn", model.W_V[layer, head], model.W_O[layer, head])
    return model.W_E @ written @ model.W_U


QK_MISTAKES = (
    Mistake(
        "key token × query token",
        lambda model, layer, head: _scores(model, layer, head).T,
        "In your matrix the rows are keys. Which axis comes first in a pattern?",
    ),
    Mistake(
        "divided by √d_head",
        lambda model, layer, head: _scores(model, layer, head) / model.cfg.d_head**0.5,
        "The scale belongs to the attention score. Which of its factors are part of the circuit?",
    ),
    Mistake(
        "W_Q W_Kᵀ alone",
        lambda model, layer, head: model.W_Q[layer, head] @ model.W_K[layer, head].T,
        "This is d_model × d_model. What maps tokens to its axes, on each side?",
    ),
    Mistake(
        "W_U on the key side",
        lambda model, layer, head: (
            model.W_E @ model.W_Q[layer, head] @ model.W_K[layer, head].T @ model.W_U
        ),
        "Does a key come from an input token or from an output token?",
    ),
    Mistake(
        "layer and head are swapped",
        lambda model, layer, head: _scores(model, head, layer),
        "`model.W_Q` is [layer head d_model d_head]. Which index comes first in your code?",
    ),
    Mistake(
        "softmax over the keys",
        lambda model, layer, head: _scores(model, layer, head).softmax(dim=-1),
        "The softmax runs over the keys of a sequence. Is there a sequence here?",
    ),
)


OV_MISTAKES = (
    Mistake(
        "predicted token × attended token",
        lambda model, layer, head: logits_by_token(model, layer, head).T,
        "Take row a of your matrix. Is a the attended token, or the one whose logit changes?",
    ),
    Mistake(
        "stops at the residual stream",
        lambda model, layer, head: model.W_E @ model.W_V[layer, head] @ model.W_O[layer, head],
        "This is what the head writes. What turns it into logits?",
    ),
    Mistake(
        "W_Eᵀ instead of W_U",
        lambda model, layer, head: (
            model.W_E @ model.W_V[layer, head] @ model.W_O[layer, head] @ model.W_E.T
        ),
        "Are embedding and unembedding the same matrix in this model? Compare the two.",
    ),
    Mistake(
        "W_V W_O alone",
        lambda model, layer, head: model.W_V[layer, head] @ model.W_O[layer, head],
        "This is d_model × d_model. Which matrices belong at its two ends?",
    ),
    Mistake(
        "layer and head are swapped",
        lambda model, layer, head: logits_by_token(model, head, layer),
        "`model.W_V` is [layer head d_model d_head]. Which index comes first in your code?",
    ),
    Mistake(
        "the direct path is added",
        lambda model, layer, head: logits_by_token(model, layer, head) + model.W_E @ model.W_U,
        "W_E W_U does not pass through the head. Does it belong in the head's circuit?",
    ),
)


# eigenvalue_copying_score


def _core(circuit: Any) -> Tensor:
    """B A: d_head × d_head, with the same nonzero eigenvalues as A B."""
    return circuit.B.double() @ circuit.A.double()


def _ratio(top: Any, bottom: Any) -> float:
    return float(top) / float(bottom) if float(bottom) else 0.0


def _of_eigenvalues(score: Callable[[Tensor], Any]) -> Callable[[Any], float]:
    return lambda circuit: float(score(torch.linalg.eigvals(_core(circuit))))


EIGENVALUE_MISTAKES = (
    Mistake(
        "0 / 0 for a circuit of zeros",
        _of_eigenvalues(lambda values: values.real.sum() / values.abs().sum()),
        "This is right unless the circuit is zero. What does a silent head score, by the "
        "docstring?",
    ),
    Mistake(
        "the modulus is that of the real part",
        _of_eigenvalues(lambda values: _ratio(values.real.sum(), values.real.abs().sum())),
        "|λ| of 3 + 4i is 5. Does your denominator use the imaginary part?",
    ),
    Mistake(
        "the share of positive eigenvalues",
        _of_eigenvalues(lambda values: (values.real > 0).double().mean()),
        "You count eigenvalues. Should a tiny one weigh as much as a large one?",
    ),
    Mistake(
        "the sign of the sum",
        _of_eigenvalues(lambda values: values.real.sum().sign()),
        "In the denominator, is the modulus taken before or after the sum: Σ|λ| or |Σλ|?",
    ),
    Mistake(
        "the diagonal instead of the eigenvalues",
        lambda circuit: _ratio(circuit.AB.trace(), circuit.AB.diagonal().abs().sum()),
        "The diagonal has the right sum. Are its absolute values those of the eigenvalues?",
    ),
    Mistake(
        "singular values in the denominator",
        lambda circuit: _ratio(circuit.AB.trace(), torch.linalg.svdvals(circuit.AB).sum()),
        "Singular values say how much vectors are stretched. Which numbers does the definition "
        "use?",
    ),
    Mistake(
        "the mean of the diagonal over the mean of all absolute entries",
        lambda circuit: _ratio(circuit.AB.diagonal().mean(), circuit.AB.abs().mean()),
        "You compare the diagonal with the other entries. Where are the eigenvalues in that?",
    ),
    Mistake(
        "the sign is reversed",
        _of_eigenvalues(lambda values: _ratio(-values.real.sum(), values.abs().sum())),
        "A head whose eigenvalues are all positive copies. What does it score in your version?",
    ),
)


# logit_attribution


def _written(model: HookedModel, tokens: Tensor, hook: str = "hook_z") -> Tensor:
    """[component batch pos d_model]: what every component adds to the residual stream."""
    _, cache = model.run_with_cache(tokens)
    parts = [model.W_E[tokens], model.W_pos[: tokens.shape[1]].expand(len(tokens), -1, -1)]
    for layer in range(model.cfg.n_layers):
        z = cache[f"blocks.{layer}.attn.{hook}"]
        parts += torch.einsum("bphd,hdm->hbpm", z, model.W_O[layer]).unbind()
    return torch.stack(parts)


def _next(logits: Tensor, tokens: Tensor) -> Tensor:
    index = tokens[:, 1:, None].expand(len(logits), -1, -1, -1)
    return logits[:, :, :-1].gather(-1, index).squeeze(-1)


def _by_gather(model, tokens):
    return _next(_written(model, tokens) @ model.W_U, tokens)


def _one_per_layer(model, tokens):
    parts = _by_gather(model, tokens)
    heads = parts[2:].unflatten(0, (model.cfg.n_layers, model.cfg.n_heads))
    return torch.cat([parts[:2], heads.sum(dim=1)])


def _head_before_layer(model, tokens):
    parts = _by_gather(model, tokens)
    heads = parts[2:].unflatten(0, (model.cfg.n_layers, model.cfg.n_heads))
    return torch.cat([parts[:2], heads.transpose(0, 1).flatten(0, 1)])


def _centered(model, tokens):
    logits = _written(model, tokens) @ model.W_U
    return _next(logits - logits.mean(dim=-1, keepdim=True), tokens)


ATTRIBUTION_MISTAKES = (
    Mistake(
        "the logit of the query's own token",
        lambda model, tokens: _next(_written(model, tokens) @ model.W_U, tokens.roll(1, 1)),
        "At position i, which token should the model predict: the one it sees, or the next?",
    ),
    Mistake(
        "one component per layer",
        _one_per_layer,
        "Two heads of a layer can work against each other. Where in your code are they added up?",
    ),
    Mistake(
        "the heads are ordered by head first",
        _head_before_layer,
        "L0H0, L0H1, … come before L1H0. Which of your two loops is the outer one?",
    ),
    Mistake(
        "the position embedding is left out",
        lambda model, tokens: torch.cat([(parts := _by_gather(model, tokens))[:1], parts[2:]]),
        "Sum your components and compare with the logits. What enters the stream before layer 0?",
    ),
    Mistake(
        "the logits are centered",
        _centered,
        "Do your components still sum to the logit, or to the logit minus a mean?",
    ),
    Mistake(
        "the value at the query, not the mix",
        lambda model, tokens: _next(_written(model, tokens, "hook_v") @ model.W_U, tokens),
        "A head writes a mix of the values of all keys. At which hook has it mixed them?",
    ),
    Mistake(
        "each token's logit is taken at its own position",
        lambda model, tokens: (_written(model, tokens) @ model.W_U)[:, :, 1:].gather(
            -1, tokens[:, 1:, None].expand(2 + model.cfg.n_layers * model.cfg.n_heads, -1, -1, -1)
        )[..., 0],
        "Entry i is about what position i predicts. Which position has no next token?",
    ),
)


# induction_circuit_parameters


def _product(config: dict[str, int]) -> int:
    return 8 * config["d_model"] * config["d_head"]


PARAMETER_MISTAKES = (
    Mistake(
        "one head",
        lambda config: _product(config) // 2,
        "An induction head alone finds nothing. Which head writes what it looks for?",
    ),
    Mistake(
        "W_O is forgotten",
        lambda config: _product(config) * 3 // 4,
        "After the head has mixed its values, which matrix writes them back?",
    ),
    Mistake(
        "W_QK and W_OV are counted as full matrices",
        lambda config: 4 * config["d_model"] ** 2,
        "A d_model × d_model matrix of rank d_head is stored as two factors. How large?",
    ),
    Mistake(
        "all heads of two layers",
        lambda config: _product(config) * config["n_heads"],
        "You counted two layers. How many heads of each does the circuit use?",
    ),
    Mistake(
        "d_head is taken to be d_model / n_heads",
        lambda config: 8 * config["d_model"] * (config["d_model"] // config["n_heads"]),
        "That is true of GPT-2. Does it follow from the definition of a head?",
    ),
)
