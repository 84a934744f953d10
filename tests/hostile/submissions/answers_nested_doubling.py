# verdict: row_sums=error or timeout, doubled=passed
"""Answers with a list that doubles in every one of 38 levels: small here, endless when copied."""


def row_sums(matrix):
    value = []
    for _ in range(38):
        value = [value, value]
    return value


def doubled(number):
    return 2 * number
