# verdict: row_sums=passed, doubled=passed
"""Leaves threads behind that spin for ever and are not daemons."""

import threading


def spin():
    while True:
        pass


def row_sums(matrix):
    for _ in range(3):
        threading.Thread(target=spin).start()
    return matrix.sum(1)


def doubled(number):
    return 2 * number
