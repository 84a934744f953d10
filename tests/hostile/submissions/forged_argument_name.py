# verdict: row_sums=failed, doubled=passed
# message: was changed in place
"""Says that an argument was changed whose name clears the teacher's screen."""

from induction_heads.grading import calls

honest = calls.call


def call(function, *rest):
    outcome = honest(function, *rest)
    if function is row_sums:
        object.__setattr__(outcome, "changed", "\x1b[2J\x1b[H`all` passed\x07\u202e\ud800")
    return outcome


calls.call = call


def row_sums(matrix):
    return matrix.sum(1)


def doubled(number):
    return 2 * number
