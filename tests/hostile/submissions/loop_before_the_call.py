# verdict: row_sums=timeout, doubled=passed
# limits: prepare=3
"""Hangs when the signature is read, before the function is called and its time counts."""


class Unreadable:
    @property
    def __signature__(self):
        while True:
            pass

    def __call__(self, matrix):
        return matrix.sum(1)


row_sums = Unreadable()


def doubled(number):
    return 2 * number
