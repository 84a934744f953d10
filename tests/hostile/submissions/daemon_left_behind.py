# verdict: row_sums=passed, doubled=passed
# needs: isolation
"""Leaves a daemon behind: forked twice, in a session of its own, writing a file later."""

import ctypes
import os
import time

WITNESS, MARKER = "@witness@", "@marker@"


def row_sums(matrix):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            ctypes.CDLL(None).prctl(15, MARKER.encode())  # The name of the process.
            time.sleep(4)
            with open(WITNESS, "w") as file:
                file.write("the daemon was here")
            time.sleep(30)
        os._exit(0)
    return matrix.sum(1)


def doubled(number):
    return 2 * number
