"""Rows of exemplars and labels say what they promise: in the context, in the weights, or both."""

import pytest
import torch

from induction_heads.data.exemplar_rows import (
    N_LABELS,
    N_PAIRS,
    RowKind,
    absent_rows,
    class_labels,
    class_weights,
    conflict_rows,
    held_out_rows,
    training_rows,
)

KINDS = [RowKind(n_classes=12, copies=copies) for copies in (1, 2, 4)]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"copies-{kind.copies}")


def parts(rows):
    """Exemplars and labels of the pairs, the query and its label."""
    return rows[:, :-2:2], rows[:, 1:-2:2], rows[:, -2], rows[:, -1]


def trained(kind, **options):
    labels = class_labels(kind, seed=5)
    generator = torch.Generator().manual_seed(1)
    return labels, training_rows(kind, labels, generator, **options)


@each_kind
def test_bursty_rows_have_each_class_equally_often_and_the_query_among_them(kind):
    labels, rows = trained(kind)
    exemplars, shown, query, answer = parts(rows)
    for line, asked in zip(exemplars.tolist(), query.tolist(), strict=True):
        assert sorted(map(line.count, set(line))) == [kind.copies] * kind.per_row
        assert asked in line
    assert torch.equal(labels[exemplars - N_LABELS], shown)
    assert torch.equal(labels[query - N_LABELS], answer)
    assert query.max() < N_LABELS + kind.n_classes


def test_other_rows_have_the_class_of_the_query_as_often_as_chance_has_it():
    kind = RowKind(n_classes=12, bursty=0.25)
    _, rows = trained(kind, batch=6000)
    exemplars, _, query, _ = parts(rows)
    among = (exemplars == query[:, None]).any(dim=1).float().mean().item()
    assert among == pytest.approx(0.25 + 0.75 * (1 - (1 - 1 / 12) ** N_PAIRS), abs=0.02)


def test_classes_follow_the_exponent():
    kind = RowKind(n_classes=4, exponent=1.0, bursty=0.0)
    _, rows = trained(kind, batch=6000)
    classes = torch.bincount(rows[:, ::2].flatten() - N_LABELS, minlength=4) / (6000 * 5)
    assert classes.tolist() == pytest.approx([12 / 25, 6 / 25, 4 / 25, 3 / 25], abs=0.01)
    assert class_weights(kind)[4:].count_nonzero() == 0


@each_kind
def test_held_out_rows_can_be_answered_from_the_context_alone(kind):
    exemplars, labels, query, answer = parts(held_out_rows(kind, batch=64))
    assert exemplars.min() >= N_LABELS + kind.n_classes
    assert query.max() < kind.d_vocab
    for line, said, asked, right in zip(exemplars, labels, query, answer, strict=True):
        assert set(said[line == asked].tolist()) == {right.item()}
        assert right not in said[line != asked]


@each_kind
def test_the_class_of_the_query_is_absent(kind):
    labels = class_labels(kind, seed=5)
    exemplars, _, query, answer = parts(absent_rows(kind, labels, batch=64))
    assert not (exemplars == query[:, None]).any()
    assert torch.equal(labels[query - N_LABELS], answer)


@each_kind
def test_in_conflict_rows_the_context_never_says_the_fixed_label(kind):
    labels = class_labels(kind, seed=5)
    exemplars, said, query, answer = parts(conflict_rows(kind, labels, batch=64))
    own = labels[query - N_LABELS]
    assert not (said == own[:, None]).any()
    assert torch.equal(said[exemplars == query[:, None]].view(64, -1)[:, 0], answer)
    assert query.max() < N_LABELS + kind.n_classes


def test_the_query_is_at_no_fixed_place():
    kind = RowKind(n_classes=12)
    for rows in (trained(kind)[1], held_out_rows(kind)):
        exemplars, _, query, _ = parts(rows)
        assert (exemplars == query[:, None]).float().mean(dim=0).tolist() == pytest.approx(
            [0.5] * N_PAIRS, abs=0.25
        )


def test_the_seed_decides_the_rows():
    kind = RowKind(n_classes=12)
    assert held_out_rows(kind, seed=3).equal(held_out_rows(kind, seed=3))
    assert not held_out_rows(kind, seed=3).equal(held_out_rows(kind, seed=4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"copies": 3}, "divisor of 4"),
        ({"copies": 1, "n_classes": 4}, "needs 5 different"),
        ({"bursty": 1.5}, "from 0 to 1"),
    ],
)
def test_impossible_kinds_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RowKind(**options)
