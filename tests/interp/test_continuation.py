"""How far a model follows a copy, against plain loops."""

import torch
from torch import nn

from induction_heads.interp.continuation import (
    greedy_continuations,
    match_places,
    share_equal_so_far,
    stretches,
)
from induction_heads.models.hand_built import hand_built


def draw(n_rows, n_pos, d_vocab, seed=0):
    return torch.randint(d_vocab, (n_rows, n_pos), generator=torch.Generator().manual_seed(seed))


def test_places_by_plain_loops():
    tokens, n_ahead = draw(6, 18, 3), 3
    expected = []
    for row, ids in enumerate(tokens.tolist()):
        for query in range(len(ids) - n_ahead):
            best = (0, 0)
            for key in range(1, query - n_ahead + 2):
                length = 0
                while length < key and ids[key - 1 - length] == ids[query - length]:
                    length += 1
                best = max(best, (length, key))
            if best[0] >= 2:
                expected.append([row, query, best[1]])
    assert match_places(tokens, n_ahead).tolist() == expected
    assert len(expected) > 20


class NextIsSum(nn.Module):
    """Predicts the sum of the last two tokens, modulo 7, so that every choice matters later."""

    def forward(self, tokens):
        before = torch.nn.functional.pad(tokens, (1, 0))[:, :-1]
        return nn.functional.one_hot((tokens + before) % 7, 7).float()


def test_a_continuation_reads_its_own_tokens_and_nothing_after_the_query():
    tokens = draw(70, 9, 7)
    places = torch.stack([torch.arange(70), torch.arange(70) % 4 + 1, torch.zeros(70).long()], 1)
    for (row, query, _), found in zip(
        places.tolist(), greedy_continuations(NextIsSum(), tokens, places, 3).tolist(), strict=True
    ):
        ids = tokens[row, : query + 1].tolist()
        for _ in range(3):
            ids.append((ids[-1] + ids[-2]) % 7)
        assert found == ids[-3:]


def test_the_hand_built_circuit_follows_a_copy_to_its_end():
    model = hand_built("induction")
    block = torch.randperm(model.config.d_vocab, generator=torch.Generator().manual_seed(1))[:8]
    tokens = torch.cat([block, block])[None]
    places = match_places(tokens, n_ahead=4)
    rows, _, keys = places.unbind(dim=1)
    own = greedy_continuations(model, tokens, places, 4)
    assert share_equal_so_far(own, stretches(tokens, rows, keys, 4)).tolist() == [1.0] * 4
    assert share_equal_so_far(own, stretches(tokens, rows, keys - 1, 4)).tolist() == [0.0] * 4


def test_once_different_always_different():
    ours, theirs = torch.tensor([[1, 2, 3], [1, 9, 3]]), torch.tensor([[1, 2, 3], [1, 2, 3]])
    assert share_equal_so_far(ours, theirs).tolist() == [1.0, 0.5, 0.5]
