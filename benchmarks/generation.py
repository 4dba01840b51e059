"""How fast ten demonstrations become a thousand on one core, and how many attempts succeed.

The rate is of whole accepted episodes: physics, the attempts that failed, two 128x128 cameras, JPEG, the file. One
process makes them with one thread of software OpenGL, and its processor time is counted: "per core", also on a machine
that others share. Loading, compiling the scene and opening the renderer come before the clock: a thousand episodes pay
for them once.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import Row
from robokata.collection.scripted import ExpertJob, record_expert
from robokata.core.contracts import ExpansionJobs
from robokata.core.detection import open_source
from robokata.core.shelf import shelf
from robokata.core.source import Source
from robokata.core.world import Width
from robokata.expansion.expand import plan_expansion
from robokata.runtime.jobs import produce
from robokata.runtime.pool import one_thread
from robokata.sim.demonstration import Scene, scene_of
from robokata.sim.segments import Demonstration, demonstration_of
from robokata.sim.sensors import Sensors
from robokata.sim.trajectory_transfer import generate
from robokata.sim.transfer_options import Tellings
from robokata.statistics.intervals import clopper_pearson

SOURCES = 10
OPERATORS = 3
RUNS = 3
EPISODES = 40
LEAST_PER_MINUTE, WISHED_PER_MINUTE = 200, 300
ATTEMPTS = {"stack": 200}
"""Attempts of a task at each width, others `OTHER_ATTEMPTS`: stack's shares are promised at three widths."""
OTHER_ATTEMPTS = 60
FLOOR_SHARES = {"stack": {"D0": 0.9, "D1": 0.8, "D2": 0.6}}
OTHER_FLOOR_SHARES = {"D0": 0.7}


class Rate(NamedTuple):
    """What one run of the generator cost."""

    accepted: int
    tried: int
    cpu_s: float
    wall_s: float
    median_s: float
    """Length of the accepted ones."""

    @property
    def per_cpu_minute(self) -> float:
        """Accepted episodes per minute of processor time."""
        return 60 * self.accepted / self.cpu_s

    @property
    def per_minute(self) -> float:
        """Accepted episodes per minute on the wall."""
        return 60 * self.accepted / self.wall_s


def generation(folder: Path) -> Iterator[Row]:
    """The rate of stack, and the acceptance of every task at every width."""
    runs = rates(folder / "rate")
    middle = sorted(runs, key=lambda run: run.per_cpu_minute)[len(runs) // 2]
    slowest, fastest = (bound(run.per_cpu_minute for run in runs) for bound in (min, max))
    yield Row(
        "accepted two-camera 128x128 stack demonstrations, D0, one core",
        f"{middle.per_cpu_minute:.0f} per CPU minute ({slowest:.0f}-{fastest:.0f}), "
        f"{middle.per_minute:.0f} per minute on the wall",
        f">= {LEAST_PER_MINUTE}, wished {WISHED_PER_MINUTE}",
        middle.per_cpu_minute >= LEAST_PER_MINUTE,
    )
    for width in Width:
        for task in sorted(shelf("tasks").names(), key=lambda name: name != "stack"):
            yield accepted(folder / "sources", task, width)


def accepted(folder: Path, task: str, width: Width) -> Row:
    """Acceptance of one task at one width from ten demonstrations at D0; physics only."""
    scene = scene_of(task)
    demonstrations = demonstrations_of(folder / task, scene)
    attempts = ATTEMPTS.get(task, OTHER_ATTEMPTS)
    done = sum(
        generate(
            scene, demonstrations, Tellings(), width=width, seed=[1, number], sensors=Sensors()
        ).attempt.success_at_end
        for number in range(attempts)
    )
    low, high = clopper_pearson(done, attempts)
    floor = FLOOR_SHARES.get(task, OTHER_FLOOR_SHARES).get(str(width))
    return Row(
        f"accepted from ten demonstrations: {task}, {width}",
        f"{done / attempts:.1%} ({done}/{attempts}) [{low:.3f}, {high:.3f}]",
        "none" if floor is None else f">= {floor:.0%}",
        floor is None or done >= floor * attempts,
    )


def demonstrations_of(folder: Path, scene: Scene) -> list[Demonstration]:
    """Ten of the expert's demonstrations, recorded without pictures where they are not there yet."""
    if not folder.exists():
        record_expert(
            ExpertJob(scene, Width.D0, 0, None, Sensors(), operators=OPERATORS), folder, episodes=SOURCES, workers=1
        )
    source = open_source(folder)
    return [demonstration_of(source.episode(key), scene) for key in source.keys()]


def rates(folder: Path, *, runs: int = RUNS) -> list[Rate]:
    """Several runs in one fresh process, whose OpenGL has one thread from the start."""
    words = [sys.executable, "-m", "benchmarks.generation", str(folder), str(runs)]
    answer = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [Rate(*json.loads(line)) for line in answer.splitlines()]


def main() -> None:
    """One line of JSON per run: the folder and the number of runs are on the command line."""
    one_thread()
    folder, runs = Path(sys.argv[1]), int(sys.argv[2])
    demonstrations_of(folder / "sources", scene_of("stack"))
    source = open_source(folder / "sources")
    rate_of(planned(source, seed=runs), folder / "warm", episodes=2)
    for number in range(runs):
        run = rate_of(planned(source, seed=number), folder / f"run-{number}", episodes=EPISODES)
        print(json.dumps(run), flush=True)


def planned(source: Source, *, seed: int) -> ExpansionJobs:
    """Retargeting of all demonstrations at D0."""
    options = {"reset_range": "D0"}
    return plan_expansion(source, "demonstrations", keys=source.keys(), options=options, seed=seed)


def rate_of(jobs: ExpansionJobs, out: Path, *, episodes: int) -> Rate:
    """What `episodes` accepted ones cost, with those that were tried in vain."""
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    lines = produce(jobs.job, out, wanted=episodes, at_most=jobs.at_most(episodes), same_as=jobs.recipe, workers=1)
    cpu_s, wall_s = time.process_time() - began_cpu_s, time.perf_counter() - began_s
    lengths_s = [line.row["duration_s"] for line in lines if line.is_one]
    return Rate(len(lengths_s), len(lines), cpu_s, wall_s, statistics.median(lengths_s))


if __name__ == "__main__":
    main()
