# verdict: row_sums=error, doubled=passed
"""Closes every descriptor of its process."""

import os


def row_sums(matrix):
    os.closerange(0, 256)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
