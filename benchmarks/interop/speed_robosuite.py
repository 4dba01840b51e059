"""How fast are stack demonstrations generated here and in robosuite? The same generator, the same machine, one core.

    PYTHONPATH=src:. .venv/bin/python benchmarks/interop/speed_robosuite.py <robosuite's python> [--episodes 10]

Robokata's rate is that of `python -m benchmarks generation`. In robosuite's environment `robosuite_stack.py` records
ten demonstrations of a scripted expert at robosuite's Stack (Panda, OSC_POSE, 20 Hz), tells them again with Robokata's
own `sim/transfer_options.py` (nearest source by cube and symmetry, its commands moved, a speed-limited bridge, a wander
of 1 mm), keeps what robosuite's success test accepts, and renders agent and wrist view of what is kept from its stored
states, 128x128, to JPEG of the same quality. robosuite is given its best: no rebuilding at resets, no observables of
objects, rendering by MuJoCo itself without multisampling, reflections, shadows and collision geoms, and one file per
episode with nothing but states, actions and pictures. Processor time of one process counts, without start-up, scene and
the ten demonstrations. README.md beside this file says how to make robosuite's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks.generation import Rate, rates
from benchmarks.timing import machine

STACK = Path(__file__).with_name("robosuite_stack.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("robosuite", help="the Python of robosuite's environment")
    parser.add_argument("--episodes", type=int, default=10, help="accepted ones per run of robosuite; ours makes 40")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    sides: dict[str, list[Rate]] = {"Robokata": [], "robosuite": []}
    with tempfile.TemporaryDirectory(prefix="robokata-speed-") as name:
        for number in range(options.runs):  # in turns: what else the machine does slows both
            sides["Robokata"] += rates(Path(name) / f"ours-{number}", runs=1)
            sides["robosuite"].append(_asked(options.robosuite, Path(name) / f"theirs-{number}", options.episodes))
    for who, runs in sides.items():
        print(f"{who}: {_said(runs)}")
    pairs = list(zip(*sides.values(), strict=True))
    ratios = [ours.per_cpu_minute / theirs.per_cpu_minute for ours, theirs in pairs]
    recorded = [r * ours.median_s / theirs.median_s for r, (ours, theirs) in zip(ratios, pairs, strict=True)]
    for what, found in (("demonstrations", ratios), ("recorded seconds", recorded)):
        print(f"Robokata's rate of {what}: {statistics.median(found):.1f} times ({min(found):.1f}..{max(found):.1f})")


def _asked(python: str, folder: Path, episodes: int) -> Rate:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LP_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    words = [python, str(STACK), str(folder), str(episodes)]
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return Rate(**json.loads(answer.splitlines()[-1]))


def _said(runs: list[Rate]) -> str:
    """The median rate of one side, per minute of processor time and on the wall."""
    found = [run.per_cpu_minute for run in runs]
    return (
        f"{statistics.median(found):.1f} accepted per CPU minute ({min(found):.1f}..{max(found):.1f}), "
        f"{statistics.median(run.per_minute for run in runs):.1f} per minute on the wall; "
        f"{sum(run.accepted for run in runs)} of {sum(run.tried for run in runs)} attempts accepted, "
        f"{statistics.median(run.median_s for run in runs):.1f} s long"
    )


if __name__ == "__main__":
    main()
