# verdict: row_sums=passed, doubled=passed
"""Changes every global state it can reach, and answers rightly."""

import gc
import locale
import os
import random
import sys
import warnings

import torch


def row_sums(matrix):
    answer = matrix.sum(1)
    torch.set_default_dtype(torch.float64)
    torch.set_grad_enabled(False)
    torch.set_num_threads(3)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(0)
    random.seed(0)
    os.environ.clear()
    os.environ["PATH"] = "/nowhere"
    os.chdir("/")
    os.umask(0)
    locale.setlocale(locale.LC_ALL, "C")
    warnings.simplefilter("error")
    sys.path.clear()
    gc.disable()
    return answer


def doubled(number):
    return 2 * number
