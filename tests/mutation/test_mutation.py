"""Checks refuse right answers with one change, unless the table of survivors has a reason."""

import ast
import os
import random
import subprocess
import sys
from functools import cache

import pytest
import torch
from drawn import ROOT

from induction_heads.course.registry import chapter_stems, find_exercise
from mutation.changes import applied, changes, shown
from mutation.implementations import Mutant, implementations, mutants
from mutation.table import Key, read_table
from mutation.trial import LinesRun, Trial

QUICK = ("causal_mask", "attention_pattern", "induction_score", "uniform_first_token_score")
"""Exercises without a model, whose changed answers take milliseconds."""


@cache
def changed(exercise: str) -> dict[Key, Mutant]:
    """The changed answers of an exercise, by their keys."""
    answers = implementations(find_exercise(exercise)[0])
    return {m.key: m for each in answers if each.exercise == exercise for m in mutants(each)}


def test_every_survivor_of_the_table_is_still_a_change_of_an_answer():
    table = read_table()
    assert [key for key in table if key not in changed(key[0])] == []
    assert [key for key, reason in table.items() if len(reason.split()) < 4] == []


def test_a_sample_of_changed_answers_is_refused():
    table, accepted = read_table(), []
    for exercise in QUICK:
        trial = Trial(exercise)
        sample = random.Random(0).sample(sorted(changed(exercise).keys() - table.keys()), 8)
        accepted += [key for key in sample if not trial.refusal(changed(exercise)[key].function)]
    assert accepted == []


def test_an_unchanged_answer_is_accepted_and_a_runaway_one_is_ended():
    trial = Trial("causal_mask")
    assert trial.refusal(lambda: lambda n_pos: torch.ones(n_pos, n_pos).tril().bool()) is None
    trial.seconds = 0.05

    def endless(n_pos):
        while True:
            n_pos += 1

    assert "CPU-seconds" in (trial.refusal(lambda: endless) or "")


def test_changes_restore_the_code_and_name_the_line():
    answer = next(each for each in implementations("ch01_attention"))
    before = shown(answer.home.top["causal_mask"]), answer.function()(2).tolist()
    lines = {mutant.line for mutant in mutants(answer)}
    for mutant in mutants(answer):
        try:
            mutant.function()(2)
        except (TypeError, AttributeError, RuntimeError):
            continue
    assert (shown(answer.home.top["causal_mask"]), answer.function()(2).tolist()) == before
    assert lines == {"return torch.ones(n_pos, n_pos, dtype=torch.bool).tril()"}


def test_what_only_raises_is_not_changed():
    code = "assert n > 0\nx = zip(a, b, strict=True)\nif n:\n    raise ValueError(n + 1)\n"
    tree = ast.parse(code)
    left = set()
    for _, change in changes(tree):
        with applied(change):
            left.add(ast.unparse(tree))
    assert "assert n > 0\nx = zip(b, a, strict=True)\nif n:\n    raise ValueError(n + 1)" in left
    assert [text for text in left if "strict=False" in text or "assert n >= 0" in text] == []
    assert [text for text in left if "zip(a, b)" in text or "n - 1" in text] == []


def test_options_of_shared_code_that_an_answer_does_not_use_are_not_changed():
    trial, ran = Trial("stripe_knockout"), LinesRun()
    knockout = [m for m in changed("stripe_knockout").values() if m.key[1] == "also right 1"]
    with ran:
        assert trial.accepts_original(knockout[0].implementation.function) is None
    run = {m.line: m.is_shared and ran.any_of(m.where.path, m.lines) for m in knockout}
    assert run["return kept + torch.eye(n_pos) * (1 - left)"] is False
    assert run["left = kept.sum(dim=-1, keepdim=True)"] is True


@pytest.mark.long
@pytest.mark.parametrize("stem", chapter_stems())
def test_every_changed_answer_is_refused_or_has_a_reason(stem: str):
    # In a process of its own, which forks one worker for each core.
    folders = [ROOT / "src", ROOT / "tests", ROOT / "tests/support", ROOT / "tests/course"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    run = subprocess.run(
        [sys.executable, "-m", "mutation", stem],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
