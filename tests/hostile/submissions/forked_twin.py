# verdict: row_sums=failed or error, doubled=passed or failed or error
"""Forks in the middle of a call, so that two processes answer on the same channel."""

import os


def row_sums(matrix):
    os.fork()
    with open("/proc/self/comm", "w") as name:
        name.write("@marker@")
    return matrix.sum(1)


def doubled(number):
    return 2 * number
