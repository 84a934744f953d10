"""Whether submissions can be isolated here, and the bubblewrap command that does it (Linux).

The fork server and everything it forks have no network and a read-only file system with Python, its
packages and this package without the checks. The user's files are not in it. Two more layers are
used where the kernel offers them: a filter of system calls, and control groups.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from induction_heads.grading import control_groups, system_calls, user_ids
from induction_heads.grading.control_groups import ControlGroups, NoGroups
from induction_heads.grading.worker_process import worker_environment

PACKAGE = Path(__file__).resolve().parents[1]
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
)
OWN_FOLDER = "/student"
"""Each worker has a private, empty folder here, the only place where it can write."""

MAX_MEMORY = 4 * 2**30
"""Bytes for all processes of a submission together."""

GROUP_LIMIT = control_groups.Limit(MAX_MEMORY, processes=128)

HIDDEN = ("course",)
"""Folders of this package that are hidden from submissions."""


@dataclass(frozen=True)
class Isolation:
    """`complete`: whether submissions are fully isolated. `message`: how, or why not.

    `missing` has one sentence for each further layer that this machine does not offer.
    """

    complete: bool
    message: str
    missing: tuple[str, ...] = ()

    def sentences(self) -> tuple[str, ...]:
        """What a person should know about the protection: empty if nothing is missing."""
        return self.missing if self.complete else (self.message,)


FULL = (
    "Submissions run in a sandbox: no network, a read-only file system, no access to the answers "
    "or to other submissions, and limits on time, memory, processes and files."
)


def _none(why: str) -> Isolation:
    return Isolation(
        False,
        f"Submissions cannot be sandboxed: {why} They run with the permissions of your account, "
        "limited only in time and memory.",
    )


@cache
def isolation() -> Isolation:
    """The isolation that this machine offers, found by a trial. The result is cached."""
    if sys.platform != "linux":
        return _none(f"this needs Linux, and the system is {sys.platform}.")
    if shutil.which("bwrap") is None:
        return _none("the program `bwrap` is not installed (the package `bubblewrap`).")
    ids = user_ids.reserve()
    probe = f"""
import importlib.util, os, sys
from induction_heads.grading import namespaces
missing = [name for name in ("torch", "safetensors") if importlib.util.find_spec(name) is None]
if missing:
    sys.exit(f"{{missing[0]}} is not visible in the sandbox")
def work():
    open({str(PACKAGE / "__init__.py")!r}).close()
    os._exit(7)
if os.fork() == 0:
    namespaces.leave({OWN_FOLDER!r})
    namespaces.fork_alone(work, {ids.first}, print)
code = os.waitstatus_to_exitcode(os.wait()[1])
sys.exit(0 if code == 7 else f"a process in new namespaces ended with {{code}}")
"""
    command = [sys.executable, "-P", "-c", probe]
    environment = worker_environment(Path(OWN_FOLDER))
    trial = subprocess.run(
        bubblewrap(command), env=environment, capture_output=True, text=True, check=False
    )
    ids.close()
    if trial.returncode != 0:
        last = (trial.stderr.strip() or "no reason given").splitlines()[-1]
        return _none(f"`bwrap` does not work here ({last[:200]}).")
    return Isolation(True, FULL, _missing_layers())


def _missing_layers() -> tuple[str, ...]:
    missing = []
    if why := system_calls.missing():
        missing.append(
            f"System calls are not filtered, because {why}. A submission may leave messages in the "
            "kernel for another one, hold memory that no limit counts, and use up what all "
            "programs of the machine share."
        )
    try:
        ControlGroups(GROUP_LIMIT).close()
    except NoGroups as error:
        missing.append(
            f"The kernel does not limit the memory of a whole submission, because {error}. It is "
            "measured ten times a second instead."
        )
    return tuple(missing)


def bubblewrap(command: list[str]) -> list[str]:
    """`command` in a sandbox that has only Python, its packages and this package."""
    arguments = [
        "--unshare-net",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--unshare-cgroup-try",
        "--new-session",
        "--hostname",
        "grader",
    ]
    for path in SYSTEM:
        arguments += _visible(Path(path))
    # All submissions share /dev, so none may leave a file there: only a user who is not root could.
    arguments += ["--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
    arguments += ["--perms", "0755", "--tmpfs", OWN_FOLDER]
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


def _visible(path: Path) -> list[str]:
    if path.is_symlink() and path.resolve().is_dir():
        return ["--symlink", str(path.readlink()), str(path)]
    return ["--ro-bind", str(path), str(path)] if path.exists() else []


def _python_folders() -> list[Path]:
    """Python, its packages and this package. None is inside another or inside /usr."""
    packages = [Path(p) for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    prefixes = [Path(sys.base_prefix), Path(sys.prefix), Path(sys.executable).parent]
    folders = [path for path in (*prefixes, *packages, PACKAGE) if path.is_dir()]
    outermost: list[Path] = []
    for path in sorted({path.resolve() for path in folders} | set(folders)):
        if not any(path.is_relative_to(known) for known in [*outermost, Path("/usr")]):
            outermost.append(path)
    return outermost
