# verdict: row_sums=error, doubled=passed
"""Raises an exception that raises another one when its text is read."""


class Broken(Exception):
    def __str__(self):
        raise SystemExit("no text")

    __repr__ = __str__


def row_sums(matrix):
    raise Broken


def doubled(number):
    return 2 * number
