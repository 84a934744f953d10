"""How far submissions can be isolated here, and the bubblewrap command that does it (Linux).

Around the warm process and everything it forks: no network, a read-only system that holds Python,
its packages and this package without the checks, and nothing of the user's files.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache",
          "/etc/alternatives", "/etc/localtime")  # fmt: skip
OWN_FOLDER = "/student"
"""Each worker gets an empty folder of its own here, the only place where it can write."""

HIDDEN = ("checks",)
"""Folders of this package that a submission does not see."""


@dataclass(frozen=True)
class Isolation:
    """`complete`: whether submissions are fully isolated here. `said`: a sentence that says how."""

    complete: bool
    said: str


FULL = Isolation(
    True,
    "Submissions run isolated: no network, a read-only system, no sight of answers or of each "
    "other, limits on time, memory, processes and files.",
)


def _none(why: str) -> Isolation:
    return Isolation(
        False,
        f"Isolation is off: {why} A submission runs with the rights of your account, within "
        "limits on time and memory only.",
    )


@cache
def isolation() -> Isolation:
    """What this machine can do. Tries it out once."""
    if sys.platform != "linux":
        return _none(f"it needs Linux, and this is {sys.platform}.")
    if shutil.which("bwrap") is None:
        return _none("the program `bwrap` is not installed (the package `bubblewrap`).")
    probe = f"""
import importlib.util, os, sys
from induction_heads.grading import namespaces
missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"{{missing[0]}} is not seen from inside")
def work():
    open({str(PACKAGE / "cli.py")!r}).close()
    os._exit(7)
if os.fork() == 0:
    namespaces.leave({OWN_FOLDER!r})
    namespaces.fork_alone(work, 0, print)
code = os.waitstatus_to_exitcode(os.wait()[1])
sys.exit(0 if code == 7 else f"a process of its own ended with {{code}}")
"""
    command = [sys.executable, "-P", "-c", probe]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    tried = subprocess.run(
        bubblewrap(command), env=environment, capture_output=True, text=True, check=False
    )
    if tried.returncode != 0:
        last = (tried.stderr.strip() or "no reason given").splitlines()[-1]
        return _none(f"`bwrap` does not work here ({last[:200]}).")
    return FULL


def bubblewrap(command: list[str]) -> list[str]:
    """The command that runs `command` with nothing but Python, its packages and this package."""
    arguments = ["--unshare-net", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
                 "--unshare-cgroup-try", "--new-session", "--hostname", "grader"]  # fmt: skip
    for path in SYSTEM:
        arguments += _shown(Path(path))
    arguments += ["--proc", "/proc", "--dev", "/dev", "--perms", "0755", "--tmpfs", OWN_FOLDER]
    folders = _python_folders()
    for path in sorted({parent for folder in folders for parent in folder.parents}):
        arguments += ["--perms", "0755", "--dir", str(path)]
    for path in folders:
        arguments += ["--ro-bind", str(path), str(path)]
    for name in HIDDEN:
        arguments += ["--tmpfs", str(PACKAGE / name), "--remount-ro", str(PACKAGE / name)]
    if not any(path.is_relative_to("/tmp") for path in folders):
        arguments += ["--symlink", OWN_FOLDER, "/tmp"]
    return ["bwrap", *arguments, "--remount-ro", "/", "--chdir", "/", *command]


def _shown(path: Path) -> list[str]:
    if path.is_symlink() and path.resolve().is_dir():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []


def _python_folders() -> list[Path]:
    """Python, its packages, and this package, none inside another and none in the system's."""
    packages = [Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    prefixes = [Path(sys.base_prefix), Path(sys.prefix), Path(sys.executable).parent]
    wanted = [path for path in (*prefixes, *packages, PACKAGE) if path.is_dir()]
    shown: list[Path] = []
    for path in sorted({path.resolve() for path in wanted} | set(wanted)):
        if not any(path.is_relative_to(known) for known in [*shown, Path("/usr")]):
            shown.append(path)
    return shown
