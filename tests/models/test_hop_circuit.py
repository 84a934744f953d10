"""The hand-built circuit for k look-ups: exact, at the depth of the theorem, and no less."""

import math
from itertools import pairwise

import pytest
import torch

from induction_heads.data.hop_rows import k_hop_target, one_hop
from induction_heads.models.hop_circuit import hand_built_hops, hop_layers


def rows(ids: int, n_pos: int = 32):
    return torch.randint(ids, (200, n_pos), generator=torch.Generator().manual_seed(ids))


@pytest.mark.parametrize("ids", [2, 8])
@pytest.mark.parametrize("k", [1, 2, 3, 5, 8])
def test_the_circuit_finds_what_k_look_ups_find(k: int, ids: int):
    tokens = rows(ids)
    target = k_hop_target(tokens, k)
    model = hand_built_hops(k, d_vocab=ids)
    assert model.config.n_layers == math.floor(math.log2(k)) + 2
    assert torch.equal(model(tokens).argmax(dim=-1)[target >= 0], target[target >= 0])
    assert (target >= 0).float().mean() > 0.05


def test_the_circuit_is_sure_of_its_answer():
    tokens = rows(8)
    target = k_hop_target(tokens, 6)
    chances = hand_built_hops(6)(tokens).softmax(dim=-1)
    asked = target >= 0
    assert chances[asked].gather(1, target[asked][:, None]).min() > 0.99


def test_layers_double_and_add():
    for k in range(1, 40):
        done = hop_layers(k)
        assert done[-1] == k
        for before, after in pairwise(done):
            assert after in (2 * before, 2 * before + 1)
    with pytest.raises(ValueError, match="at least one look-up"):
        hop_layers(0)


def test_no_look_up_is_the_token_itself_and_a_negative_number_is_an_error():
    tokens = rows(4)
    assert torch.equal(k_hop_target(tokens, 0), tokens)
    with pytest.raises(ValueError, match="k=-1"):
        k_hop_target(tokens, -1)


def test_a_look_up_never_goes_forward():
    reached = one_hop(rows(3))
    assert (reached <= torch.arange(32)).all()
    assert (reached == torch.arange(32)).any()  # From the second of two equal neighbors.
