# verdict: row_sums=error, doubled=error
# message: raised ValueError
"""Raises an error whose text is HTML that runs, and a spreadsheet formula."""

TEXT = "=cmd|'/c calc'!A1 <script>alert(1)</script><img src=x onerror=alert(1)> {{7*7}}"


def row_sums(matrix):
    raise ValueError(TEXT)


def doubled(number):
    raise ValueError(f"\n{TEXT}")
