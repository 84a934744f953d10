import subprocess
import sys
from pathlib import Path

from induction_heads.checks.registry import exercise_names

ARGUMENTS = ("--pyargs", "induction_heads.checks", "--submission", "exercises")


def test_pytest_collects_every_exercise_of_a_submission(tmp_path: Path):
    plugin = ("-p", "induction_heads.checks.plugin", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugin, *ARGUMENTS, "--collect-only", "-q"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(f"-{name}]" in done.stdout for name in exercise_names())
