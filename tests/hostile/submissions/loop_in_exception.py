# verdict: row_sums=timeout, doubled=passed
"""Raises an exception whose text takes for ever to write."""


class Endless(Exception):
    def __str__(self):
        while True:
            pass


def row_sums(matrix):
    raise Endless


def doubled(number):
    return 2 * number
