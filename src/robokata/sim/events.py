"""What happened in an attempt, as labelled intervals: subtasks, grasps, drops, and contacts that were not meant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Annotation
from robokata.core.world import TABLE
from robokata.geometry.runs import runs_of
from robokata.sim.attempt import Attempt
from robokata.sim.model import PHYSICS_HZ
from robokata.sim.world import SimWorld

SOURCE = "simulation"
_FALL_M = 0.01
"""Height above where it lay at the reset from which losing hold of a prop is a drop."""


def annotations_of(attempt: Attempt, world: SimWorld) -> Iterator[Annotation]:
    """Intervals in seconds from the episode's start; contacts are looked for once per control step."""
    yield from _subtasks(attempt)
    names = world.entity_names
    numbers = {name: number for number, name in enumerate(names)}
    for arm in world.arms:
        jaws = [numbers[f"{arm}/jaw_left"], numbers[f"{arm}/jaw_right"]]
        parts = [*jaws, numbers[f"{arm}/palm"]]
        for prop in world.own_props:
            held = _touches(attempt, jaws[0], numbers[prop.name]) & _touches(attempt, jaws[1], numbers[prop.name])
            yield from _intervals(attempt, f"grasp:{arm}:{prop.name}", held)
            yield from _drops(attempt, world, arm, prop.name, held)
        # Nothing is meant to touch the table but props, or a palm but nothing.
        for part in parts:
            yield from _intervals(attempt, f"contact:{names[part]}:{TABLE}", _touches(attempt, part, numbers[TABLE]))
        for prop in world.own_props:
            label = f"contact:{arm}/palm:{prop.name}"
            yield from _intervals(attempt, label, _touches(attempt, parts[2], numbers[prop.name]))


def _subtasks(attempt: Attempt) -> Iterator[Annotation]:
    begun: dict[str, float] = {}
    for subtask in attempt.subtasks:
        if subtask.name in attempt.reached:
            end_s = _end_s(attempt, attempt.reached[subtask.name])
            yield Annotation(f"subtask:{subtask.name}", begun.get(subtask.arm, 0.0), end_s, SOURCE)
            begun[subtask.arm] = end_s


def _drops(attempt: Attempt, world: SimWorld, arm: str, prop: str, held: NDArray[np.bool_]) -> Iterator[Annotation]:
    """Moments at which a prop in the air leaves jaws that were told to stay closed."""
    number = [each.name for each in world.own_props].index(prop)
    heights_m = np.array(attempt.objects)[:, number, 2]
    opening_m = np.array(attempt.commands)[:, world.arms.index(arm), 7]
    for start, last in runs_of(held):
        end = last + 1
        if end >= len(held) or held[end : end + 3].any():
            continue
        told_to_open = opening_m[end - 1 : end + 1].max() > opening_m[start:end].min() + 0.005
        if not told_to_open and heights_m[end - 1] > heights_m[0] + _FALL_M:
            at_s = attempt.steps[end] / PHYSICS_HZ
            yield Annotation(f"drop:{prop}", at_s, at_s, SOURCE)


def _touches(attempt: Attempt, one: int, other: int) -> NDArray[np.bool_]:
    pair = (min(one, other), max(one, other))
    return np.array([pair in touching for touching in attempt.touching], dtype=bool)


def _intervals(attempt: Attempt, label: str, on: NDArray[np.bool_]) -> Iterator[Annotation]:
    for first, last in runs_of(on):
        yield Annotation(label, attempt.steps[first] / PHYSICS_HZ, _end_s(attempt, last), SOURCE)


def _end_s(attempt: Attempt, index: int) -> float:
    """The end of a control step is the start of the next."""
    period = attempt.steps[1] - attempt.steps[0] if len(attempt.steps) > 1 else 0
    return (attempt.steps[index] + period) / PHYSICS_HZ
