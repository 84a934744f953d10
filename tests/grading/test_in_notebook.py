"""`hint`, `solution` and `status` in a notebook, with and without a folder of exercises."""

from dataclasses import replace

import pytest
import torch

import induction_heads
from induction_heads.grading import in_notebook


@pytest.fixture
def session(tmp_path, monkeypatch):
    """A kernel that has just started, in a folder without exercises."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(in_notebook, "_results", {})
    monkeypatch.setattr(in_notebook, "_hints", {})
    return induction_heads


def stub():
    def causal_mask(n_pos):
        raise NotImplementedError

    return causal_mask


def right():
    def causal_mask(n_pos):
        return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()

    return causal_mask


def test_hints_come_one_at_a_time_and_the_last_after_an_attempt(session):
    said = [str(session.hint("causal_mask")) for _ in range(3)]
    assert [line.splitlines()[0] for line in said[:2]] == [
        "hint 1 of 3 for causal_mask",
        "hint 2 of 3 for causal_mask",
    ]
    assert "comes after an attempt" in said[2]
    session.check(stub())
    assert "comes after an attempt" in str(session.hint(stub()))
    session.check(right())
    assert str(session.hint("causal_mask")).startswith("hint 3 of 3")
    assert str(session.hint("causal_mask")).count("\nhint") == 2


def test_solution_is_shown_once_the_function_passes(session):
    assert "has not passed yet" in str(session.solution("causal_mask"))
    assert "has not passed yet" in str(session.solution(stub()))
    assert "tril()" in str(session.solution("causal_mask", reveal=True))
    assert "def causal_mask(" in str(session.solution(right()))


def test_status_counts_what_was_checked_here(session):
    assert "0 done, 0 failing, 6 not started." in str(session.status("ch01"))
    session.check(right())
    assert "1 done, 0 failing, 5 not started." in str(session.status("CH01"))
    lines = str(session.status()).splitlines()
    assert "1 of 6 done" in lines[0]
    assert max(map(len, lines)) <= 80
    session.check(stub())
    assert "0 done, 0 failing, 6 not started." in str(session.status("ch01"))


def test_the_package_s_own_function_does_not_count(session):
    from induction_heads.models.attention import causal_mask

    session.check(causal_mask)
    assert "0 done" in str(session.status("ch01"))


def test_an_exercise_written_as_a_lambda_gets_a_sentence(session):
    causal_mask = lambda n_pos: torch.ones(n_pos, n_pos).tril().bool()  # noqa: E731
    report = session.check(causal_mask)
    assert report.result.status == "error"
    assert "Got a lambda, which has no name" in str(report)
    assert "Write it with def and the name of the exercise" in str(report)


def test_wrong_names_are_sentences_and_html_is_escaped(session):
    assert "Did you mean causal_mask?" in str(session.hint("casual_mask"))
    assert "Got int. Pass your function" in str(session.solution(3))
    assert "No chapter is called 'ch77'" in str(session.status("ch77"))
    assert "&lt;b&gt;" in in_notebook.Text("<b>")._repr_html_()


def test_a_function_that_does_not_end_is_stopped(session, monkeypatch):
    stem, exercise = in_notebook.find_exercise("causal_mask")
    short = replace(exercise, seconds=0.05)
    monkeypatch.setattr(in_notebook, "find_exercise", lambda name: (stem, short))

    def causal_mask(n_pos):
        while True:
            pass

    report = session.check(causal_mask)
    assert report.status == "timeout"
    assert "did not finish within 0.05 s. Is there a loop" in report.message


def test_a_later_check_reuses_models_and_answers_but_no_model_that_was_changed(session):
    lent = []

    def ablation_scores(model, tokens):
        lent.append(model)
        return torch.zeros(model.cfg.n_layers, model.cfg.n_heads)

    in_notebook.check(ablation_scores)
    sheet = in_notebook._sheets["ablation_scores", 0]
    first = list(lent)
    in_notebook.check(ablation_scores)
    assert in_notebook._sheets["ablation_scores", 0] is sheet
    assert [id(model) for model in lent[len(first) :]] == [id(model) for model in first]
    with torch.no_grad():
        first[0].original_model.get_parameter("tok_embed._original_component.weight").zero_()
    lent.clear()
    in_notebook.check(ablation_scores)
    assert lent[0] is not first[0]
    assert lent[0].W_E.any()
    in_notebook.check(ablation_scores, seed=1)
    assert in_notebook._sheets["ablation_scores", 1] is not sheet
