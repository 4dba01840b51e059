"""Scheduling of threads that an encoder changes.

SVT-AV1, run by root (as in most containers), gives its threads and the thread that opens it the highest real-time
priority (SCHED_FIFO 99). Every child process inherits it, and a machine of two cores can be starved by two of them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextmanager
def unchanged_scheduling() -> Iterator[None]:
    """Put every thread that became real-time inside the block back to ordinary scheduling at its end."""
    before = _real_time_threads()
    try:
        yield
    finally:
        for thread in _real_time_threads() - before:
            with contextlib.suppress(OSError):  # it has ended
                os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def _real_time_threads() -> set[int]:
    """Ids of this process's threads under real-time scheduling; outside Linux none, where SVT-AV1 sets none."""
    found = set()
    for entry in _THREADS.iterdir() if _THREADS.is_dir() else ():
        with contextlib.suppress(OSError):  # it has ended
            if os.sched_getscheduler(int(entry.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(entry.name))
    return found
