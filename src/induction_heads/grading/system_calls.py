"""The system calls that a submission may not make: a filter that the kernel runs (seccomp, Linux).

A filter looks at numbers and flags only. It refuses what no exercise needs: namespaces and mounts,
the kernel's keyrings, memory that no limit counts, what the whole machine has only one of, sockets,
and a look into other processes. A refused call fails like any other, and calls of another
architecture end the process.
"""

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

SET_SECCOMP, FILTER_MODE = 22, 2
LOAD, AND, EQUAL, AT_LEAST, RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
ALLOW, REFUSE, END = 0x7FFF0000, 0x00050000, 0x80000000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
NEWER_CALLS = 463
"""The first number that these tables do not know: calls of later kernels, and those of x32."""
WHOLE = 0xFFFFFFFF
NEW_NAMESPACES = (0x20000, *(1 << bit for bit in range(25, 31)))
SHARED_WITHOUT_FILE = 0x21
"""MAP_SHARED | MAP_ANONYMOUS: such pages stay in memory when no process has them mapped."""
LARGE_PAGES = 0x40000
"""MAP_HUGETLB: pages that a machine sets aside, and that are not in the memory of a process."""
LOCKS = (6, 7, 37, 38, 1024)
"""Commands of `fcntl` that lock parts of a file, as many as one likes, or lease it."""

REFUSED = {
    # name: (x86_64, aarch64)
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "vmsplice": (278, 75),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "mbind": (237, 235),
    "set_mempolicy": (238, 237),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "fanotify_init": (300, 262),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "clock_settime": (227, 112),
    "settimeofday": (164, 170),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "lookup_dcookie": (212, 18),
    "vhangup": (153, 58),
    "sync": (162, 81),
    "syncfs": (306, 267),
}
"""Refused with "Operation not permitted"."""

ABSENT = {
    # The C library does without these if the kernel does not have them.
    "clone3": (435, 435),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "io_setup": (206, 0),
}
"""Refused with "Function not implemented"."""

NETWORK = {"socket": (41, 198), "socketpair": (53, 199)}
"""Refused with "Network is unreachable". Unread data in the buffers of sockets is memory too."""

Pairs = tuple[tuple[int, int], ...]

BY_ARGUMENT: tuple[tuple[tuple[int, int], int, Pairs], ...] = (
    # clone(flags, …), mmap(_, _, _, flags, …), fcntl(_, command, …)
    ((56, 220), 0, tuple((flag, flag) for flag in NEW_NAMESPACES)),
    ((9, 222), 3, tuple((flags, flags) for flags in (SHARED_WITHOUT_FILE, LARGE_PAGES))),
    ((72, 25), 1, tuple((WHOLE, command) for command in LOCKS)),
)
"""(numbers, place of an argument, pairs of mask and value that the argument must not have)."""


@dataclass(frozen=True)
class Architecture:
    """A kind of machine: its place in the tables above, and the kernel's number for it."""

    column: int
    audit: int


ARCHITECTURES = {
    "x86_64": Architecture(0, 0xC000003E),
    "aarch64": Architecture(1, 0xC00000B7),
}


def instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    """One instruction of the filter. The jumps count instructions that are passed over."""
    return struct.pack("=HBBI", code, if_true, if_false, value)


def program(machine: str) -> bytes:
    """The filter for a kind of machine, as the kernel reads it. Raises KeyError for others."""
    kind = ARCHITECTURES[machine]
    lines = [
        instruction(LOAD, ARCHITECTURE_AT),
        instruction(EQUAL, kind.audit, if_true=1),
        instruction(RETURN, END),
        instruction(LOAD, NUMBER_AT),
        instruction(AT_LEAST, NEWER_CALLS, if_false=1),
        _refusal(errno.ENOSYS),
    ]
    for calls, problem in (
        (REFUSED, errno.EPERM),
        (ABSENT, errno.ENOSYS),
        (NETWORK, errno.ENETUNREACH),
    ):
        for numbers in calls.values():
            number = numbers[kind.column]
            lines += [instruction(EQUAL, number, if_false=1), _refusal(problem)]
    for calls, argument, refused in BY_ARGUMENT:
        lines += _by_argument(calls[kind.column], argument, refused)
    return b"".join([*lines, instruction(RETURN, ALLOW)])


def _refusal(problem: int) -> bytes:
    return instruction(RETURN, REFUSE | problem)


def _by_argument(number: int, argument: int, refused: Pairs) -> list[bytes]:
    """Refuse the call `number` if `argument & mask == value` for one of the pairs."""
    tests = [
        line
        for mask, value in refused
        for line in (
            instruction(LOAD, ARGUMENTS_AT + 8 * argument),  # The lower half: little-endian.
            instruction(AND, mask),
            instruction(EQUAL, value, if_false=1),
            _refusal(errno.EPERM),
        )
    ]
    return [
        instruction(EQUAL, number, if_false=len(tests) + 1),
        *tests,
        instruction(RETURN, ALLOW),
    ]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_char_p))


_libc = ctypes.CDLL(None, use_errno=True)


def missing() -> str | None:
    """Why no filter can be used here, or None if one can."""
    if platform.machine() not in ARCHITECTURES:
        return f"there is none for processors of the kind {platform.machine()}"
    # Without a program the kernel answers "bad address", unless it has no filters at all.
    _libc.prctl(SET_SECCOMP, FILTER_MODE, None, 0, 0)
    return None if ctypes.get_errno() == errno.EFAULT else "the kernel has no filters (seccomp)"


def refuse() -> None:
    """Install the filter in this process and all that it starts, for good. Raises OSError.

    The process must have given up new privileges before.
    """
    lines = program(platform.machine())
    content = _Program(len(lines) // 8, lines)
    if _libc.prctl(SET_SECCOMP, FILTER_MODE, ctypes.byref(content), 0, 0) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"the filter of system calls: {os.strerror(error)}")
