"""Two runs on one machine never have a user id in common."""

import sys
from pathlib import Path

import pytest

from induction_heads.grading import user_ids

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: user ids, Linux only")


def test_runs_at_the_same_time_have_different_ids(monkeypatch):
    monkeypatch.setattr(user_ids, "RANGES", ((1_900_000_000, 3),) * 2)
    runs = [user_ids.reserve() for _ in range(3)]
    ids = [run.of(number) for run in runs for number in range(user_ids.PER_RUN)]
    assert len(set(ids)) == len(ids)
    runs[0].close()
    again = user_ids.reserve()
    assert again.first == runs[0].first
    for run in (*runs, again):
        run.close()


def test_without_a_free_range_a_run_still_gets_ids(monkeypatch):
    monkeypatch.setattr(user_ids, "RANGES", ((1_900_000_000, 1),) * 2)
    first, second = user_ids.reserve(), user_ids.reserve()
    assert first.first == second.first
    for run in (first, second):
        run.close()


def test_a_container_uses_the_ids_that_it_has(tmp_path: Path):
    names = {"all": "0 0 4294967295\n", "few": "0 100000 65536\n", "none": "words\n", "no": None}
    for name, text in names.items():
        if text is not None:
            (tmp_path / name).write_text(text)
    high, low = ((start, user_ids.PER_RUN * n) for start, n in user_ids.RANGES)
    mapped = {
        name: [user_ids._is_mapped(*r, tmp_path / name) for r in (high, low)] for name in names
    }
    assert mapped == {
        "all": [True, True],
        "few": [False, True],
        "none": [False, False],
        "no": [False, False],
    }
