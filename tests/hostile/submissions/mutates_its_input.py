# verdict: row_sums=failed, doubled=passed
# message: `matrix` was changed in place
"""Answers rightly after it has overwritten its input."""


def row_sums(matrix):
    answer = matrix.sum(1)
    matrix.data.zero_()
    return answer


def doubled(number):
    return 2 * number
