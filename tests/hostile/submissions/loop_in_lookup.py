# verdict: row_sums=timeout, doubled=timeout
# limits: prepare=3
"""The module hangs when it is asked for a name, before any function is called."""


def __getattr__(name):
    while True:
        pass
