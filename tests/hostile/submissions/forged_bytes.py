# verdict: row_sums=error, doubled=passed
# message: sent something that is not an answer
"""Writes rubbish into the channel for answers."""

import os


def row_sums(matrix):
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, b"x" * 99)
        except OSError:
            pass
    return matrix.sum(1)


def doubled(number):
    return 2 * number
