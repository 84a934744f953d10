# verdict: row_sums=error, doubled=error
# message: does not take its arguments
"""Takes other arguments than the exercise gives."""


def row_sums(matrix, axis, /):
    return matrix.sum(axis)


def doubled():
    return 8
