"""Put the red cube on the green one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.tasks import _moves, _resets

ROBOT = "franka_panda"
NEEDS = RobotNeed(arms=("arm",), reach_m=(0.07, 0.11))
INSTRUCTIONS = (
    "stack the red cube on the green cube",
    "put the red block on top of the green block",
    "place the red cube onto the green one",
    "build a tower with the red cube on the green cube",
)
HORIZON_S = 14.0
RED_M, GREEN_M = 0.04, 0.05
APART_M = 0.09
"""Middles of the cubes at reset: jaws that are open 8 cm must come between them."""
PROPS = (
    Prop("red", (Solid(Shape.BOX, (RED_M / 2,) * 3, (0.83, 0.15, 0.15, 1.0), 0.05),), yaw_symmetry=4),
    Prop("green", (Solid(Shape.BOX, (GREEN_M / 2,) * 3, (0.16, 0.62, 0.25, 1.0), 0.1),), yaw_symmetry=4),
)


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """Both cubes anywhere within the width, apart."""
    red, green = _resets.places_apart(rng, count=2, width=width, reach_m=reach_m, apart_m=APART_M)
    return Setup(
        {
            "red": _resets.standing(red, height_m=RED_M / 2, yaw_rad=_resets.any_yaw(rng, width)),
            "green": _resets.standing(green, height_m=GREEN_M / 2, yaw_rad=_resets.any_yaw(rng, width)),
        }
    )


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Take the red cube, then put it down on the green one."""
    return (
        Subtask("take_red", "arm", "red", lambda world: bool(_is_lifted(world))),
        Subtask("place_on_green", "arm", "green", lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """Red stands on green by itself: offset below 25 mm, height within 6 mm, jaws away."""
    offset_m = world.pose("red")[:3, 3] - world.pose("green")[:3, 3]
    on_top = np.hypot(offset_m[0], offset_m[1]) < 0.025 and abs(offset_m[2] - _stacked_m(world)) < 0.006
    return bool(on_top and not world.touches("arm", "red") and world.speed_m_s("red") < 0.05)


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Take the red cube square to it, turn it square to the green one, put it down and leave."""
    for _ in range(3):
        red = world.pose("red")
        yield from _moves.pick(world, "arm", _moves.hand_down(red[:3, 3], _moves.grasp_yaw(red, turns=4)))
        if not _is_lifted(world):
            continue
        green = world.pose("green")
        # Straight ahead, not as grasped: two turns of 45 degrees add up to more than a wrist of five joints has left.
        yaw_rad = _moves.grasp_yaw(green, turns=4)
        middle_m = green[:3, 3] + [0, 0, _stacked_m(world) + 0.002]
        top = _moves.carried_to(middle_m, yaw_rad, _moves.held_m(world, "arm", "red"))
        yield (Move("arm", _moves.above(top, 0.07), 0.0, is_transit=True),)
        yield (Move("arm", top, 0.0, speed_share=0.5, settle_s=0.1),)
        yield from _moves.release(world, "arm")
        if succeeded(world, setup):
            return


def _is_lifted(world: World) -> bool:
    return bool(world.holds("arm", "red") and world.pose("red")[2, 3] > RED_M / 2 + 0.04)


def _stacked_m(world: World) -> float:
    """Distance of the middles when red stands on green."""
    return (RED_M * world.scale("red") + GREEN_M * world.scale("green")) / 2
