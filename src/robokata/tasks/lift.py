"""Lift the cube."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.tasks import _moves, _resets

ROBOT = "franka_panda"
NEEDS = RobotNeed(arms=("arm",), reach_m=(0.07, 0.11))
INSTRUCTIONS = (
    "lift the red cube",
    "pick up the red block",
    "raise the red cube off the table",
    "grab the red cube and hold it up",
)
HORIZON_S = 8.0
CUBE_M = 0.04
LIFTED_M = 0.06
"""Height of the cube's bottom above the table that counts as lifted: more than the cube itself."""
PROPS = (
    Prop(
        "cube",
        (Solid(Shape.BOX, (CUBE_M / 2,) * 3, (0.83, 0.15, 0.15, 1.0), 0.05),),
        yaw_symmetry=4,
    ),
)


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """A cube anywhere within the width."""
    (place,) = _resets.places_apart(rng, count=1, width=width, reach_m=reach_m, apart_m=0.0)
    return Setup({"cube": _resets.standing(place, height_m=CUBE_M / 2, yaw_rad=_resets.any_yaw(rng, width))})


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Grasp, then lift."""
    return (
        Subtask("grasp", "arm", "cube", lambda world: world.holds("arm", "cube")),
        Subtask("lift", "arm", "cube", lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The cube is held well above the table."""
    return bool(world.pose("cube")[2, 3] - CUBE_M / 2 * world.scale("cube") > LIFTED_M and world.holds("arm", "cube"))


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Grasp square to the cube and lift; once more where it slipped."""
    for _ in range(3):
        cube = world.pose("cube")
        yaw_rad = _moves.grasp_yaw(cube, turns=4)
        yield from _moves.pick(world, "arm", _moves.hand_down(cube[:3, 3], yaw_rad))
        if succeeded(world, setup):
            return
