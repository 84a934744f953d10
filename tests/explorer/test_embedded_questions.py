"""What the pages ask before an explorer has the answer that the teachers' page gives."""

import pytest
import torch

from induction_heads.data.tokens import distinct_tokens, repeated_tokens
from induction_heads.interp.ablation import second_copy_loss
from induction_heads.interp.interventions import logits_without_path
from induction_heads.interp.losses import per_token_loss
from induction_heads.models.loading import load_attention_only, load_model

TWO_COPIES = torch.tensor([[0, 1, 2, 3, 4, 5] * 2])


@pytest.fixture(scope="module")
def toy():
    return load_attention_only("toy-2l")


def patterns(model, tokens):
    """[batch layer head query key]."""
    stream, found = model.embed(tokens), []
    for layer in model.layers:
        found.append(layer.pattern(stream))
        stream = stream + layer(stream)
    return torch.stack(found, dim=1)


def with_another_token(row, position):
    """The row with each token that it does not have at this position, one row each."""
    others = [token for token in range(64) if token not in row.tolist()[0]]
    rows = row.repeat(len(others), 1)
    rows[:, position] = torch.tensor(others)
    return rows


def test_a_changed_token_moves_its_own_row_of_layer_1(toy):
    """Chapter 1: the mean share of a row's weight that moves."""
    row = repeated_tokens(64, period=8, batch=1, seed=0)
    for position in (9, 11, 13):
        moved = patterns(toy, with_another_token(row, position)) - patterns(toy, row)
        share = moved.abs().sum(dim=-1).mean(dim=0) / 2  # [layer head query]
        assert share[..., :position].max() < 1e-6
        assert share[1, :, position].min() > 0.6
        assert share[..., position + 1 :].max() < 0.3
        assert share[0, 0].max() < 0.1


def test_shuffled_tokens_leave_one_pattern(toy):
    """Chapter 3: the mean share of a row's weight that moves, over rows of twelve letters."""
    found = patterns(toy, distinct_tokens(26, 12, batch=64, seed=0))
    share = (found - found.mean(dim=0)).abs().sum(dim=-1).mean(dim=(0, 3)) / 2  # [layer head]
    assert share[0, 0] < 0.02
    assert share.flatten()[1:].min() > 5 * share[0, 0]


def test_a_broken_repeat_fades_one_cell_and_costs_two_tokens(toy):
    """Chapter 4."""
    for position in (7, 8, 9):
        rows = with_another_token(TWO_COPIES, position)
        moved = (patterns(toy, rows) - patterns(toy, TWO_COPIES)).mean(dim=0)[1]
        stripe = torch.stack([moved[:, query, query - 5] for query in range(6, 12)])
        faded = (stripe < -0.5).all(dim=1).nonzero().flatten() + 6
        assert faded.tolist() == [position]
        assert stripe[torch.arange(6, 12) != position].min() > -0.2
        rise = (per_token_loss(toy(rows), rows) - per_token_loss(toy(TWO_COPIES), TWO_COPIES)).mean(
            0
        )
        assert ((rise > 1).nonzero().flatten() + 1).tolist() == [position, position + 1]


def test_the_cut_of_the_keys_costs_most():
    """Chapter 6: what L0H0 writes, taken from one side of one head of layer 1."""
    bridge = load_model("toy-2l")
    clean = second_copy_loss(bridge(TWO_COPIES), TWO_COPIES, 6)
    for receiver in ((1, 0), (1, 1)):
        cut = {
            side: logits_without_path(bridge, TWO_COPIES, (0, 0), receiver, side) for side in "QKV"
        }
        rise = {
            side: second_copy_loss(logits, TWO_COPIES, 6) - clean for side, logits in cut.items()
        }
        assert rise["K"] > 1
        assert max(abs(rise["Q"]), abs(rise["V"])) < 0.05
