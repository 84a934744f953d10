"""Judging in place: what `check` does in a notebook, and what the tests of the course do."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from trial import DOUBLED, ROW_SUMS, WIDTH

from induction_heads import check
from induction_heads.course import registry
from induction_heads.course.exercise import Case, Exercise, Mistake
from induction_heads.grading.in_notebook import CheckReport
from induction_heads.grading.judge import judge_function
from induction_heads.grading.sheet import Sheet
from induction_heads.models.attention import causal_mask


def test_oracle_other_implementations_and_mistakes():
    assert judge_function(ROW_SUMS, ROW_SUMS.oracle).passed
    assert judge_function(ROW_SUMS, lambda matrix: matrix.sum(dim=-1)).passed
    for mistake in ROW_SUMS.mistakes:
        result = judge_function(ROW_SUMS, mistake.answer)
        assert (result.status, result.mistake) == ("failed", mistake.name)
        assert mistake.hint in result.message


def test_mistake_is_named_only_if_every_case_equals_it():
    def wrong_on_squares_only(matrix):
        return matrix.sum(0) if len(matrix) == 2 else matrix.sum(1)

    result = judge_function(ROW_SUMS, wrong_on_squares_only)
    assert (result.status, result.mistake) == ("failed", None)


def test_mistake_that_raises_matches_nothing():
    raising = replace(ROW_SUMS, mistakes=(Mistake("it raises", lambda matrix: 1 / 0, "No?"),))
    assert judge_function(raising, lambda matrix: matrix).mistake is None


def test_inputs_are_copies_for_every_call():
    sheet = Sheet(ROW_SUMS)
    before = [case.args[0].clone() for case in sheet.cases]
    result = judge_function(sheet, lambda matrix: matrix.zero_().sum(1))
    assert "changed in place" in result.message
    assert all(map(torch.equal, before, [case.args[0] for case in sheet.cases]))
    assert judge_function(sheet, ROW_SUMS.oracle).passed


def test_mistake_that_changes_its_input_is_named():
    def zeroing(matrix):
        matrix[:, 0] = 0
        return matrix.sum(1)

    known = replace(ROW_SUMS, mistakes=(Mistake("a column is erased", zeroing, "Whose is it?"),))
    assert judge_function(known, zeroing).mistake == "a column is erased"


def test_none_is_answered_by_asking_for_a_return():
    assert "got None" in (said := judge_function(ROW_SUMS, lambda matrix: None).message)
    assert "Is a `return` missing?" in said


def test_report_on_the_package_function_says_whose_it_is():
    report = check(causal_mask)
    assert report.passed
    assert "This is the package's own `causal_mask`." in report.message


def test_keyword_arguments_reach_the_function():
    assert judge_function(DOUBLED, lambda number: 2 * number).passed


def test_hooks_left_on_a_model_do_not_leak():
    def leaving_a_hook(model):
        model.add_hook("blocks.0.attn.hook_pattern", lambda pattern, hook: pattern * 0)
        return model.cfg.d_model

    assert judge_function(WIDTH, leaving_a_hook).passed
    assert judge_function(WIDTH, WIDTH.oracle).passed


def test_model_that_the_oracle_or_a_mistake_changes_is_built_again():
    def emptied(model):
        model.W_U.data.zero_()
        next(model.parameters()).data.zero_()
        return model.cfg.d_model + 1

    def largest(model):
        return model.W_E.abs().max().item()

    mistake = Mistake("it is emptied", emptied, "Whose is it?")
    sheet = Sheet(replace(WIDTH, oracle=largest, mistakes=(mistake,)))
    assert sheet.mistaken(mistake, 0) == WIDTH.oracle(SimpleNamespace(cfg=sheet_config(sheet))) + 1
    assert judge_function(sheet, largest).passed
    assert sheet.expected[0] > 0


def sheet_config(sheet: Sheet) -> SimpleNamespace:
    return SimpleNamespace(**sheet.inputs[0][0][0].config)


def test_answer_that_is_part_of_a_model_is_not_changed_with_it():
    part = replace(WIDTH, oracle=lambda model: [next(model.parameters()).data], mistakes=())
    sheet = Sheet(part)
    before = sheet.expected[0][0].clone()
    sheet._answer(lambda model: next(model.parameters()).data.zero_(), 0)
    assert torch.equal(sheet.expected[0][0], before)


def shuffled(length: int, seed: int) -> torch.Tensor:
    return torch.randperm(length, generator=torch.Generator().manual_seed(seed))


def facts(cases: list[Case], answers: list[torch.Tensor]) -> list[dict]:
    return [
        {
            "the values": sorted(answer.tolist()),
            "the same as in the first case": torch.equal(answer, answers[0]),
        }
        for answer in answers
    ]


SHUFFLED = Exercise(
    name="shuffled",
    difficulty=2,
    minutes=3,
    why="Many answers are right.",
    cases=lambda seed: [Case("seed 0", (9, 0)), Case("seed 0 again", (9, 0)), Case("1", (9, 1))],
    oracle=lambda length, seed: {
        "the values": list(range(length)),
        "the same as in the first case": seed == 0,
    },
    mistakes=(Mistake("the seed is ignored", lambda length, seed: shuffled(length, 0), "Seed?"),),
    describe=facts,
)


def test_described_answers_are_compared_by_their_facts():
    assert judge_function(SHUFFLED, shuffled).passed
    assert judge_function(SHUFFLED, lambda length, seed: shuffled(length, seed + 5)).passed
    result = judge_function(SHUFFLED, lambda length, seed: torch.arange(length))
    assert result.mistake == "the seed is ignored"
    assert "'the same as in the first case' is True, expected False" in result.message


def test_answer_that_cannot_be_described_fails():
    result = judge_function(SHUFFLED, lambda length, seed: 3)
    assert (result.status, result.mistake) == ("failed", None)
    assert "seed 0: Got 3, which is not an answer" in result.message


def test_comparison_that_raises_on_a_strange_answer_is_a_failure():
    strict = replace(DOUBLED, compare=lambda answer, expected: None if answer + 0 else "no")
    result = judge_function(strict, lambda number: None)
    assert result.status == "failed"
    assert "Got None, which is not an answer" in result.message


def row_sums(matrix):
    raise NotImplementedError


def with_chapter(monkeypatch, *exercises: Exercise) -> None:
    monkeypatch.setattr(registry, "chapter_stems", lambda: ("ch04_induction_heads",))
    monkeypatch.setattr(registry, "chapter_exercises", lambda stem: exercises)
    monkeypatch.setattr("pathlib.Path.read_text", lambda *_, **__: "row_sums doubled")


def test_check_finds_the_exercise_by_the_functions_name(monkeypatch):
    with_chapter(monkeypatch, ROW_SUMS)
    report = check(row_sums)
    assert isinstance(report, CheckReport)
    assert report.status == "not_started"
    assert not report
    assert "row_sums: not started" in repr(report)


def test_check_passes_a_right_function(monkeypatch):
    with_chapter(monkeypatch, DOUBLED)

    def doubled(number):
        return number * 2

    assert check(doubled).passed


def test_check_contains_sys_exit_and_leaves_the_random_state(monkeypatch):
    with_chapter(monkeypatch, DOUBLED)

    def doubled(number):
        torch.manual_seed(5)
        raise SystemExit(1)

    before = torch.get_rng_state()
    report = check(doubled)
    assert report.status == "error"
    assert "called sys.exit(1)" in report.message
    assert torch.equal(torch.get_rng_state(), before)


def test_check_of_an_unknown_function_suggests_the_closest(monkeypatch):
    with_chapter(monkeypatch, ROW_SUMS, DOUBLED)

    def row_sum(matrix):
        return matrix

    report = check(row_sum)
    assert report.message == "No exercise is called 'row_sum'. Did you mean row_sums?"


def test_check_of_something_else_says_what_to_pass():
    assert "Got int, not a function. Pass the function itself" in check(3).message


def test_report_in_a_notebook_shows_the_message_safely(monkeypatch):
    with_chapter(monkeypatch, DOUBLED)

    def doubled(number):
        return "<script>"

    text = check(doubled)._repr_html_()
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


def test_stub_of_transformer_lens_is_an_error_not_an_unstarted_exercise():
    def elsewhere(model):
        model.set_use_attn_result(True)

    assert judge_function(WIDTH, elsewhere).status == "error"


def test_seed_draws_the_inputs():
    seen = []

    def row_sums(matrix):
        seen.append(matrix)
        return matrix.sum(1)

    for seed in (0, 1):
        assert judge_function(ROW_SUMS, row_sums, seed).passed
    assert not torch.equal(seen[0], seen[2])


def test_check_passes_its_seed_on(monkeypatch):
    with_chapter(monkeypatch, ROW_SUMS)
    seen = []

    def row_sums(matrix):
        seen.append(matrix)
        return matrix.sum(1)

    assert check(row_sums, seed=0).passed
    assert check(row_sums, seed=1).passed
    assert not torch.equal(seen[0], seen[2])


def test_answers_that_end_early_are_no_known_mistake():
    def wrong_then_raising(matrix):
        if len(matrix) == 3:
            raise RuntimeError
        return matrix.sum(0)

    result = judge_function(ROW_SUMS, wrong_then_raising)
    assert (result.status, result.mistake) == ("failed", None)
    assert "2 × 2: at index [0]" in result.message


def test_what_went_wrong_first_is_told():
    def wrong_then_changing(matrix):
        return matrix.sum(0) if len(matrix) == 2 else matrix.zero_().sum(1)

    result = judge_function(ROW_SUMS, wrong_then_changing)
    assert "2 × 2: at index [0]" in result.message
    assert "changed in place" not in result.message


def test_right_cases_are_counted_where_others_fail():
    halves = replace(ROW_SUMS, mistakes=())

    def only_square(matrix: torch.Tensor) -> torch.Tensor:
        if matrix.shape[0] != matrix.shape[1]:
            raise RuntimeError("only square ones")
        return matrix.sum(1)

    def only_wide(matrix: torch.Tensor) -> torch.Tensor:
        return matrix.sum(1) if matrix.shape[0] != matrix.shape[1] else 1 / 0  # type: ignore

    for function in (only_square, only_wide):
        result = judge_function(halves, function)
        assert (result.status, result.n_right, result.n_cases) == ("error", 1, 2)
    assert judge_function(halves, lambda matrix: matrix.sum(1)).n_right == 2
    assert judge_function(halves, lambda matrix: matrix.sum(0)).n_right == 0


def test_a_known_mistake_is_computed_once_for_many_submissions():
    calls = []

    def wrong(matrix: torch.Tensor) -> torch.Tensor:
        calls.append(matrix)
        return matrix.sum(0)

    sheet = Sheet(replace(ROW_SUMS, mistakes=(Mistake("columns", wrong, "Which axis?"),)))
    for _ in range(3):
        assert judge_function(sheet, lambda matrix: matrix.sum(0)).mistake == "columns"
    assert len(calls) == len(sheet.cases)


@pytest.mark.no_cover  # Tracing a call for each value takes most of the time.
def test_an_answer_with_far_too_many_values_is_not_looked_at():
    result = judge_function(ROW_SUMS, lambda matrix: [0.0] * 150_000)
    assert result.status == "error"
    assert "returned 150,000 values, far more than the answer has" in result.message
