# verdict: row_sums=timeout, doubled=passed
"""Returns, but an object that is thrown away on the way out never finishes its `__del__`."""


class Stuck:
    def __del__(self):
        while True:
            pass


def row_sums(matrix):
    Stuck()
    return matrix.sum(1)


def doubled(number):
    return 2 * number
