"""Checks of chapter 5: the two circuits of a head, copying two ways, and direct attribution."""

from typing import Any

import torch
from torch import Tensor

from induction_heads.course.ch05_qk_and_ov_circuits import copying_mistakes, mistakes
from induction_heads.course.compare import close_product, closeness
from induction_heads.course.exercise import Case, Exercise, ModelInput
from induction_heads.course.random_inputs import decimals, whole_numbers
from induction_heads.models.hand_built import hand_built_heads
from induction_heads.models.interface import HookedModel
from induction_heads.models.plain_data import FactoredData

_TOY, _MARKOV = ModelInput(name="toy-2l"), ModelInput(name="markov-2l")
_PYTHON = ModelInput(name="python-2l")


def _hand_built(kind: str, seed: int, n_heads: int = 3) -> ModelInput:
    options = {"seed": seed, "n_heads": n_heads, "d_vocab": 20, "n_ctx": 24, "sharpness": 5.0}
    return ModelInput(kind=kind, options=options)


def _random(seed: int, n_heads: int = 2, **options: int) -> ModelInput:
    """Three layers of heads that write everything, with tokens of unequal norms."""
    return ModelInput(kind="random", options={"seed": seed, "n_heads": n_heads, **options})


# qk_circuit


def _circuit_cases(seed: int) -> list[Case]:
    return [
        Case("toy-2l, L0H1", (_TOY, 0, 1)),
        Case("three random layers of three heads, L2H1", (_random(seed, n_heads=3), 2, 1)),
        Case("markov-2l, L1H0", (_MARKOV, 1, 0)),
        Case("a model of three heads, L0H1", (_hand_built("induction", seed), 0, 1)),
        *(_matching_case(seed, d_vocab) for d_vocab in whole_numbers(seed, 2, 8, 40)),
    ]


def _matching_case(seed: int, d_vocab: int) -> Case:
    """A head that looks for the token of its query, with a strength drawn from the seed."""
    (sharpness,) = decimals(seed, 1, 2.0, 9.0)
    options = {"d_vocab": d_vocab, "n_ctx": 12, "sharpness": sharpness, "seed": seed}
    layer, head = hand_built_heads("duplicate_token", seed=seed)["duplicate_token"]
    label = f"a model of {d_vocab} tokens, L{layer}H{head}"
    return Case(label, (ModelInput(kind="duplicate_token", options=options), layer, head))


def _scores_by_token_pair(model: HookedModel, layer: int, head: int) -> Tensor:
    embeddings = model.W_E.detach().double()
    queries = [row @ model.W_Q[layer, head].detach().double() for row in embeddings]
    keys = [row @ model.W_K[layer, head].detach().double() for row in embeddings]
    return torch.tensor([[float(query @ key) for key in keys] for query in queries])


QK_CIRCUIT = Exercise(
    name="qk_circuit",
    difficulty=1,
    minutes=8,
    why="It says which token a head looks for, in any sequence.",
    cases=_circuit_cases,
    oracle=_scores_by_token_pair,
    compare=close_product(1e-3, 1e-4),
    mistakes=mistakes.QK_MISTAKES,
)


# ov_circuit


def _logits_by_token(model: HookedModel, layer: int, head: int) -> Tensor:
    rows = []
    for embedding in model.W_E.detach().double():
        value = embedding @ model.W_V[layer, head].detach().double()
        written = value @ model.W_O[layer, head].detach().double()
        rows.append([float(written @ column) for column in model.W_U.detach().double().T])
    return torch.tensor(rows)


OV_CIRCUIT = Exercise(
    name="ov_circuit",
    difficulty=1,
    minutes=6,
    why="A pattern says where a head looks; this says what it does there.",
    cases=_circuit_cases,
    oracle=_logits_by_token,
    compare=close_product(1e-3, 1e-4),
    mistakes=mistakes.OV_MISTAKES,
)


# eigenvalue_copying_score


