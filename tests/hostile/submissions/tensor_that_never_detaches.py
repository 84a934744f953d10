# verdict: row_sums=timeout, doubled=passed
"""Returns a tensor subclass that hangs as soon as anything is done with it."""

import torch


class Stuck(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        while True:
            pass


def row_sums(matrix):
    return matrix.sum(1).as_subclass(Stuck)


def doubled(number):
    return 2 * number
