"""How often each task's expert succeeds: 200 attempts per robot and width, on every MuJoCo that is at hand.

The second MuJoCo lives in an environment of its own, named by `ROBOKATA_OTHER_MUJOCO`:

    python -m venv /path/to/other && /path/to/other/bin/pip install numpy mujoco==3.3.7
    ROBOKATA_OTHER_MUJOCO=/path/to/other/bin/python python -m benchmarks experts
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.timing import Row
from robokata.core.shelf import shelf
from robokata.core.world import Width
from robokata.sim.demonstration import demonstrate, robots_for, scene_of
from robokata.sim.gl import mujoco
from robokata.sim.operator import style_of

ATTEMPTS = 200
OPERATORS = 5
SEED = 1
"""Demonstrations that the documents show have other seeds."""
FLOOR_SHARES = {"D0": 0.95, "D1": 0.85, "clumsy": 0.85}
"""Least lower bound of the exact interval, by the width; `clumsy` is D0 by operators who pause, miss and go astray."""
_ROOT = Path(__file__).parents[1]


class Cell(NamedTuple):
    """One task on one robot at one width."""

    task: str
    robot: str
    width: str
    """A width, or `clumsy`."""


class Count(NamedTuple):
    """What became of its attempts."""

    successes: int
    attempts: int
    in_order: int
    """Successes in which every subtask was reached."""


def cells() -> list[Cell]:
    """Every task on every robot that can do it."""
    tasks = shelf("tasks")
    kinds = [*(str(width) for width in Width), "clumsy"]
    return [Cell(task, robot, kind) for kind in kinds for task in tasks.names() for robot in robots_for(task)]


def attempt(cell: Cell, number: int) -> tuple[bool, bool]:
    """One attempt: did it succeed at the end, and was every subtask reached."""
    is_clumsy = cell.width == "clumsy"
    style = style_of(number % OPERATORS, seed=0, clumsiness_share=float(is_clumsy))
    width = Width.D0 if is_clumsy else Width(cell.width)
    made, _ = demonstrate(scene_of(cell.task, cell.robot), width=width, seed=SEED, number=number, style=style)
    return made.success_at_end, all(subtask.name in made.reached for subtask in made.subtasks)


def count(cell: Cell, pool: ProcessPoolExecutor) -> Count:
    """All attempts of one cell."""
    ended = list(pool.map(attempt, [cell] * ATTEMPTS, range(ATTEMPTS), chunksize=ATTEMPTS // 8))
    return Count(sum(done for done, _ in ended), len(ended), sum(done and whole for done, whole in ended))


def main() -> None:
    """One line of JSON per cell: this MuJoCo's version, the cell, its count."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for cell in cells():
            if not sys.argv[1:] or cell.task in sys.argv[1:]:
                print(json.dumps([mujoco().__version__, cell, count(cell, pool)]), flush=True)


def lines(python: str) -> Iterator[tuple[str, Cell, Count]]:
    """What `main` says in an interpreter."""
    environment = os.environ | {"PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'src'}", "OMP_NUM_THREADS": "1"}
    words = [python, "-m", "benchmarks.experts"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment, cwd=_ROOT) as child:
        for line in child.stdout or ():
            version, cell, counted = json.loads(line)
            yield version, Cell(*cell), Count(*counted)
        if child.wait():
            raise RuntimeError(f"{' '.join(words)} ended with {child.returncode}")


def experts(folder: Path) -> Iterator[Row]:
    """The table of docs/tasks.md."""
    other = os.environ.get("ROBOKATA_OTHER_MUJOCO")
    if other is None:
        print("One MuJoCo only: ROBOKATA_OTHER_MUJOCO names no second interpreter (see benchmarks/experts.py).")
    for python in (sys.executable, *([other] if other else [])):
        for version, cell, counted in lines(python):
            yield row_of(version, cell, counted)


def row_of(version: str, cell: Cell, counted: Count) -> Row:
    """One cell beside its floor; the floors are promises for the usual robot of a task."""
    from robokata.statistics.intervals import clopper_pearson

    low, high = clopper_pearson(counted.successes, counted.attempts)
    is_usual = cell.robot == shelf("tasks")[cell.task].ROBOT
    floor = FLOOR_SHARES.get(cell.width) if is_usual else None
    measured = f"{counted.successes}/{counted.attempts} [{low:.3f}, {high:.3f}], {counted.in_order} in order"
    what = f"MuJoCo {version}: {cell.task}, {cell.robot}, {cell.width}"
    return Row(what, measured, "none" if floor is None else f"lower end >= {floor}", floor is None or low >= floor)


if __name__ == "__main__":
    main()
