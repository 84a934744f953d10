# verdict: row_sums=passed, doubled=passed
"""Leaves 3,000 files in its folder, some with names that are awkward to delete."""

import os


def row_sums(matrix):
    os.makedirs("many", exist_ok=True)
    for number in range(3000):
        open(f"many/{number}", "w").close()
    for name in ("-rf", "new\nline", "\udcff", " ", "x" * 255, "*"):
        open(f"many/{name}", "w").close()
    return matrix.sum(1)


def doubled(number):
    return 2 * number
