# verdict: qk_circuit=failed or error
"""Answers with two thin factors whose product the judge would have to write out: 900 MB."""

import torch
from transformer_lens import FactoredMatrix


def qk_circuit(model, layer, head):
    return FactoredMatrix(torch.ones(15_000, 1), torch.ones(1, 15_000))
