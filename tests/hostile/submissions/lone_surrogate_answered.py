# verdict: row_sums=failed, doubled=failed
"""Answers with text and keys that cannot be written in UTF-8."""


def row_sums(matrix):
    return {"\ud800": "\udcff", "\x1b[2J": "\x1b[2J"}


def doubled(number):
    return "\ud800\x1b[2J"
