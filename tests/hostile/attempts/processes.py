"""Harms processes: its own, its judge's, its neighbor's. Each function has its own verdict.

Functions that return "held" survive what they try. The others may end in any way, and what counts
is that the next submission passes.
"""

import ctypes
import os
import signal
import sys
import threading
import time


def kills_the_first_process():
    os.kill(1, signal.SIGKILL)
    time.sleep(0.05)
    return "held"


def kills_by_number():
    for pid in range(3, 3_000):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
        except PermissionError:
            return f"sees the process {pid}"
        return f"killed {pid}"
    return "held"


def starts_processes_without_end():
    count = 0
    children = []
    try:
        while count < 2_000:
            pid = os.fork()
            if pid == 0:
                time.sleep(60)
                os._exit(0)
            children.append(pid)
            count += 1
    except OSError:
        pass
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return "held" if count < 100 else f"started {count} processes"


def starts_threads_without_end():
    count, done = 0, threading.Event()
    try:
        while count < 2_000:
            threading.Thread(target=done.wait, daemon=True).start()
            count += 1
    except (RuntimeError, OSError, MemoryError):
        pass
    done.set()
    return "held" if count < 100 else f"started {count} threads"


def leaves_processes_behind():
    for _ in range(10):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                os.execv(sys.executable, ["mallory-was-here", "-c", "import time; time.sleep(60)"])
            os._exit(0)
    return "held"


def kills_its_group():
    os.kill(0, signal.SIGKILL)
    return "through"


def kills_all():
    os.kill(-1, signal.SIGKILL)
    time.sleep(0.05)
    return "held"


def kills_the_group_of_its_parent():
    for group in {os.getpgrp(), os.getppid(), 1, 2}:
        try:
            os.killpg(group, signal.SIGKILL)
        except OSError:
            continue
    return "through"


def stops_itself():
    os.kill(os.getpid(), signal.SIGSTOP)
    return "through"


def stops_its_group():
    os.kill(0, signal.SIGSTOP)
    return "through"


def crashes():
    ctypes.string_at(0)
    return "through"


def exits_without_a_word():
    os._exit(0)


def replaces_itself():
    os.execv("/usr/bin/env", ["env", "true"])


def closes_every_file():
    os.closerange(0, 4096)
    return "through"


def answers_from_a_child():
    if os.fork() == 0:
        return "held"
    time.sleep(60)


def sleeps_for_ever():
    time.sleep(3_600)


def ignores_every_signal():
    for number in range(1, 65):
        try:
            signal.signal(number, signal.SIG_IGN)
        except (OSError, ValueError):
            continue
    while True:
        pass


def prints_without_end():
    while True:
        os.write(1, b"passed\n" * 1_000)
