"""Medians of several runs, each in a process of its own where memory or start-up counts."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One measured number beside its target."""

    what: str
    measured: str
    target: str
    holds: bool


def machine() -> str:
    """What this ran on."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()}"


def median_of(run: Callable[[], float], *, runs: int) -> float:
    """Median of `runs` values of a function."""
    return statistics.median(run() for _ in range(runs))


def cpu_seconds(work: Callable[[], object]) -> float:
    """Time that one call keeps cores busy, all threads together: "per core", also on a machine that others share."""
    started = time.process_time()
    work()
    return time.process_time() - started


class Child(NamedTuple):
    """What one child process cost."""

    cpu_s: float
    wall_s: float
    peak_mb: float


def child(*words: str) -> Child:
    """Run a command and account for it alone."""
    code = (
        "import resource, subprocess, sys, time, json; t = time.perf_counter();"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True);"
        "u = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(json.dumps([u.ru_utime + u.ru_stime, time.perf_counter() - t, u.ru_maxrss / 1024]))"
    )
    shown = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout
    return Child(*json.loads(shown))


def resident_mb() -> float:
    """Resident memory of this process now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20
