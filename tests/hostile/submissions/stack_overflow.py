# verdict: row_sums=error, doubled=passed
"""Lifts the recursion limit and recurses through C until the stack of the process is gone.

From Python 3.12 on the interpreter notices, and it is a RecursionError.
"""

import sys


def row_sums(matrix):
    sys.setrecursionlimit(10**9)
    return max([matrix], key=row_sums)


def doubled(number):
    return 2 * number
