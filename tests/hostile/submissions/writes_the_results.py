# verdict: row_sums=failed, doubled=passed
# needs: isolation
"""Writes a grade of its own into the table of results, and removes somebody else's."""

import os

RESULTS = "@outside@/results"


def row_sums(matrix):
    try:
        with open(f"{RESULTS}/grades.csv", "a") as file:
            file.write("me,100\n")
        os.remove(f"{RESULTS}/other_student.json")
    except OSError:
        return None
    return matrix.sum(1)


def doubled(number):
    return 2 * number
