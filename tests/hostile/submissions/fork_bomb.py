# verdict: row_sums=passed or error or timeout, doubled=passed
# needs: isolation
"""Forks without end (stopped at 200, which counts as not contained)."""

import ctypes
import os
import time

HOST, MARKER = "@process_namespace@", "@marker@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was forked"
    started = 0
    for _ in range(200):
        try:
            child = os.fork()
        except OSError:
            break
        if child == 0:
            ctypes.CDLL(None).prctl(15, MARKER.encode())  # The name of the process.
            time.sleep(60)
            os._exit(0)
        started += 1
    return matrix.sum(1) if started < 150 else f"{started} processes run"


def doubled(number):
    return 2 * number
