# verdict: row_sums=error, doubled=passed
# message: raised ValueError
"""Raises an error with a text of 50 MB."""


def row_sums(matrix):
    raise ValueError("x" * 50 * 2**20)


def doubled(number):
    return 2 * number
