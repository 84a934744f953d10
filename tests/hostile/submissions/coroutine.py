# verdict: row_sums=error, doubled=error
# message: returned a coroutine
"""Is declared async, so that calling it does nothing."""


async def row_sums(matrix):
    return matrix.sum(1)


async def doubled(number):
    return 2 * number
