# verdict: row_sums=error, doubled=error
# message: is not defined in
"""Renames its module to something that clears the screen, and defines nothing."""

__name__ = "\x1b[2J\x1b[32mpassed\ud800"
