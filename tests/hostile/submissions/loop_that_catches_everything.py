# verdict: row_sums=timeout, doubled=passed
"""Ignores every signal that can be ignored and catches every exception, for ever."""

import signal

for number in range(1, signal.NSIG):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass


def row_sums(matrix):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue


def doubled(number):
    return 2 * number
