# verdict: row_sums=passed or error or timeout, doubled=passed
# needs: isolation
"""Fills the disk with files of an allowed size each (stopped at 2 GB, which is not contained)."""

import os

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was filled"
    block = b"x" * 2**24
    try:
        for number in range(128):
            with open(f"file_{number}", "wb") as file:
                file.write(block)
    except OSError:
        return matrix.sum(1)
    return "2 GB were written"


def doubled(number):
    return 2 * number
