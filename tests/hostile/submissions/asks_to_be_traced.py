# verdict: row_sums=failed or timeout, doubled=passed
"""Asks to be traced by its parent, which is then told of every signal that it gets."""

import ctypes
import os
import signal


def row_sums(matrix):
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    ctypes.CDLL(None).ptrace(0, 0, 0, 0)
    os.kill(os.getpid(), signal.SIGUSR1)
    return 0


def doubled(number):
    return 2 * number
