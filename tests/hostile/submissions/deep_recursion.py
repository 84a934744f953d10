# verdict: row_sums=error, doubled=passed
# message: raised RecursionError
"""Calls itself without end."""


def row_sums(matrix):
    return row_sums(matrix)


def doubled(number):
    return 2 * number
