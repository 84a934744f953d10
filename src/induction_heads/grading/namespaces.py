"""Puts a forked process into new namespaces, so that everything it starts ends with it (Linux).

bubblewrap has already removed the network and made the file system read-only. Here each submission
gets a new PID namespace, its own session and empty folder, no network device, no privileges and a
filter of system calls. bubblewrap's `--disable-userns` would forbid these namespaces, so the filter
forbids the submission from making any.
"""

import ctypes
import os
import resource
from collections.abc import Callable
from typing import NoReturn

from induction_heads.grading import system_calls

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = 0x20000, 1 << 27, 1 << 28, 1 << 29, 1 << 30
READ_ONLY, NO_SUID, NO_DEV, BIND, RECURSIVE, PRIVATE = 1, 2, 4, 0x1000, 0x4000, 0x40000
SET_NO_NEW_PRIVILEGES = 38
CAPABILITY_VERSION = 0x20080522

MAX_PROCESSES = 64
TEMPORARY = b"size=64m,nr_inodes=8192,mode=1777"

_libc = ctypes.CDLL(None, use_errno=True)


def _require(result: int, step: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{step}: {os.strerror(error)}")


def leave(folder: str) -> None:
    """Enter new namespaces, with an empty `folder`. Raises OSError if the system refuses.

    Only processes forked after this are in the new PID namespace.
    """
    uid, gid = os.geteuid(), os.getegid()
    spaces = NEW_MOUNTS | NEW_IPC | NEW_PIDS | NEW_NET
    _require(_libc.unshare(spaces | (NEW_USER if uid else 0)), "new namespaces")
    if uid != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _require(_libc.mount(None, b"/", None, RECURSIVE | PRIVATE, None), "private mounts")
    for place in (folder, "/dev/shm"):
        mounted = _libc.mount(b"tmpfs", place.encode(), b"tmpfs", NO_SUID | NO_DEV, TEMPORARY)
        _require(mounted, f"an empty {place}")
    # Shared memory of /dev/zero is counted nowhere. /dev/full has the same zeros and no memory.
    zeros = _libc.mount(b"/dev/full", b"/dev/zero", None, BIND, None)
    _require(zeros, "a /dev/zero without memory")


def fork_alone(work: Callable[[], NoReturn], uid: int, report: Callable[[int], None]) -> NoReturn:
    """Run `work` without privileges as the second process of a PID namespace, and end as it ends.

    Call it after `leave`. If this process is root, `work` runs as the user `uid`, which nobody else
    should use: then the limit on processes applies to it alone. The first process of the namespace
    only waits. `report` gets its id: when `work` ends, or the first process is killed, the kernel
    kills every process in the namespace.
    """
    readable, writable = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(readable)
        try:
            _mount_processes()
            os.setsid()  # A signal to its group must not reach the process that forks workers.
            _give_up_privileges(uid)
            second = os.fork()
        except OSError as error:
            os.write(writable, f"! {error}".encode())
            os._exit(72)
        if second == 0:
            os.close(writable)
            _work_as_second(work)
        os.write(writable, b".")
        _wait_as_first(second, writable)
    os.close(writable)
    message = os.read(readable, 512)
    if not message.startswith(b"."):
        raise OSError(message.decode(errors="replace").removeprefix("! "))
    report(first)
    os.closerange(3, readable)
    os.closerange(readable + 1, 256)
    code = message[1:] or os.read(readable, 32)
    os.waitpid(first, 0)
    end_like(int(code) if code else -9)


def end_like(code: int) -> NoReturn:
    """End this process with the exit code `code`, or with the signal −`code`."""
    if code < 0:
        os.kill(os.getpid(), -code)
        code = 128 - code  # A signal that does not end a process.
    os._exit(code)


def _work_as_second(work: Callable[[], NoReturn]) -> NoReturn:
    try:
        os.setsid()
        work()
    except BaseException as error:
        # A short text, not a traceback of the course: the submission broke this process.
        os.write(2, f"{type(error).__name__} in the process that runs it.\n".encode())
    os._exit(70)


def _wait_as_first(second: int, writable: int) -> NoReturn:
    os.closerange(3, writable)
    os.closerange(writable + 1, 256)
    while True:
        pid, status = os.wait()
        if pid == second:
            os.write(writable, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)


def _mount_processes() -> None:
    """Mount the `/proc` of the new namespace, or an empty one if the system refuses that."""
    if _libc.mount(b"proc", b"/proc", b"proc", NO_SUID | NO_DEV, None) != 0:
        flags = READ_ONLY | NO_SUID | NO_DEV
        _require(_libc.mount(b"tmpfs", b"/proc", b"tmpfs", flags, b"size=4k"), "an empty /proc")


def _give_up_privileges(uid: int) -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
    _require(_libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _require(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "dropping capabilities")
    if system_calls.missing() is None:
        system_calls.refuse()


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
