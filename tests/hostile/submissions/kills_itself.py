# verdict: row_sums=error, doubled=passed
# message: brought the whole process down
"""Kills its own process."""

import os
import signal


def row_sums(matrix):
    os.kill(os.getpid(), signal.SIGKILL)


def doubled(number):
    return 2 * number
