"""How long a command takes from a program's hand to the joints, while two cameras of 480x640 are recorded and shown."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.timing import Row
from robokata.collection.client import Operator
from robokata.core.detection import open_source

RUNS, SECONDS = 3, 15
_HZ = 50


def teleoperation(folder: Path) -> Iterator[Row]:
    """The server is a process of its own, this one is the operator; both read the same monotonic clock."""
    runs = [_run(folder / f"run-{number}") for number in range(RUNS)]
    latency_ms, late_ms = (np.median([run[name] for run in runs], axis=0) for name in ("latency_ms", "late_ms"))
    shown_hz, load = np.median([run["shown_hz"] for run in runs]), os.getloadavg()[0]
    on_time = np.median([run["taken_up"] for run in runs])
    what = "teleoperation at 50 Hz, two 480x640 cameras recorded: command to joints"
    measured = f"p50 {latency_ms[0]:.1f} ms, p99 {latency_ms[1]:.1f} ms"
    yield Row(f"{what} (load {load:.0f})", measured, "p99 < 30 ms", bool(latency_ms[1] < 30))
    yield Row("the same: lateness of the loop", f"p50 {late_ms[0]:.1f} ms, p99 {late_ms[1]:.1f} ms", "-", True)
    yield Row("the same: commands taken up; live pictures per camera", f"{on_time:.0%}; {shown_hz:.0f} Hz", "-", True)


def _run(out: Path) -> dict[str, object]:
    words = ["collect", "sim", "lift", "--out", str(out), "--port", "0", "--json"]
    server = subprocess.Popen([sys.executable, "-m", "robokata.cli.main", *words], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        with Operator(json.loads(server.stdout.readline())["url"]) as operator:
            operator.act("record")
            operator.until(lambda: operator.status["phase"] == "recording")
            before, sent = operator.pictures, _drive(operator)
            shown_hz = (operator.pictures - before) / 2 / SECONDS
            operator.act("keep")
            operator.until(
                lambda: operator.status["pieces"][-1:] and operator.status["pieces"][-1]["stage"] == "done",
                patience_s=300,
            )
            waits = [each["applied_ms"] - each["t_ms"] for seq, each in operator.applied.items() if seq in sent]
    finally:
        server.terminate()
        server.wait()
    source = open_source(out)
    loop = source.episode(source.keys()[0]).stream("teleoperation.loop").table
    return {
        "latency_ms": np.percentile(waits, [50, 99]),
        "late_ms": np.percentile(loop[:, 0] * 1000, [50, 99]),
        "taken_up": len(waits) / len(sent),
        "shown_hz": shown_hz,
    }


def _drive(operator: Operator) -> set[int]:
    rng, sent, next_s = random.Random(0), set(), time.monotonic()
    end_s = next_s + SECONDS
    while time.monotonic() < end_s:
        way = 0.1 if int((end_s - time.monotonic()) * 2) % 2 else -0.1
        sent.add(operator.twist("arm", [way, way / 2, 0, 0, 0, 0], opening_share=0.5))
        # A hand's device has a clock of its own: its commands come at every phase of the loop's period.
        next_s += rng.uniform(0.8, 1.2) / _HZ
        time.sleep(max(0.0, next_s - time.monotonic()))
    return sent
