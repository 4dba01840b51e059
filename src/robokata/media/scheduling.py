"""Scheduling of threads that an encoder changes.

SVT-AV1, run by root (as in most containers), gives its threads and the thread that opens it the highest real-time
priority (SCHED_FIFO 99). Every child process inherits it, and threads of two encoders can starve a machine of two cores
until nothing moves. It asks for the effective user and does so for root only: it is shown another one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_THREADS = Path("/proc/self/task")
_NOBODY = 65534
_SETRESUID = {"x86_64": 117, "aarch64": 147}
"""Number of the system call, by machine. Unlike the C library's function it changes the calling thread only."""
_GET_DUMPABLE, _SET_DUMPABLE = 3, 4
"""prctl(2): another user also takes core dumps and /proc/self from the process; they are given back."""


@contextmanager
def ordinary_scheduling() -> Iterator[None]:
    """Run a block in which nothing becomes real-time: the calling thread is not root in it, nor are threads it starts.

    What became real-time all the same is put back at the end.
    """
    before = real_time_threads()
    try:
        with _without_root():
            yield
    finally:
        put_back(before)


@contextmanager
def _without_root() -> Iterator[None]:
    number = _SETRESUID.get(platform.machine()) if sys.platform == "linux" else None
    if number is None or os.geteuid() != 0:
        yield
        return
    system = ctypes.CDLL(None)
    dumpable = system.prctl(_GET_DUMPABLE, 0, 0, 0, 0)
    system.syscall(number, -1, _NOBODY, -1)
    try:
        yield
    finally:
        system.syscall(number, -1, 0, -1)
        system.prctl(_SET_DUMPABLE, dumpable, 0, 0, 0)


def put_back(before: set[int]) -> None:
    """Give every thread ordinary scheduling that is real-time now and was not `before`."""
    for thread in real_time_threads() - before:
        with contextlib.suppress(OSError):  # it has ended
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def real_time_threads() -> set[int]:
    """Ids of this process's threads under real-time scheduling; outside Linux none, where SVT-AV1 sets none."""
    found = set()
    for entry in _THREADS.iterdir() if _THREADS.is_dir() else ():
        with contextlib.suppress(OSError):  # it has ended
            if os.sched_getscheduler(int(entry.name)) in (os.SCHED_FIFO, os.SCHED_RR):
                found.add(int(entry.name))
    return found
