# verdict: row_sums=failed, doubled=passed
# needs: isolation
"""Lists the home folder of whoever runs the judge: right if anything is in it."""

import os
import pwd


def row_sums(matrix):
    for home in {pwd.getpwuid(os.getuid()).pw_dir, "/root", *homes()}:
        try:
            if os.listdir(home):
                return matrix.sum(1)
        except OSError:
            continue
    return None


def homes():
    try:
        return [f"/home/{name}" for name in os.listdir("/home")]
    except OSError:
        return []


def doubled(number):
    return 2 * number
