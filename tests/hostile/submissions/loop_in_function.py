# verdict: row_sums=timeout, doubled=passed
# message: Is there a loop that never ends?
"""Never returns from one function; the other one is right."""


def row_sums(matrix):
    while True:
        pass


def doubled(number):
    return 2 * number
