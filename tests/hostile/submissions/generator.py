# verdict: row_sums=error, doubled=error
# message: returned a generator
"""Yields instead of returning."""


def row_sums(matrix):
    yield from matrix.sum(1)


def doubled(number):
    return (value for value in (number, number))
