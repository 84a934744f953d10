# verdict: row_sums=error, doubled=error
"""Lets an audit hook refuse every action of the process, for good."""

import sys


def refuse(event, arguments):
    raise RuntimeError("refused")


def row_sums(matrix):
    sys.addaudithook(refuse)
    return open("anything")


def doubled(number):
    return open("anything")
