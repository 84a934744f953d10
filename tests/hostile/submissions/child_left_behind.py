# verdict: row_sums=passed, doubled=passed
"""Leaves a child process behind that ignores every signal it may ignore."""

import subprocess
import sys

CODE = """
import signal, time
for number in range(1, signal.NSIG):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
time.sleep(40)
"""


def row_sums(matrix):
    subprocess.Popen([sys.executable, "-c", CODE, "@marker@"])
    return matrix.sum(1)


def doubled(number):
    return 2 * number
