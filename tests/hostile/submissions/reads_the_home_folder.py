# verdict: row_sums=failed or error, doubled=passed
# needs: isolation
"""Lists the home folder of whoever runs the judge: right if more than Python itself is in it."""

import os
import pwd
import sys


def row_sums(matrix):
    for home in {pwd.getpwuid(0).pw_dir, "/root", *homes()}:
        try:
            entries = os.listdir(home)
        except OSError:
            continue
        if any(not sys.base_prefix.startswith(f"{home}/{entry}") for entry in entries):
            return matrix.sum(1)
    return None


def homes():
    try:
        return [f"/home/{name}" for name in os.listdir("/home")]
    except OSError:
        return []


def doubled(number):
    return 2 * number
