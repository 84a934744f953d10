# verdict: row_sums=passed or error, doubled=passed
# needs: isolation
"""Kills every process that it may send a signal to."""

import os
import signal

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was killed"
    try:
        os.kill(-1, signal.SIGKILL)
    except OSError:
        pass
    return matrix.sum(1)


def doubled(number):
    return 2 * number
