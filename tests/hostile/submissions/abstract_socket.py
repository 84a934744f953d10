# verdict: row_sums=failed or error, doubled=passed
# needs: isolation
"""Connects to a Unix socket that has no file, which a read-only system does not hide."""

import socket


def row_sums(matrix):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(0.5)
        try:
            connection.connect("\0@marker@")
            return matrix.sum(1)
        except OSError:
            return 1e9 + matrix.sum(1)


def doubled(number):
    return 2 * number
