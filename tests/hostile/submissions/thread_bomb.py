# verdict: row_sums=passed or error or timeout, doubled=passed
# needs: isolation
"""Starts threads without end (stopped at 2,000, which counts as not contained)."""

import os
import threading
import time

HOST = "@process_namespace@"


def row_sums(matrix):
    if os.readlink("/proc/self/ns/pid") == HOST:
        return "not isolated, so no thread was started"
    threading.stack_size(64 * 1024)
    started = 0
    try:
        for _ in range(2000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            started += 1
    except (RuntimeError, MemoryError, OSError):
        pass
    return matrix.sum(1) if started < 2000 else "2,000 threads run"


def doubled(number):
    return 2 * number
