# verdict: row_sums=error, doubled=passed
# message: brought the whole process down (SIGSEGV)
"""Reads memory at address 0."""

import ctypes


def row_sums(matrix):
    return ctypes.string_at(0)


def doubled(number):
    return 2 * number
