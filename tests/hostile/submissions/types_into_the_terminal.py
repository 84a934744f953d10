# verdict: row_sums=failed, doubled=passed
# needs: isolation
"""Types a command into the teacher's terminal."""

import fcntl
import os
import termios

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so nothing was typed"
    for place in ("/dev/tty", "/dev/console", 0, 1, 2):
        try:
            with open(place, "rb", closefd=not isinstance(place, int)) as terminal:
                for letter in b"true\n":
                    fcntl.ioctl(terminal, termios.TIOCSTI, bytes([letter]))
                return matrix.sum(1)
        except OSError:
            continue
    return None


def doubled(number):
    return 2 * number
