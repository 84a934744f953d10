# verdict: row_sums=error, doubled=passed
# message: is not defined in
"""Lacks one of the functions."""


def doubled(number):
    return 2 * number
