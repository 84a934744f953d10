# verdict: row_sums=error, doubled=error
# message: raised ValueError
"""Raises an error whose text clears the screen, rings, turns the line around and says "passed"."""

TEXT = "\x1b[2J\x1b[1;32mrow_sums passed\x1b[0m\r\x07\x08\x9b31m\u202e\u2066\x00\x7f"


def row_sums(matrix):
    raise ValueError(TEXT)


def doubled(number):
    raise ValueError(TEXT)