def _product_cases(seed: int) -> list[Case]:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    diagonal = torch.diag(torch.tensor([2.0, 1.0, -0.5]))
    basis = normal(7, 3)
    return [
        Case("rank 4 of 9 × 9", (FactoredData(normal(9, 4), normal(4, 9)),)),
        Case("rank 5 of 12 × 12", (FactoredData(normal(12, 5), normal(5, 12)),)),
        Case("a rotation", (FactoredData(turn, torch.eye(2)),)),
        Case(
            "eigenvalues 2, 1 and −0.5", (FactoredData(basis @ diagonal, torch.linalg.pinv(basis)),)
        ),
        Case(
            "eigenvalues 0.02, 0.01 and −0.005",
            (FactoredData(basis @ diagonal / 100, torch.linalg.pinv(basis)),),
        ),
        Case("zeros", (FactoredData(torch.zeros(6, 2), torch.zeros(2, 6)),)),
    ]


def _by_the_whole_matrix(circuit: Any) -> float:
    values = torch.linalg.eigvals(circuit.A.double() @ circuit.B.double()).tolist()
    moduli = sum(abs(value) for value in values)
    return sum(value.real for value in values) / moduli if moduli else 0.0


EIGENVALUE_COPYING_SCORE = Exercise(
    name="eigenvalue_copying_score",
    difficulty=2,
    minutes=10,
    why='One number for "each token raises itself".',
    cases=_product_cases,
    oracle=_by_the_whole_matrix,
    compare=closeness(1e-4, 1e-4),
    mistakes=mistakes.EIGENVALUE_MISTAKES,
)


# logit_copying_score


