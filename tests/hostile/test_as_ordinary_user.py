"""The hostile submissions are held for a teacher who is not root, too.

Without root the sandbox is made in another way, through a user namespace. As an ordinary user, the
other tests of this folder already show that, and these are not run.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest
from other_user import NO_USER, PACKAGES, as_user, no_python, python_of, quiet_user

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "what needs no model": ["test_attempts.py::test_every_attempt_is_held"],
    "both sets": ["test_attempts.py", "test_hostile.py"],
}

pytestmark = pytest.mark.xdist_group("other_user")


def run_tests(user: str, python: str, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests of this folder as another user."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folder is closed to other users.
        os.chmod(folder, 0o777)
        environment = {
            "HOME": folder,
            "TMPDIR": folder,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{PACKAGES}",
            "PYTHONDONTWRITEBYTECODE": "1",
            "OMP_NUM_THREADS": "1",
        }
        options = ["-q", "-rs", "--tb=short", "-p", "no:cacheprovider", "-m", "long or not long"]
        paths = [str(Path(__file__).with_name(test)) for test in tests]
        return subprocess.run(
            [*as_user(user), python, "-m", "pytest", *options, *paths],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.mark.parametrize(
    "part", [pytest.param(part, marks=[pytest.mark.long] * (part == "both sets")) for part in PARTS]
)
def test_the_sets_are_held_for_an_ordinary_user(part: str):
    user = quiet_user()
    if user is None:
        pytest.skip(NO_USER)
    python = python_of(user)
    if python is None:
        pytest.skip(no_python(user))
    readable = [*as_user(user), "test", "-r", __file__, "-a", "-r", str(ROOT / "src")]
    if subprocess.run(readable, check=False, capture_output=True).returncode != 0:
        pytest.skip(f"NOT RUN: {ROOT} is closed to other users, such as {user}.")
    done = run_tests(user, python, PARTS[part])
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    if "NOT RUN" in done.stdout:
        pytest.skip(f"NOT RUN: as the user {user}{done.stdout.split('NOT RUN', 1)[1][:300]}")
    assert " passed" in done.stdout
