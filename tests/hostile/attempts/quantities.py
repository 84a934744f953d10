"""Takes many small things that the kernel counts for a machine or a user, not for a process.

Each function returns "held" or what got through.
"""

import ctypes
import errno
import fcntl
import os
import resource
import termios

LIBC = ctypes.CDLL(None, use_errno=True)


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
    number = {"x86_64": 251, "aarch64": 30}[os.uname().machine]
    real_time = 1 << 13
    failed = LIBC.syscall(number, 1, 0, real_time) < 0
    return "held" if failed and ctypes.get_errno() == errno.EPERM else "reads before all others"
