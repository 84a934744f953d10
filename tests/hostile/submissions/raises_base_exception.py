# verdict: row_sums=error, doubled=error
# message: raised Stop
"""Raises what `except Exception` does not catch."""


class Stop(BaseException):
    pass


def row_sums(matrix):
    raise Stop


def doubled(number):
    raise GeneratorExit
