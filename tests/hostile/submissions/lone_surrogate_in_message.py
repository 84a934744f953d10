# verdict: row_sums=error, doubled=error
# message: raised ValueError
"""Raises an error whose text cannot be written in UTF-8, to break the file of results."""


def row_sums(matrix):
    raise ValueError("\ud800\udfff\udcff")


def doubled(number):
    raise ValueError("\udcff")
