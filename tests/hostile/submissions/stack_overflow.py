# verdict: row_sums=error, doubled=passed
# message: brought the whole process down (SIGSEGV)
"""Lifts the recursion limit and recurses through C until the stack of the process is gone."""

import sys


def row_sums(matrix):
    sys.setrecursionlimit(10**9)
    return max([matrix], key=row_sums)


def doubled(number):
    return 2 * number
