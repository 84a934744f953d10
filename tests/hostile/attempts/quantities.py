"""Takes many small things that the kernel counts for a machine or a user, not for a process.

Each function returns "held" or what got through.
"""

import ctypes
import errno
import fcntl
import mmap
import os
import resource
import termios

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 5]
IS_INTEL = os.uname().machine == "x86_64"


def _opened(open_one, most):
    """How many of a kind could be opened, up to `most`. All are closed again."""
    opened = []
    try:
        while len(opened) < most:
            opened.append(open_one())
    except OSError:
        pass
    for descriptor in opened:
        os.close(descriptor)
    return len(opened)


def _descriptor(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return number


def takes_every_terminal():
    n_opened = _opened(lambda: os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY), 3_000)
    return "held" if n_opened < 300 else f"took {n_opened} terminals"


def types_into_a_terminal():
    for place in (0, 1, 2, "/dev/tty", "/dev/console", "/dev/pts/0", "/proc/1/fd/0"):
        descriptor = None
        try:
            descriptor = place if isinstance(place, int) else os.open(place, os.O_RDWR)
            fcntl.ioctl(descriptor, termios.TIOCSTI, b"#")
            return f"typed into {place}"
        except OSError:
            continue
        finally:
            if descriptor is not None and not isinstance(place, int):
                os.close(descriptor)
    return "held"


def watches_files_without_end():
    n_opened = _opened(lambda: _descriptor(LIBC.inotify_init1(0)), 3_000)
    return "held" if n_opened < 300 else f"opened {n_opened} watches"


def waits_for_events_without_end():
    n_opened = _opened(lambda: _descriptor(LIBC.epoll_create1(0)), 3_000)
    return "held" if n_opened < 300 else f"opened {n_opened} queues of events"


def leaves_a_picture_of_its_memory():
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    if most == 0:
        return "held"
    with open("/proc/sys/kernel/core_pattern", encoding="utf-8") as file:
        return f"may dump {most} bytes by {file.read().strip()}"


def reads_before_all_others_do():
    # The highest class of the scheduler of input and output, for this process.
    real_time = 1 << 13
    failed = LIBC.syscall(251 if IS_INTEL else 30, 1, 0, real_time) < 0
    return "held" if failed and ctypes.get_errno() == errno.EPERM else "reads before all others"


def takes_every_place_for_reads_in_the_background():
    # The kernel has 65,536 such places for all programs of the machine.
    number, n_places = 206 if IS_INTEL else 0, 0
    while n_places < 100_000:
        context = ctypes.c_ulong(0)
        if LIBC.syscall(number, 1_000, ctypes.byref(context)) < 0:
            break
        n_places += 1_000
    return "held" if n_places == 0 else f"took {n_places} places"


def writes_out_everything_on_all_disks():
    done = LIBC.syscall(162 if IS_INTEL else 81) == 0
    return "wrote out what all programs of the machine had written" if done else "held"


def locks_parts_of_files_without_end():
    # A lock is memory of the kernel that belongs to no process.
    count, files = 0, []
    try:
        for index in range(20):
            files.append(open(f"/student/locked{index}", "w"))  # noqa: SIM115
            for place in range(1_000, 0, -1):
                fcntl.lockf(files[-1], fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * place)
                count += 1
    except OSError:
        pass
    for file in files:
        file.close()
        os.unlink(file.name)
    return "held" if count < 1_000 else f"holds {count} locks"


def makes_others_wait_for_a_file_of_the_package():
    with open(os.__file__, encoding="utf-8") as file:
        try:
            fcntl.fcntl(file, 1024, fcntl.F_RDLCK)
        except PermissionError as error:
            # For files of other users the kernel says EACCES, for all files the filter says EPERM.
            return "held" if error.errno == errno.EPERM else "may lease its own files"
    return "leased a file"


def takes_pages_that_the_machine_has_set_aside():
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000
    failed = LIBC.mmap(None, 2**21, 3, flags, 2**64 - 1, 0) == 2**64 - 1
    # ENOMEM only means that this machine has none.
    return "held" if failed and ctypes.get_errno() == errno.EPERM else "asked for large pages"


def calls_what_only_later_kernels_have():
    for number in range(463, 600):
        ctypes.set_errno(0)
        if LIBC.syscall(number, 0, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != errno.ENOSYS:
            return f"the call {number} looked at its arguments"
    return "held"
