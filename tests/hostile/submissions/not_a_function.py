# verdict: row_sums=error, doubled=error
# message: not a function
"""Has a number and a text where functions are asked for."""

row_sums = 3
doubled = "def doubled(number): return 2 * number"
