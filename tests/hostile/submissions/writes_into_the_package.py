# verdict: row_sums=failed, doubled=passed
# needs: isolation
"""Plants a file where every later run would import it."""

import os
import sys

import induction_heads

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was planted"
    package = os.path.dirname(induction_heads.__file__)
    for place in (package, f"{package}/grading/__pycache__", *sys.path, sys.prefix, "/usr", "/etc"):
        try:
            with open(f"{place}/@marker@.pth", "w") as file:
                file.write("import os; os.abort()")
            return matrix.sum(1)
        except OSError:
            continue
    return None


def doubled(number):
    return 2 * number
