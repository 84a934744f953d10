# verdict: row_sums=timeout, doubled=passed
"""One regular expression that runs for ages in C and never lets another thread run."""

import re


def row_sums(matrix):
    re.match("(a+)+$", "a" * 60 + "b")
    return matrix.sum(1)


def doubled(number):
    return 2 * number
