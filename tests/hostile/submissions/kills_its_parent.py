# verdict: row_sums=passed or error, doubled=passed
# needs: isolation
"""Kills the process that started it."""

import os
import signal

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was killed"
    parent = os.getppid()
    if parent > 0:
        os.kill(parent, signal.SIGKILL)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
