"""How fast are stack demonstrations generated here and in robosuite? The same generator, the same machine, one core.

    PYTHONPATH=src:. .venv/bin/python benchmarks/interop/speed_robosuite.py <robosuite's python> [--episodes 10]

Robokata's rate is that of `python -m benchmarks generation`. In robosuite's environment `robosuite_stack.py` records
ten demonstrations of a scripted expert at robosuite's Stack (Panda, OSC_POSE, 20 Hz), tells them again with Robokata's
own `sim/retelling.py` (the nearest source by cube and symmetry, its commands moved, a speed-limited bridge, a wander of
1 mm), keeps what robosuite's success test accepts, and renders agent and wrist view of what is kept from its stored
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
from typing import Any

from benchmarks.generation import rates
from benchmarks.timing import machine

STACK = Path(__file__).with_name("robosuite_stack.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("robosuite", help="the Python of robosuite's environment")
    parser.add_argument("--episodes", type=int, default=10, help="accepted ones per run of robosuite; ours makes 40")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory(prefix="robokata-speed-") as name:
        ours = _shown("Robokata", [run._asdict() for run in rates(Path(name) / "ours")])
        rival = _shown("robosuite", _asked(options, Path(name) / "theirs"))
    print(f"Robokata's rate is {ours / rival:.1f} times robosuite's")


def _asked(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "LP_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "MUJOCO_GL": os.environ.get("MUJOCO_GL", "egl")}
    words = [options.robosuite, str(STACK), str(folder), str(options.episodes), str(options.runs)]
    answer = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True, env=environment).stdout
    return [json.loads(line) for line in answer.splitlines() if line.startswith("{")]


def _shown(who: str, runs: list[dict[str, Any]]) -> float:
    """Print the runs of one side; their median rate per minute of processor time."""
    found = [60 * run["accepted"] / run["cpu_s"] for run in runs]
    wall = statistics.median(60 * run["accepted"] / run["wall_s"] for run in runs)
    accepted, tried = sum(run["accepted"] for run in runs), sum(run["tried"] for run in runs)
    print(
        f"{who}: {statistics.median(found):.1f} accepted per CPU minute ({min(found):.1f}-{max(found):.1f}), "
        f"{wall:.1f} per minute on the wall; {accepted} of {tried} attempts accepted, "
        f"{statistics.median(run['median_s'] for run in runs):.1f} s long"
    )
    return statistics.median(found)


if __name__ == "__main__":
    main()
