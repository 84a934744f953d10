# verdict: row_sums=error, doubled=error
# message: returned a row_sums
"""Defines classes where functions are asked for."""


class row_sums:
    def __init__(self, matrix):
        self.answer = matrix.sum(1)


class doubled:
    def __init__(self, number):
        self.answer = 2 * number
