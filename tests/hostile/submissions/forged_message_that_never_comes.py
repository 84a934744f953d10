# verdict: row_sums=timeout or error, doubled=passed
"""Announces a message, sends half of it and waits."""

import os
import struct
import time


def row_sums(matrix):
    header = struct.pack(">4sIQ", b"IHW1", 1000, 1000)
    for descriptor in range(3, 256):
        try:
            os.write(descriptor, header + b"[")
        except OSError:
            pass
    time.sleep(60)


def doubled(number):
    return 2 * number
