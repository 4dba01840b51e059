"""The tables of docs/tasks.md: every robot and every task, from what their files say."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from robokata.core.contracts import TaskLeaf
from robokata.core.shelf import shelf
from robokata.core.world import Subtask, Width
from robokata.sim.demonstration import reach_of, robot_of, robots_for

PAGE = Path(__file__).parent / "tasks.md"


def tasks_page() -> str:
    """The page as text: its own words, with the tables written anew."""
    text = PAGE.read_text(encoding="utf-8")
    for name, rows in (("robots", _robots()), ("tasks", _tasks())):
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.compile(f"{marks[0]}\n.*?{marks[1]}", flags=re.S)
        text, count = pattern.subn(lambda _: "\n".join((marks[0], *rows, marks[1])), text)  # noqa: B023 - used at once
        assert count == 1, f"docs/tasks.md has no place for the table of {name}"
    return text


def _own(folder: str) -> Iterator[str]:
    """Leaves of ours: a page must not depend on what else is installed."""
    for name in shelf(folder).names():
        if shelf(folder)[name].__name__.startswith("robokata."):
            yield name


def _robots() -> Iterator[str]:
    yield "| robot | is | arms | joints per arm | jaws open | table that every arm reaches, hand down | numbers from |"
    yield "|---|---|---|---|---|---|---|"
    for name in _own("robots"):
        robot = robot_of(name)
        arms = ", ".join(f"`{arm.name}`" for arm in robot.arms)
        first = robot.arms[0]
        assert first.gripper is not None
        jaws_mm = 1000 * float(first.gripper.open_m or 0.0)
        x_m, y_m = reach_of(robot)
        sources = "; ".join(dict.fromkeys(joint.source for joint in robot.joints if joint.source))
        yield (
            f"| `{name}` | {_sentence(shelf('robots')[name])} | {arms} | {len(first.joints)} | {jaws_mm:.0f} mm | "
            f"± {100 * x_m:g} x {100 * y_m:g} cm | {sources} |"
        )


def _tasks() -> Iterator[str]:
    yield "| task | instruction | robots | subtasks (object of reference) | done when | time |"
    yield "|---|---|---|---|---|---|"
    for name in _own("tasks"):
        leaf = shelf("tasks")[name]
        robots = [robot for robot in robots_for(name) if robot in set(_own("robots"))]
        yield (
            f"| `{name}` | {leaf.INSTRUCTIONS[0]} | {', '.join(f'`{robot}`' for robot in robots)} | "
            f"{', '.join(_subtask(each, leaf) for each in _subtasks(leaf))} | "
            f"{(inspect.getdoc(leaf.succeeded) or '').splitlines()[0].rstrip('.')} | {leaf.HORIZON_S:g} s |"
        )


def _subtasks(leaf: TaskLeaf) -> tuple[Subtask, ...]:
    reach_m = reach_of(robot_of(leaf.ROBOT))
    return leaf.subtasks(leaf.reset(np.random.default_rng(0), width=Width.D0, reach_m=reach_m))


def _subtask(subtask: Subtask, leaf: TaskLeaf) -> str:
    words = [subtask.prop] if leaf.NEEDS.arms == ("arm",) else [subtask.arm, subtask.prop]
    words += [f"after {', '.join(subtask.after)}"] if subtask.after else []
    words += [f"beside {subtask.beside}"] if subtask.beside else []
    return f"{subtask.name} ({', '.join(words)})"


def _sentence(leaf: object) -> str:
    return (inspect.getdoc(leaf) or "").splitlines()[0].rstrip(".").replace("|", "\\|")
