# verdict: row_sums=timeout, doubled=passed
"""Sends itself SIGSTOP: the process neither runs nor ends."""

import os
import signal


def row_sums(matrix):
    os.kill(os.getpid(), signal.SIGSTOP)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
