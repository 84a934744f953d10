# verdict: row_sums=error, doubled=passed
# needs: isolation
"""Kills its process group, in the hope that the judge is in it."""

import os
import signal

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was killed"
    os.killpg(0, signal.SIGKILL)


def doubled(number):
    return 2 * number
