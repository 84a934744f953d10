# verdict: row_sums=failed, doubled=failed
"""Gives the answer that was right for the first case to every later one as well."""

KEPT = []


def row_sums(matrix):
    KEPT.append(matrix.sum(1))
    return KEPT[0]


def doubled(number):
    KEPT.append(2 * number)
    return KEPT[0]
