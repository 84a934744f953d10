# verdict: row_sums=timeout, doubled=timeout
# limits: prepare=3
"""Never reports that a call has started, so that its time might not count: two slow right cases."""

import time

from induction_heads.grading import calls

honest = calls.call


def silent(function, args, kwargs, *rest):
    return honest(function, args, kwargs)


calls.call = silent


def row_sums(matrix):
    time.sleep(2.2)
    return matrix.sum(1)


def doubled(number):
    time.sleep(2.2)
    return 2 * number
