# verdict: row_sums=error, doubled=error
# message: more than 40 levels deep
"""Answers with a list and a dict that hold themselves."""


def row_sums(matrix):
    value = []
    value.append(value)
    return value


def doubled(number):
    value = {}
    value["value"] = value
    return value
