"""Checks refuse right answers with one change, unless the table of survivors has a reason."""

import os
import random
import subprocess
import sys
from functools import cache

import pytest
import torch
from drawn import ROOT

from induction_heads.course.registry import chapter_stems, find_exercise
from mutation.changes import shown
from mutation.implementations import Mutant, implementations, mutants
from mutation.table import Key, read_table
from mutation.trial import Trial

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
