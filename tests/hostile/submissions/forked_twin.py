# verdict: row_sums=passed or failed or error, doubled=passed or failed or error
"""Forks in the middle of a call, so that two processes answer on the same channel."""

import ctypes
import os


def row_sums(matrix):
    os.fork()
    ctypes.CDLL(None).prctl(15, b"@marker@")  # The name of the process.
    return matrix.sum(1)


def doubled(number):
    return 2 * number
