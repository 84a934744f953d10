# verdict: row_sums=error, doubled=passed
# message: printed more than
"""Prints without end."""


def row_sums(matrix):
    while True:
        print("x" * 99_999)


def doubled(number):
    return 2 * number
