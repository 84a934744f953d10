# verdict: row_sums=error, doubled=passed
"""A function that says it wraps itself, which has no end when it is unwrapped."""


def row_sums(matrix):
    raise ValueError("wrapped")


row_sums.__wrapped__ = row_sums


def doubled(number):
    return 2 * number
