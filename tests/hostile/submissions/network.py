# verdict: row_sums=failed, doubled=passed
# needs: isolation
"""Connects to a server of this machine: right if it gets through."""

import socket


def row_sums(matrix):
    try:
        with socket.create_connection(("127.0.0.1", int("@port@")), timeout=0.5) as connection:
            connection.sendall(b"here are the inputs")
        return matrix.sum(1)
    except (OSError, ValueError):
        return 1e9 + matrix.sum(1)


def doubled(number):
    return 2 * number
