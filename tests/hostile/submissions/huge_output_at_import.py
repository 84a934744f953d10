# verdict: row_sums=error, doubled=error
# message: printed more than
"""Prints without end while it loads, past Python, straight to both of its streams."""

import os

while True:
    os.write(1, b"x" * 99_999)
    os.write(2, b"x" * 99_999)
