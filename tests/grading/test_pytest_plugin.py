import subprocess
import sys
from pathlib import Path

from induction_heads.course.registry import exercise_names

ARGUMENTS = ("--pyargs", "induction_heads.grading.test_submission", "--submission", "exercises")


def test_pytest_collects_every_exercise_of_a_submission(tmp_path: Path):
    plugin = ("-p", "induction_heads.grading.pytest_plugin", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *ARGUMENTS, "--collect-only", "-q"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"-{name}]" in done.stdout for name in exercise_names())


RIGHT_AND_NOT_STARTED = """
import torch
def causal_mask(n_pos):
    return torch.ones(n_pos, n_pos).tril().bool()
def attention_pattern(queries, keys):
    raise NotImplementedError
"""


def test_pytest_passes_what_is_right_and_fails_what_is_not_started(tmp_path: Path):
    (tmp_path / "exercises").mkdir()
    (tmp_path / "exercises" / "ch01_attention.py").write_text(RIGHT_AND_NOT_STARTED)
    plugin = ("-p", "induction_heads.grading.pytest_plugin", "-p", "no:cacheprovider")
    names = "ch01_attention-causal_mask or ch01_attention-attention_pattern"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *ARGUMENTS[:2], "-k", names, "-rA"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "not_started: `attention_pattern` still raises NotImplementedError" in done.stdout
