"""The circuits of the weights view, against those of `circuits` and `composition`."""

import json

import numpy as np
import pytest
import torch

from induction_heads.explorer.export import exported_model
from induction_heads.interp.circuits import ov_circuit, qk_circuit
from induction_heads.interp.composition import composition_scores, k_composed_qk_circuit
from induction_heads.models.loading import load_attention_only


def share_on_diagonal(table):
    """As in chapter 6: rows whose largest entry is on the diagonal."""
    return (table.argmax(dim=1) == torch.arange(len(table))).double().mean().item()


def expected_circuits(model, head, previous):
    """Lists of numbers and tables, in the order of the answer `circuits`."""
    scores = composition_scores(model)["K"]
    tables = [qk_circuit(model, *head).AB, ov_circuit(model, *head).AB]
    parts = [[share_on_diagonal(table), table] for table in tables]
    for earlier in previous:
        table = k_composed_qk_circuit(model, earlier, head).AB
        parts.append([scores[(*earlier, *head)].item(), share_on_diagonal(table), table])
    return parts


@pytest.mark.parametrize("head", [(0, 1), (1, 0), (1, 1)])
def test_circuits_and_their_diagonals_equal_torch(head, ask):
    model = load_attention_only("toy-2l")
    previous = [(0, 0), (0, 1)] if head[0] else []
    answered = ask(
        "circuits", model=json.loads(exported_model(model, "toy-2l")), head=head, previous=previous
    )
    at = 0
    for *numbers, table in expected_circuits(model, head, previous):
        expected = np.array([*numbers, *table.detach().flatten().double()])
        part = answered[at : at + len(expected)]
        assert np.allclose(part, expected, rtol=1e-5, atol=1e-5 * table.abs().max().item())
        at += len(expected)
    assert at == len(answered)


def test_the_diagonal_of_the_toy_is_bright_through_one_earlier_head_and_not_directly(ask):
    model = load_attention_only("toy-2l")
    previous = [(0, 0), (0, 1)]
    answered = ask(
        "circuits",
        model=json.loads(exported_model(model, "toy-2l")),
        head=(1, 0),
        previous=previous,
    )
    size = 64 * 64
    direct, (_, through_first), (_, through_second) = (
        answered[0],
        answered[2 * size + 2 :][:2],
        answered[3 * size + 4 :][:2],
    )
    assert direct < 0.1
    assert sorted([through_first, through_second])[0] < 0.3
    assert sorted([through_first, through_second])[1] > 0.9
