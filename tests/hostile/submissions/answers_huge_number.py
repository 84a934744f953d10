# verdict: row_sums=error, doubled=error
# message: bits
"""Answers with an integer of a million digits."""


def row_sums(matrix):
    return 1 << 4_000_000


def doubled(number):
    return [1 << 4_000_000]
