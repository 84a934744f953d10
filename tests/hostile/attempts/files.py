"""Looks for what is not its own. Each function returns "held" or what got through."""

import errno
import importlib
import os
import sys
from pathlib import Path

import torch

import induction_heads

PACKAGE = Path(induction_heads.__file__).parent


def readable(paths):
    """ "held" if none of the files can be read."""
    for path in paths:
        try:
            if Path(path).is_file() and Path(path).read_bytes():
                return f"read {path}"
        except OSError:
            continue
    return "held"


def writable(paths):
    """ "held" if no file can be made at any of the paths."""
    for path in paths:
        try:
            Path(path).write_text("mallory was here")
        except OSError:
            continue
        return f"wrote {path}"
    return "held"


def reads_the_checks():
    return readable(PACKAGE.glob("course/**/*"))


def imports_the_checks():
    sys.meta_path[:] = [f for f in sys.meta_path if "NoChecks" not in type(f).__name__]
    importlib.invalidate_caches()
    try:
        importlib.import_module("induction_heads.course.ch01_attention.checks")
    except ImportError:
        return "held"
    return "imported the checks"


def reads_the_checks_by_the_first_process():
    places = [f"/proc/{pid}/root{PACKAGE}/course" for pid in (1, 2, os.getppid())]
    try:
        return readable(path for place in places for path in Path(place).glob("**/*.py"))
    except PermissionError:
        return "held"


def reads_the_checks_by_another_name():
    above = Path("/proc/self/cwd/../" + "../" * 5 + str(PACKAGE)[1:] + "/course")
    return readable(above.glob("**/*.py"))


def reads_compiled_checks():
    return readable(PACKAGE.glob("course/__pycache__/*.pyc"))


def reads_the_solutions():
    root = PACKAGE.parents[1]
    return readable([*root.glob("solutions/*.py"), *root.glob("tests/**/*.py")])


def reads_the_accounts():
    return readable(["/etc/passwd", "/etc/shadow", "/etc/hosts", "/etc/machine-id"])


def reads_the_home_of_the_teacher():
    homes = ["/root", *Path("/home").glob("*")] if Path("/home").exists() else ["/root"]
    names = (".bashrc", ".profile", ".ssh/id_rsa", ".netrc", ".cache")
    return readable(f"{home}/{name}" for home in homes for name in names)


def reads_environments():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue
        if b"_TOKEN" in text or b"PASSWORD" in text:
            return f"read the environment of {pid}"
    return "held"


def has_no_credentials_itself():
    words = ("_TOKEN", "KEY", "SECRET", "PASSWORD")
    names = [name for name in os.environ if any(word in name for word in words)]
    return "held" if not names else f"has {names}"


def sees_other_processes():
    pids = [name for name in os.listdir("/proc") if name.isdigit()]
    return "held" if len(pids) <= 4 else f"sees {len(pids)} processes"


def reads_files_open_in_the_first_process():
    for pid in (1, os.getppid()):
        try:
            opened = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for name in opened:
            try:
                if Path(os.readlink(f"/proc/{pid}/fd/{name}")).is_file():
                    return f"sees a file of {pid}"
            except OSError:
                continue
    return "held"


def has_files_of_its_judge_open():
    allowed = ("pipe:", "/dev/null", "/student", "/proc")
    try:
        names = os.listdir("/proc/self/fd")
    except FileNotFoundError:  # For an ordinary user, /proc is of other processes than this one.
        return "held"
    for name in names:
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if not target.startswith(allowed):
            return f"holds {target}"
    return "held"


def writes_into_the_package():
    return writable([PACKAGE / "__init__.py", PACKAGE / "own.py", PACKAGE / "course" / "own.py"])


def writes_into_python():
    folders = [Path(torch.__file__).parent, Path(sys.prefix), Path(sys.base_prefix) / "lib"]
    return writable(folder / "sitecustomize.py" for folder in folders)


def writes_into_the_system():
    folders = ("/", "/usr", "/usr/lib", "/etc", "/dev", "/var/tmp", "/run", "/home", "/root")
    return writable(f"{folder}/mallory" for folder in folders)


def writes_settings_of_the_kernel():
    return writable(
        [
            "/proc/sys/kernel/core_pattern",
            "/proc/sys/vm/drop_caches",
            "/proc/sysrq-trigger",
            "/sys/power/state",
        ]
    )


def spares_itself_when_memory_ends():
    try:
        Path("/proc/self/oom_score_adj").write_text("-1000")
    except OSError:
        return "held"
    return "spares itself"


def changes_its_map_of_users():
    return writable(["/proc/self/uid_map", "/proc/self/setgroups"])


def opens_devices():
    for device in (
        "/dev/mem",
        "/dev/kmsg",
        "/dev/sda",
        "/dev/vda",
        "/dev/fuse",
        "/dev/kvm",
        "/dev/net/tun",
        "/dev/vsock",
        "/dev/loop0",
    ):
        try:
            os.close(os.open(device, os.O_RDWR))
        except OSError:
            continue
        return f"opened {device}"
    return "held"


def writes_to_the_terminal():
    try:
        descriptor = os.open("/dev/tty", os.O_RDWR)
    except OSError as error:
        return "held" if error.errno in (errno.ENXIO, errno.ENOENT, errno.EACCES) else str(error)
    os.close(descriptor)
    return "has a terminal"


def links_to_files_of_others():
    try:
        os.link(PACKAGE / "__init__.py", "/student/linked")
    except OSError:
        return "held"
    return "linked a file of the package"


def sees_control_groups():
    try:
        names = os.listdir("/sys/fs/cgroup")
    except OSError:
        return "held"
    return "held" if not names else f"sees {names}"


def knows_the_seed():
    try:
        text = Path("/proc/self/cmdline").read_bytes()
    except FileNotFoundError:  # As above.
        return "held"
    return "held" if b"seed" not in text else "saw the seed"
