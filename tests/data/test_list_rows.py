"""Rows that begin with a list, where each word of the list is right to copy until it is said."""

import pytest
import torch

from induction_heads.data.list_rows import (
    D_VOCAB,
    END_OF_LIST,
    FROM_LIST,
    N_CTX,
    N_LISTED,
    list_rows,
    listed_and_said,
    next_word_chances,
)


def drawn(again: bool = False) -> torch.Tensor:
    return list_rows(torch.Generator().manual_seed(0), batch=500, again=again)


def said_of_list(row: list[int]) -> list[int]:
    return [word for word in row[N_LISTED + 1 :] if word in row[:N_LISTED]]


@pytest.mark.parametrize("again", [False, True])
def test_a_word_of_the_list_is_said_twice_only_where_it_may_be(again: bool):
    rows = drawn(again).tolist()
    assert all(len(row) == N_CTX and row[N_LISTED] == END_OF_LIST for row in rows)
    assert all(len(set(row[:N_LISTED])) == N_LISTED for row in rows)
    assert all(row.count(END_OF_LIST) == 1 for row in rows)
    twice = [len(said_of_list(row)) > len(set(said_of_list(row))) for row in rows]
    assert sum(twice) > 400 if again else not any(twice)


def test_four_of_five_words_are_of_the_list_as_long_as_one_is_left():
    first = [row[N_LISTED + 1] in row[:N_LISTED] for row in drawn().tolist()]
    assert sum(first) / len(first) == pytest.approx(FROM_LIST, abs=0.06)


def test_chances_are_those_of_a_loop():
    listed, said = torch.rand(2, 40, D_VOCAB, generator=torch.Generator().manual_seed(3)) < 0.4
    listed[:, END_OF_LIST] = False
    said[0] |= listed[0]  # Nothing is left of this list.
    for again in (False, True):
        chances = next_word_chances(listed, said, again=again)
        for row in range(40):
            ours = [w for w in range(D_VOCAB) if listed[row, w] and (again or not said[row, w])]
            others = [w for w in range(1, D_VOCAB) if not listed[row, w]]
            for word in range(D_VOCAB):
                share = FROM_LIST if ours else 0.0
                expected = share / len(ours) if word in ours else 0.0
                expected += (1 - share) / len(others) if word in others else 0.0
                assert chances[row, word].item() == pytest.approx(expected, abs=1e-6)


def test_what_was_said_is_counted_up_to_the_query():
    row = [*range(1, 7), 0, 3, 9, 3, 8, 8, 8, 8, 8, 8]
    listed, said = (each[0] for each in listed_and_said(torch.tensor([row])))
    assert listed.sum(dim=1).tolist() == [6] * 9
    assert [at.nonzero().flatten().tolist() for at in said[:4]] == [[], [3], [3, 9], [3, 9]]
