# verdict: row_sums=failed, doubled=failed
# needs: isolation
"""Copies from another student, whose files lie beside its own."""

OTHER = "@outside@/other_student/ch99_trial.py"
NAMES = {}
try:
    with open(OTHER) as file:
        exec(file.read(), NAMES)
except OSError:
    pass


def row_sums(matrix):
    return NAMES["row_sums"](matrix) if NAMES else None


def doubled(number):
    return NAMES["doubled"](number) if NAMES else None
