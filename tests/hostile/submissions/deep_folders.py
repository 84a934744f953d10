# verdict: row_sums=passed, doubled=passed
"""Leaves a folder in a folder in a folder, 3,000 deep: deleting it must not exhaust the judge."""

import os


def row_sums(matrix):
    if os.path.exists("d"):
        return matrix.sum(1)
    home = os.getcwd()
    for _ in range(3000):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(home)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
