"""Puts a forked process into namespaces of its own, so that what it starts ends with it (Linux).

The file system around it is read-only already, and without network: that is bubblewrap's work. Here
each submission gets process ids of its own, an empty folder, no network device, no privileges.
"""

import ctypes
import os
import resource
import traceback
from collections.abc import Callable
from typing import NoReturn

NEW_MOUNTS, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NET = 0x20000, 1 << 27, 1 << 28, 1 << 29, 1 << 30
READ_ONLY, NO_SUID, NO_DEV, RECURSIVE, PRIVATE = 1, 2, 4, 0x4000, 0x40000
SET_NO_NEW_PRIVILEGES = 38
CAPABILITY_VERSION = 0x20080522

MAX_PROCESSES = 64
TEMPORARY = b"size=64m,nr_inodes=8192,mode=1777"
FIRST_UID = 61_000
UIDS = 4_000

_libc = ctypes.CDLL(None, use_errno=True)


def _must(result: int, doing: str) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{doing}: {os.strerror(error)}")


def leave(folder: str) -> None:
    """Enter new namespaces, with an empty `folder`. Raises OSError where the system refuses.

    Only processes forked after this get process ids of the new space.
    """
    uid, gid = os.geteuid(), os.getegid()
    spaces = NEW_MOUNTS | NEW_IPC | NEW_PIDS | NEW_NET
    _must(_libc.unshare(spaces | (NEW_USER if uid else 0)), "new namespaces")
    if uid != 0:
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    _must(_libc.mount(None, b"/", None, RECURSIVE | PRIVATE, None), "private mounts")
    for place in (folder, "/dev/shm"):
        mounted = _libc.mount(b"tmpfs", place.encode(), b"tmpfs", NO_SUID | NO_DEV, TEMPORARY)
        _must(mounted, f"an empty {place}")


def fork_alone(
    work: Callable[[], NoReturn], number: int, report: Callable[[int], None]
) -> NoReturn:
    """Run `work` without privileges as the second process of a new space, and end as it ends.

    To be called after `leave`. As root, `work` runs as the user 61,000 + `number`, so that the
    limit on processes counts for it alone. The first process of the space does nothing but wait.
    When `work` ends, or when somebody kills that first process, whose id goes to `report`, the
    kernel kills every process of the space.
    """
    readable, writable = os.pipe()
    first = os.fork()
    if first == 0:
        os.close(readable)
        try:
            _mount_processes()
            _give_up_privileges(number)
        except OSError as error:
            os.write(writable, f"! {error}".encode())
            os._exit(72)
        os.write(writable, b".")
        _wait_as_first(work, writable)
    os.close(writable)
    said = os.read(readable, 512)
    if not said.startswith(b"."):
        raise OSError(said.decode(errors="replace").removeprefix("! "))
    report(first)
    os.closerange(3, readable)
    os.closerange(readable + 1, 256)
    code = said[1:] or os.read(readable, 32)
    os.waitpid(first, 0)
    end_like(int(code) if code else -9)


def end_like(code: int) -> NoReturn:
    """End this process with an exit code, or with the signal −code."""
    if code < 0:
        os.kill(os.getpid(), -code)
        code = 128 - code  # A signal that does not end a process.
    os._exit(code)


def _wait_as_first(work: Callable[[], NoReturn], writable: int) -> NoReturn:
    second = os.fork()
    if second == 0:
        os.close(writable)
        try:
            work()
        except BaseException:
            traceback.print_exc()
        os._exit(70)
    os.closerange(3, writable)
    os.closerange(writable + 1, 256)
    while True:
        pid, status = os.wait()
        if pid == second:
            os.write(writable, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)


def _mount_processes() -> None:
    """A `/proc` of the new process space, or where the system refuses that, an empty one."""
    if _libc.mount(b"proc", b"/proc", b"proc", NO_SUID | NO_DEV, None) != 0:
        flags = READ_ONLY | NO_SUID | NO_DEV
        _must(_libc.mount(b"tmpfs", b"/proc", b"tmpfs", flags, b"size=4k"), "an empty /proc")


def _give_up_privileges(number: int) -> None:
    if os.geteuid() == 0:
        own = FIRST_UID + number % UIDS
        os.setgroups([])
        os.setresgid(own, own, own)
        os.setresuid(own, own, own)
    resource.setrlimit(resource.RLIMIT_NPROC, (MAX_PROCESSES, MAX_PROCESSES))
    _must(_libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "no new privileges")
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    _must(_libc.capset(ctypes.byref(header), ctypes.byref(nothing)), "dropping capabilities")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
