"""Every head of a random model matters, and a flawed head has the flaw that it is named for."""

import torch

from induction_heads.course.model_inputs import (
    built_heads,
    built_model,
    flawed_induction,
)
from induction_heads.course.plain_forward import digest
from induction_heads.course.random_models import loud_neighbors
from induction_heads.models.attention_only import AttentionLayer


@torch.no_grad()
def test_every_head_of_a_loud_neighbors_matters_and_one_of_each_layer_is_loud():
    model = loud_neighbors(seed=3, bos_token=0)
    tokens = torch.randint(1, 20, (4, 12), generator=torch.Generator().manual_seed(0))
    clean, without = model(tokens), []
    for layer in model.layers:
        assert isinstance(layer, AttentionLayer)
        sizes = layer.W_O.flatten(1).norm(dim=1).sort().values
        assert sizes[-1] > 2 * sizes[-2]
        for head in range(3):
            kept = layer.W_O[head].clone()
            layer.W_O[head] = 0
            without.append((model(tokens) - clean).abs().mean().item())
            layer.W_O[head] = kept
    assert len(without) == 9
    assert min(without) > 0.05


@torch.no_grad()
def test_a_flawed_head_prevents_bos_where_it_should_and_nowhere_else():
    spikes = ((5, 9.0),)
    model = flawed_induction(d_vocab=12, n_ctx=16, prevented=spikes, seed=2)
    tokens = torch.arange(1, 9)[None]
    head = built_heads("flawed_induction", seed=2)["induction"][1]
    clean = model(tokens)[0, :, 0]
    layer = model.layers[1]
    assert isinstance(layer, AttentionLayer)
    layer.W_O[head] = 0
    without = model(tokens)[0, :, 0]
    assert torch.allclose(without[5] - without[4], torch.tensor(9.0), atol=1e-3)
    assert (without - clean).min() > 8.9


def test_models_of_other_weights_or_another_bos_token_have_other_names():
    kinds = [
        ("loud_neighbors", {"seed": 1}),
        ("loud_neighbors", {"seed": 2}),
        ("loud_neighbors", {"seed": 1, "bos_token": 0}),
        ("suppressor", {"seed": 1}),
        ("induction", {"seed": 1}),
    ]
    names = [digest(built_model(kind, options)) for kind, options in kinds]
    assert len(set(names)) == len(kinds)
    assert digest(built_model(*kinds[0])) == names[0]
