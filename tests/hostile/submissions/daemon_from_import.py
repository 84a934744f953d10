# verdict: row_sums=error, doubled=error
# needs: isolation
"""Leaves a daemon behind while it loads, then ends."""

import os
import subprocess
import sys

MARKER = "@marker@"
subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(40)", MARKER], start_new_session=True
)
os._exit(0)
