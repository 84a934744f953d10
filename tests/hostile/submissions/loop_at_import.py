# verdict: row_sums=timeout, doubled=timeout
# message: did not finish loading within
"""Never finishes loading."""

while True:
    pass
