"""What repeats in rows of tokens."""

import pytest
import torch
from drawn import reference_function

from induction_heads.course.formulas import formula
from induction_heads.data.repeats import repeat_statistics, will_form
from induction_heads.data.toy_rows import DATA_KINDS, bursty_tokens, random_rows
from induction_heads.interp.formation import formation_step
from induction_heads.sweeps.stored_results import stored_sweep


def test_a_block_and_its_copy():
    found = repeat_statistics(torch.tensor([[1, 2, 3, 1, 2, 3]]))
    assert found == pytest.approx(
        {"repeated": 0.5, "usable": 0.4, "one_distance": 1.0, "by_heart": 1.0}
    )


def test_the_latest_copy_counts_and_not_the_first():
    found = repeat_statistics(torch.tensor([[1, 2, 1, 3, 1, 2]]))  # After 1: 2, then 3.
    assert found["usable"] == 0.0


def test_other_rows_are_not_earlier():
    found = repeat_statistics(torch.tensor([[1, 2], [1, 2]]))
    assert (found["repeated"], found["usable"], found["by_heart"]) == (0.0, 0.0, 1.0)


def test_nothing_usable_has_no_distance():
    assert repeat_statistics(torch.tensor([[1, 2, 3, 4]]))["one_distance"] == 0.0


def test_the_statistics_equal_loops():
    rows = bursty_tokens(30, 12, few=4, batch=9, seed=3)
    hits, repeated = [], 0
    for row in rows.tolist():
        for query in range(12):
            copies = [key for key in range(query) if row[key] == row[query]]
            repeated += bool(copies)
            if copies and query < 11 and row[copies[-1] + 1] == row[query + 1]:
                hits.append(query - copies[-1])
    found = repeat_statistics(rows)
    assert found["repeated"] == pytest.approx(repeated / rows.numel())
    assert found["usable"] == pytest.approx(len(hits) / (9 * 11))
    assert found["one_distance"] == pytest.approx(max(map(hits.count, hits)) / len(hits))


@pytest.mark.parametrize(("n", "V"), [(32, 64), (10, 5)])
def test_the_formula_for_repeats_by_chance_is_what_random_rows_show(n, V):
    tokens = torch.randint(V, (20_000, n), generator=torch.Generator().manual_seed(0))
    counted = repeat_statistics(tokens)["repeated"]
    same = formula(rtol=0.01, n=(n, n), V=(V, V))
    answer = reference_function("chance_repeats_formula")()
    assert same(answer, lambda n, V: counted) is None


def test_the_formula_for_intact_repeats_needs_all_four_tokens():
    kept = torch.rand(200_000, 4, generator=torch.Generator().manual_seed(0)) > 0.3
    counted = kept.all(dim=1).float().mean().item()
    answer = reference_function("intact_repeats_formula")()
    assert formula(rtol=0.01, q=(0.3, 0.3))(answer, lambda q: counted) is None


def test_random_rows_will_not_form():
    assert will_form(random_rows(torch.Generator().manual_seed(0), batch=256)) is False


def test_the_guess_is_right_on_every_stored_kind_of_32_tokens():
    """Its limits were chosen with these runs in view."""
    outcomes: dict[str, list[bool]] = {}
    for variant, record in stored_sweep("data"):
        step = formation_step(record)
        outcomes.setdefault(variant.data, []).append(step is not None and step <= 400)
    wrong = []
    for kind, formed in outcomes.items():
        generator = torch.Generator().manual_seed(5)
        data = DATA_KINDS[kind]
        rows = torch.cat([data.sample(generator) for _ in range(2048 // data.batch)])
        if data.n_pos == 32 and will_form(rows) != (2 * sum(formed) > len(formed)):
            wrong.append(kind)
    assert wrong == []


def test_rows_without_a_next_token_are_refused():
    for shape in ((0, 4), (3, 1)):
        with pytest.raises(ValueError, match="at least two tokens"):
            repeat_statistics(torch.zeros(shape, dtype=torch.long))
