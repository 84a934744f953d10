"""Partial credit: from drawn cases only, and above what a constant gets."""

from dataclasses import replace

import torch
from drawn import SECRET, reference_function, sheet

from induction_heads.course.exercise import Case, Exercise
from induction_heads.grading.judge import judge_function
from induction_heads.grading.partial_credit import drawn_cases, partial_share
from induction_heads.grading.sheet import Sheet


def _cases(seed: int) -> list[Case]:
    drawn = torch.randint(100, 10**6, (4,), generator=torch.Generator().manual_seed(seed)).tolist()
    return [Case("public", (number,)) for number in (1, 2, 3)] + [
        Case("drawn", (number,)) for number in (*drawn, -drawn[0], -drawn[1])
    ]


POSITIVE = Exercise(
    name="positive",
    difficulty=1,
    minutes=1,
    why="",
    cases=_cases,
    oracle=lambda number: max(number, 0),
    mistakes=(),
)


def test_answers_to_public_cases_and_constants_earn_nothing():
    table = {1: 1, 2: 2, 3: 3}
    ours = Sheet(POSITIVE, 5)
    assert drawn_cases(ours) == [3, 4, 5, 6, 7, 8]
    for function in (lambda number: table.get(number, -1), lambda number: 0):
        result = judge_function(ours, function)
        assert result.n_right > 0
        assert result.share == 0.0
    assert judge_function(ours, lambda number: number).share == 0.5
    assert judge_function(ours, lambda number: max(number, 0)).share == 1.0


def test_answers_judged_together_earn_nothing_in_part():
    together = replace(POSITIVE, describe=lambda cases, answers: answers)
    assert judge_function(Sheet(together, 5), lambda number: number).share == 0.0


def test_guesses_that_were_worth_most_of_the_points_are_worth_nothing():
    """Any float, an empty list, and a table of the public cases."""
    public = {
        case.args: answer
        for case, answer in zip(
            sheet("score_gap_needed").cases, sheet("score_gap_needed").expected, strict=True
        )
    }
    guesses = {
        "random_composition_baseline": lambda d_model, d_head, *, samples=100, seed=0: 0.5,
        "score_gap_needed": lambda *args: public.get(args, 0.0),
    }
    for name, guess in guesses.items():
        assert judge_function(sheet(name, SECRET[0]), guess).share == 0.0


def test_no_list_of_heads_is_right_in_too_many_cases():
    """The share of `[]`, from what is expected alone: no model has to run."""
    ours = sheet("find_induction_heads")
    nothing = [expected == [] for expected in ours.expected]
    assert any(nothing)
    assert partial_share(ours, nothing) == 0.0
    assert partial_share(ours, [True] * len(nothing)) == 1.0


def test_a_half_right_answer_earns_a_share():
    right = reference_function("attention_pattern")
    result = judge_function(
        sheet("attention_pattern", SECRET[0]),
        lambda queries, keys: right(queries, keys) if queries.dim() < 4 else queries,
    )
    assert 0.0 < result.share < 1.0
