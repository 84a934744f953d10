# verdict: row_sums=passed or error or timeout, doubled=passed
# needs: isolation
"""Fills memory in eight processes at once, each within the limit of one (8 × 1 GB at most).

What it must not do is outlive its call, or take memory from the next submission.
"""

import ctypes
import os
import time

HOST, MARKER = "@process_namespace@", "@marker@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so no memory was filled"
    for _ in range(8):
        try:
            child = os.fork()
        except OSError:
            break
        if child == 0:
            ctypes.CDLL(None).prctl(15, MARKER.encode())  # The name of the process.
            held = [b"x" * 2**26 for _ in range(16)]
            time.sleep(60)
            os._exit(len(held))
    time.sleep(1)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
