"""Tries to hold memory that no limit counts. Each function returns "held" or what got through."""

import ctypes
import fcntl
import mmap
import os
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, *[ctypes.c_size_t] * 5]
MEGABYTE = 2**20
FAILED = ctypes.c_void_p(-1).value


def shares_memory_without_a_file():
    address = LIBC.mmap(None, 256 * MEGABYTE, 3, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1, 0)
    return "held" if address == FAILED else "shared 256 MB"


def shares_memory_of_a_newer_kind():
    address = LIBC.mmap(None, 256 * MEGABYTE, 3, 3 | mmap.MAP_ANONYMOUS, -1, 0)
    return "held" if address == FAILED else "shared 256 MB"


def shares_memory_of_a_device():
    try:
        with open("/dev/zero", "r+b", buffering=0) as file:
            shared = mmap.mmap(file.fileno(), 64 * MEGABYTE)
    except (OSError, ValueError):
        return "held"
    shared.close()
    return "shared 64 MB of /dev/zero"


def written(folder, n_megabytes=200):
    """How many megabytes fit into a file that is deleted but open."""
    try:
        with open(f"{folder}/hoard", "wb", buffering=0) as file:
            os.unlink(f"{folder}/hoard")
            count = 0
            while count < n_megabytes and file.write(b"x" * MEGABYTE) == MEGABYTE:
                count += 1
            return count
    except OSError:
        return 0


def hoards_files_without_names():
    counts = [written(folder) for folder in ("/student", "/dev/shm", "/tmp", "/proc", "/dev")]
    return "held" if sum(counts) <= 140 else f"wrote {counts} MB"


def hoards_many_small_files():
    count = 0
    try:
        for index in range(20_000):
            with open(f"/student/{index}", "wb"):
                count += 1
    except OSError:
        pass
    for index in range(count):
        os.unlink(f"/student/{index}")
    return "held" if count < 10_000 else f"made {count} files"


def hoards_in_attributes_of_a_file():
    total = 0
    with open("/student/attributes", "wb"):
        pass
    try:
        for index in range(10_000):
            os.setxattr("/student/attributes", f"user.{index}", b"x" * 60_000)
            total += 60_000
    except OSError:
        pass
    os.unlink("/student/attributes")
    return "held" if total < 80 * MEGABYTE else f"wrote {total} bytes of attributes"


def hoards_in_pipes():
    total = 0
    pipes = []
    try:
        while True:
            pipes.append(os.pipe())
            fcntl.fcntl(pipes[-1][1], 1031, MEGABYTE)
            total += MEGABYTE
    except OSError:
        pass
    for pair in pipes:
        os.close(pair[0])
        os.close(pair[1])
    return "held" if total < 130 * MEGABYTE else f"{total} bytes of pipes"


def hoards_in_sockets():
    try:
        pair = socket.socketpair()
    except OSError:
        return "held"
    pair[0].setblocking(False)
    return f"held {pair[0].send(b'x' * MEGABYTE)} bytes in a socket"


def hoards_in_a_socket_file():
    try:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("/student/socket")
            listening.listen()
    except OSError:
        return "held"
    return "listens"


def locks_memory():
    return "held" if LIBC.mlockall(3) < 0 else "locked all of its memory"


def opens_many_files():
    opened = []
    try:
        while len(opened) < 5_000:
            opened.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass
    for descriptor in opened:
        os.close(descriptor)
    return "held" if len(opened) < 300 else f"opened {len(opened)} files"


def keeps_more_than_its_memory():
    hoard = []
    try:
        while len(hoard) < 8 * 1024:
            hoard.append(ctypes.create_string_buffer(MEGABYTE))
    except MemoryError:
        return "held"
    return f"kept {len(hoard)} MB"
