# verdict: row_sums=timeout, doubled=passed
"""Takes most of the allowed time on each case: the limit is for all of them together."""

import time


def row_sums(matrix):
    time.sleep(1.5)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