def _rows(d_vocab: int, batch: int, n_pos: int, seed: int) -> Tensor:
    """Rows of distinct ids, without id 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, d_vocab - 1, generator=generator).argsort(dim=1)[:, :n_pos] + 1


def _sample_cases(seed: int) -> list[Case]:
    copier, lowering = _hand_built("induction", seed, 2), _hand_built("anti_induction", seed, 2)
    silent = _hand_built("no_copying", seed, 2)
    twice = _rows(17, 2, 5, seed + 4)
    twice = torch.cat([twice, twice[:, 1:2]], dim=1)
    cases = [
        Case("toy-2l, L1H0", (_TOY, 1, 0, _rows(64, 2, 7, seed))),
        Case("toy-2l, L0H1", (_TOY, 0, 1, _rows(64, 3, 12, seed + 1))),
        Case("python-2l, L1H3", (_PYTHON, 1, 3, _rows(1024, 1, 9, seed + 2))),
        Case("L2H1 of a random model, a token twice in each row", (_random(seed), 2, 1, twice)),
    ]
    others = {"a head that copies": copier, "a head that lowers": lowering, "a silent one": silent}
    return cases + [
        Case(f"{label}, L1H{head}", (model, 1, head, _rows(20, 1, 6, seed + 3)))
        for label, model in others.items()
        for head in (0, 1)
    ]


def _share_by_loops(model: HookedModel, layer: int, head: int, tokens: Tensor) -> float:
    _, cache = model.run_with_cache(tokens)
    read = cache[f"blocks.{layer}.ln1.hook_out"].detach()
    W_V, W_O = model.W_V[layer, head].detach(), model.W_O[layer, head].detach()
    shares = []
    for row, ids in enumerate(tokens.tolist()):
        for pos, token in enumerate(ids):
            logits = (((read[row, pos] @ W_V) @ W_O) @ model.W_U.detach()).double()
            raised = [max(0.0, value) for value in (logits - logits.mean()).tolist()]
            total = sum(raised[other] for other in ids)
            shares.append(raised[token] / (raised[token] + total) if total else 0.0)
    return 4 * sum(shares) / len(shares) - 1


LOGIT_COPYING_SCORE = Exercise(
    name="logit_copying_score",
    difficulty=3,
    minutes=20,
    why="It is the second definition of copying, and it disagrees with the first.",
    cases=_sample_cases,
    oracle=_share_by_loops,
    compare=closeness(1e-3, 1e-3),
    mistakes=copying_mistakes.LOGIT_MISTAKES,
)


# logit_attribution


def _attribution_cases(seed: int) -> list[Case]:
    return [
        Case("toy-2l", (_TOY, _rows(64, 2, 6, seed).repeat(1, 2))),
        Case(
            "three heads a layer",
            (_hand_built("induction", seed), _rows(20, 1, 4, seed + 1).repeat(1, 2)),
        ),
        Case("python-2l", (_PYTHON, _rows(1024, 3, 5, seed + 2))),
        Case("three random layers", (_random(seed), _rows(17, 2, 4, seed + 3))),
    ]


def _parts_by_loops(model: HookedModel, tokens: Tensor) -> Tensor:
    _, cache = model.run_with_cache(tokens)
    W_E, W_pos, W_U = (w.detach().double() for w in (model.W_E, model.W_pos, model.W_U))
    heads = [(i, h) for i in range(model.cfg.n_layers) for h in range(model.cfg.n_heads)]
    parts = torch.zeros(2 + len(heads), tokens.shape[0], tokens.shape[1] - 1)
    for row, ids in enumerate(tokens.tolist()):
        for pos, following in enumerate(ids[1:]):
            written = [W_E[ids[pos]], W_pos[pos]]
            for layer, head in heads:
                weights = cache[f"blocks.{layer}.attn.hook_pattern"][row, head, pos].double()
                read = weights @ cache[f"blocks.{layer}.ln1.hook_out"][row].double()
                value = read @ model.W_V[layer, head].detach().double()
                written.append(value @ model.W_O[layer, head].detach().double())
            for component, vector in enumerate(written):
                parts[component, row, pos] = vector @ W_U[:, following]
    return parts


LOGIT_ATTRIBUTION = Exercise(
    name="logit_attribution",
    difficulty=3,
    minutes=20,
    why="The logit is a sum, so each part's share can be read off.",
    cases=_attribution_cases,
    oracle=_parts_by_loops,
    compare=closeness(1e-3, 1e-3),
    mistakes=mistakes.ATTRIBUTION_MISTAKES,
)


# induction_circuit_parameters


def _config(n_layers: int, n_heads: int, d_model: int, d_head: int, d_vocab: int, n_ctx: int):
    return {
        "n_layers": n_layers,
        "n_heads": n_heads,
        "d_model": d_model,
        "d_head": d_head,
        "d_vocab": d_vocab,
        "n_ctx": n_ctx,
    }


def _config_cases(seed: int) -> list[Case]:
    (d_model,), (d_head,) = whole_numbers(seed, 1, 36, 99), whole_numbers(seed + 1, 1, 2, 7)
    return [
        Case("toy-2l", (_config(2, 2, 64, 32, 64, 32),)),
        Case("GPT-2 small", (_config(12, 12, 768, 64, 50257, 1024),)),
        Case("heads that do not fill d_model", (_config(3, 5, d_model, d_head, 11, 13),)),
    ]


def _count_weights(config: dict[str, int]) -> int:
    count = 0
    for _head in ("previous-token", "induction"):
        for _matrix in ("W_Q", "W_K", "W_V", "W_O"):
            for _row in range(config["d_model"]):
                count += config["d_head"]
    return count


INDUCTION_CIRCUIT_PARAMETERS = Exercise(
    name="induction_circuit_parameters",
    difficulty=1,
    minutes=5,
    why="A circuit is small compared with its model.",
    cases=_config_cases,
    oracle=_count_weights,
    mistakes=mistakes.PARAMETER_MISTAKES,
)


EXERCISES = (
    QK_CIRCUIT,
    OV_CIRCUIT,
    EIGENVALUE_COPYING_SCORE,
    LOGIT_COPYING_SCORE,
    LOGIT_ATTRIBUTION,
    INDUCTION_CIRCUIT_PARAMETERS,
)
