"""Rows of facts: what is asked where, and that only the table knows the tail."""

import pytest
import torch

from induction_heads.data.relation_rows import (
    FIRST_FILLER,
    FIRST_RELATION,
    FIRST_TAIL,
    N_RELATIONS,
    N_SUBJECTS,
    copied_rows,
    fact_table,
    facts,
    mixed_rows,
    tail_of,
)


def generator():
    return torch.Generator().manual_seed(3)


def test_after_every_relation_comes_the_tail_of_its_subject():
    rows, table = facts(generator(), batch=64), fact_table()
    found = 0
    for tokens, subjects, relations in zip(
        rows.tokens.tolist(), rows.subjects.tolist(), rows.relations.tolist(), strict=True
    ):
        for query, (subject, relation) in enumerate(zip(subjects, relations, strict=True)):
            is_relation = FIRST_RELATION <= tokens[query] < FIRST_FILLER
            assert is_relation == (subject >= 0) == (relation >= 0)
            if not is_relation:
                continue
            assert tokens[query] == FIRST_RELATION + relation
            assert tokens[subject] < N_SUBJECTS
            between = tokens[subject + 1 : query]
            assert len(between) <= 3
            assert all(FIRST_FILLER <= token < FIRST_TAIL for token in between)
            if query + 1 < len(tokens):
                assert tokens[query + 1] == table[relation, tokens[subject]]
                found += 1
    assert found > 200


def test_a_tail_is_new_if_the_row_has_not_had_it():
    rows = facts(generator(), batch=64)
    for tokens, relations, is_new in zip(
        rows.tokens.tolist(), rows.relations.tolist(), rows.tail_is_new().tolist(), strict=True
    ):
        for query in range(len(tokens) - 1):
            expected = relations[query] >= 0 and tokens[query + 1] not in tokens[: query + 1]
            assert is_new[query] == expected


def test_each_subject_and_relation_has_a_tail_of_its_own():
    tails = torch.stack([tail_of(relation) for relation in range(N_RELATIONS)])
    assert (tails[:, N_SUBJECTS:] == -1).all()
    assert len(tails[:, :N_SUBJECTS].unique()) == N_RELATIONS * N_SUBJECTS


def test_rows_of_copies_repeat_a_block_of_distinct_tokens():
    for row in copied_rows(generator(), batch=32).tolist():
        period = row.index(row[0], 1)
        assert 8 <= period <= 16
        assert len(set(row)) == period
        assert row[period:] == row[:-period]


def test_a_batch_of_both_has_rows_of_both_kinds():
    rows = mixed_rows("both", generator())
    assert rows.shape == (32, 32)
    assert torch.equal(rows[:10], facts(generator(), batch=10).tokens)
    with pytest.raises(ValueError, match="The kinds are facts, both, copies"):
        mixed_rows("fact", generator())
