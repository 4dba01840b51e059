"""A scripted expert's attempt at a task."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.contracts import TaskLeaf
from robokata.core.episode import Embodiment
from robokata.core.errors import UnknownName
from robokata.core.shelf import shelf
from robokata.core.world import Prop, Setup, Width
from robokata.sim.attempt import Attempt, Recorder
from robokata.sim.operator import Style, targets_along, with_mishaps
from robokata.sim.sensors import Sensors
from robokata.sim.variation import NO_VARIATION, Variation, distractor_props, vary
from robokata.sim.world import SimWorld

START_NOISE_RAD = 0.02
"""Standard deviation of each joint at the start: people never begin at exactly the same pose."""
_TAIL_S = 0.4
"""Time after the last move in which a success must last."""


@dataclass(frozen=True)
class Scene:
    """A task on a robot, at a control rate."""

    task: str
    robot: str
    control_hz: int = 20
    distractors: int = 0
    """Things on the table that the task does not name."""

    @property
    def props(self) -> tuple[Prop, ...]:
        """Everything on the table."""
        return self.leaf.PROPS + distractor_props(self.distractors)

    @property
    def leaf(self) -> TaskLeaf:
        """The task's module."""
        return shelf("tasks")[self.task]

    @property
    def embodiment(self) -> Embodiment:
        """The robot's facts."""
        return robot_of(self.robot)


def robot_of(name: str) -> Embodiment:
    """A robot of the shelf.

    Raises:
        UnknownName: there is none of this name.
    """
    return shelf("robots")[name].ROBOT


def reach_of(robot: Embodiment) -> tuple[float, float]:
    """The reach of a robot that can do a task.

    Raises:
        UnknownName: nobody says how far it reaches.
    """
    if robot.reach_m is None:
        raise UnknownName("robot with a known reach", robot.name, shelf("robots").names())
    return robot.reach_m


def scene_of(task: str, robot: str | None = None, *, control_hz: int = 20) -> Scene:
    """A task on the robot asked for, or on its usual one.

    Raises:
        UnknownName: no such task or robot, or this robot cannot do the task.
    """
    leaf = shelf("tasks")[task]
    chosen = robot or leaf.ROBOT
    if leaf.NEEDS.unmet(shelf("robots")[chosen].ROBOT) is not None:
        raise UnknownName(f"robot that can do {task}", chosen, robots_for(task))
    return Scene(task, chosen, control_hz)


def robots_for(task: str) -> tuple[str, ...]:
    """Robots of the shelf that have what a task needs, the usual one first.

    Raises:
        UnknownName: there is no such task.
    """
    leaf, robots = shelf("tasks")[task], shelf("robots")
    able = [name for name in robots.names() if leaf.NEEDS.unmet(robots[name].ROBOT) is None]
    return tuple(sorted(able, key=lambda name: name != leaf.ROBOT))


@functools.lru_cache(maxsize=4)
def world_of(scene: Scene) -> SimWorld:
    """The world of a scene, one per process: building one takes longer than an attempt's physics."""
    return SimWorld(scene.embodiment, scene.props, control_hz=scene.control_hz)


class Begun(NamedTuple):
    """A world at the start of an attempt."""

    setup: Setup
    factors: dict[str, Any]
    """What the variation drew, by factor."""


def start(
    world: SimWorld,
    scene: Scene,
    *,
    width: Width,
    rng: np.random.Generator,
    variation: Variation = NO_VARIATION,
    number: int = 0,
) -> Begun:
    """Draw a reset, put the world there, and change what varies; the reset does not depend on the variation."""
    robot = scene.embodiment
    setup = scene.leaf.reset(rng, width=width, reach_m=reach_of(robot))
    noise = {arm.name: rng.normal(0, START_NOISE_RAD, len(arm.joints)) for arm in robot.arms}
    return begin(world, setup, joint_noise_rad=noise, variation=variation, number=number)


def begin(
    world: SimWorld,
    setup: Setup,
    *,
    joint_noise_rad: Mapping[str, NDArray[np.float64]] | None = None,
    variation: Variation = NO_VARIATION,
    number: int = 0,
) -> Begun:
    """Put the world into a given reset, and change what varies."""
    world.restore()
    world.place(setup, joint_noise_rad=joint_noise_rad)
    # Before anything settles, and settled once: a world that looks different must not have moved by a hair.
    drawn = vary(world, variation, number=number)
    world.settle()
    return Begun(setup, drawn)


def demonstrate(
    scene: Scene,
    *,
    width: Width,
    seed: int,
    number: int,
    style: Style,
    sensors: Sensors | None = None,
    variation: Variation = NO_VARIATION,
) -> tuple[Attempt, Begun]:
    """Attempt `number` of the scripted expert; the same seed and number give the same attempt."""
    rng = np.random.default_rng([seed, number])
    world = world_of(scene)
    begun = start(world, scene, width=width, rng=rng, variation=variation, number=number)
    setup = begun.setup
    recorder = Recorder(world, setup, task=scene.leaf, sensors=sensors)
    for planned in scene.leaf.demonstrate(world, setup, rng):
        for moves in with_mishaps(world, planned, style, rng):
            for targets in targets_along(world, moves, style, rng):
                recorder.step(functools.partial(world.command_tips, targets))
                if recorder.is_over_time:
                    return recorder.attempt, begun
    for _ in range(round(_TAIL_S * scene.control_hz)):
        recorder.step(lambda: None)
    return recorder.attempt, begun
