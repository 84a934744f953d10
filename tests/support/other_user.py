"""An account other than root's, and a Python that it may run: how a person who is not root tests.

Both are searched for on this machine. Where one is missing, a test that needs it says so.
"""

import os
import pwd
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import torch

from induction_heads.grading.workers import as_user

ACCOUNTS = ("games", "news", "uucp", "irc", "nobody")
PACKAGES = Path(torch.__file__).parents[1]
FOLDERS = ("/usr/local/bin", "/usr/bin", "/opt/bin")
NO_USER = "NOT RUN: only root can run code as another user."


def quiet_user() -> str | None:
    """An account that runs nothing; None if we are not root or there is no such account."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        return None
    owners = {path.stat().st_uid for path in Path("/proc").glob("[0-9]*") if path.exists()}
    users = [user for user in map(_user, ACCOUNTS) if user and user.pw_uid not in owners]
    return users[0].pw_name if users else None


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


@cache
def python_of(user: str) -> str | None:
    """A Python of our version that `user` may run, with our installed packages; None if none is.

    Our own is tried first, then those of the search path and of the system's folders.
    """
    names = [f"python{sys.version_info[0]}.{sys.version_info[1]}", "python3", "python"]
    folders = [*os.environ["PATH"].split(os.pathsep), *FOLDERS]
    paths = [sys.executable, *(f"{folder}/{name}" for folder in folders for name in names)]
    existing = [path for path in dict.fromkeys(paths) if os.access(path, os.X_OK)]
    return next((path for path in existing if _is_usable(path, user)), None)


def _is_usable(python: str, user: str) -> bool:
    code = (
        "import importlib.util, sys; "
        f"sys.exit(sys.version_info[:2] != {sys.version_info[:2]} "
        "or importlib.util.find_spec('torch') is None)"
    )
    # `setpriv` itself may start what the user may not: `env` may not.
    command = [*as_user(user), "env", python, "-c", code]
    environment = {"PATH": os.defpath, "PYTHONPATH": str(PACKAGES)}
    done = subprocess.run(command, env=environment, cwd="/", check=False, capture_output=True)
    return done.returncode == 0


def no_python(user: str) -> str:
    """Why nothing can be run as `user`."""
    version = ".".join(map(str, sys.version_info[:2]))
    return (
        f"NOT RUN: no Python {version} with the installed packages may be run by {user}: "
        f"{sys.executable} is closed to other users."
    )
