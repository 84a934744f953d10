# verdict: row_sums=error or timeout, doubled=passed
# needs: isolation
"""Fills memory, 256 MB at a time (stopped at 8 GB, which counts as not contained)."""

import os

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so no memory was filled"
    held = [b"x" * 2**28 for _ in range(32)]
    return f"{len(held)} × 256 MB are held"


def doubled(number):
    return 2 * number
