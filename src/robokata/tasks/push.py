"""Push the puck onto the mark."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Pose, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.geometry.poses import wrapped_rad
from robokata.tasks import _moves, _resets

ROBOT = "franka_panda"
NEEDS = RobotNeed(arms=("arm",), reach_m=(0.16, 0.28))
INSTRUCTIONS = (
    "push the blue puck onto the green mark",
    "slide the blue disc to the green target",
    "move the puck to the green circle without picking it up",
    "push the blue disc until it covers the green mark",
)
HORIZON_S = 16.0
PUCK_RADIUS_M, PUCK_M = 0.025, 0.03
"""Radius and height of the puck."""
MARK_RADIUS_M = 0.04
NEAR_M = 0.015
"""The puck's middle lies within this of the mark's: the whole puck lies on it."""
BEHIND_M = 0.03
"""Room between the puck and the tip when the hand comes down behind it."""
LOW_M = 0.016
"""Height of the tip while pushing: jaws clear the table and meet the puck at its middle."""
RISE_M = 0.005
_WHITE = (0.92, 0.92, 0.90, 1.0)


def _stripe(length_m: float, height_m: float) -> Solid:
    """From the middle to the front: makes a turn of the disc visible, so that its pose says where it is pushed."""
    at_m = (length_m / 2, 0, height_m)
    return Solid(Shape.BOX, (length_m / 2, 0.003, 0.0003), _WHITE, 0.001, at_m=at_m, collides=False)


PROPS = (
    Prop(
        "puck",
        (
            Solid(Shape.CYLINDER, (PUCK_RADIUS_M, PUCK_M / 2), (0.15, 0.30, 0.80, 1.0), 0.1),
            _stripe(0.9 * PUCK_RADIUS_M, PUCK_M / 2),
        ),
    ),
    Prop(
        "mark",
        (
            Solid(Shape.CYLINDER, (MARK_RADIUS_M, 0.0005), (0.20, 0.65, 0.30, 1.0), 0.01, collides=False),
            _stripe(0.9 * MARK_RADIUS_M, 0.0006),
        ),
        is_free=False,
    ),
)
_WAYS_M = {Width.D0: (0.10, 0.16), Width.D1: (0.08, 0.22), Width.D2: (0.08, 0.30)}
"""Least and largest way from puck to mark."""
_SIDES_RAD = {Width.D0: 0.5, Width.D1: 1.6, Width.D2: math.pi}
"""How far the direction of the push may differ from straight to the robot's left."""


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """Puck and mark in a direction and at a distance that the width allows; the stripes of both point along the push.

    Raises:
        ValueError: no such push fits into the robot's reach.
    """
    half_m = _resets.area_m(width, reach_m) if width is not Width.D0 else np.array([0.6, 0.75]) * reach_m
    least_m, most_m = _WAYS_M[width]
    for _ in range(10_000):
        puck, mark = rng.uniform(-half_m, half_m, (2, 2))
        way_m = mark - puck
        length_m, side_rad = math.hypot(*way_m), math.atan2(-way_m[0], way_m[1])
        # The hand comes down behind the puck and must reach there too.
        behind = puck - way_m / max(length_m, 1e-6) * (PUCK_RADIUS_M + BEHIND_M)
        is_in_reach = bool((np.abs(behind) <= reach_m).all())
        if least_m <= length_m <= most_m and abs(side_rad) <= _SIDES_RAD[width] and is_in_reach:
            break
    else:
        raise ValueError(f"no push of {least_m} to {most_m} m fits into a reach of {reach_m} m")
    yaw_rad = math.atan2(way_m[1], way_m[0])
    return Setup(
        {
            "puck": _resets.standing(puck, height_m=PUCK_M / 2, yaw_rad=yaw_rad),
            "mark": _resets.standing(mark, height_m=0.0005, yaw_rad=yaw_rad),
        }
    )


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Touch the puck with the hand down at the table, then bring it onto the mark and leave it."""
    return (
        Subtask("reach", "arm", "puck", lambda world: world.touches("arm", "puck")),
        Subtask("push", "arm", "mark", lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The puck lies flat on the mark, at rest, and nothing touches it."""
    puck = world.pose("puck")
    is_near = _off_m(world) < NEAR_M and abs(puck[2, 3] - PUCK_M / 2 * world.scale("puck")) < 0.004
    return bool(is_near and world.speed_m_s("puck") < 0.02 and not world.touches("arm", "puck"))


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Come down behind the puck with closed jaws, push it straight to the mark, look again, push the rest."""
    for _ in range(5):
        yield from _push_once(world)
        here = world.command("arm")
        ahead = _ahead(world.pose("puck")[:2, 3], here[:2, 3])
        back = here.copy()
        back[:2, 3] -= 0.03 * ahead
        yield (Move("arm", back, 0.0, settle_s=0.1),)
        if succeeded(world, setup):
            yield (Move("arm", _moves.above(back, 0.08), 0.0),)
            return
        yield (Move("arm", _moves.above(back, 0.05), 0.0),)


def _push_once(world: World) -> Iterator[tuple[Move, ...]]:
    puck, mark = world.pose("puck")[:2, 3], world.pose("mark")[:2, 3]
    ahead = _ahead(mark, puck)
    # The outside of one jaw faces the puck: at the seam between both, a disc would wedge itself in.
    yaw_rad = wrapped_rad(math.atan2(ahead[1], ahead[0]) - math.pi / 2, period_rad=math.pi)
    start = _moves.hand_down(
        np.array([*(puck - ahead * (PUCK_RADIUS_M * world.scale("puck") + BEHIND_M)), LOW_M]), yaw_rad
    )
    yield (Move("arm", _moves.above(start, 0.06), 0.0, is_transit=True),)
    # Down first, then ahead: a jaw that still sinks presses the puck onto the table, and rubber on rubber locks.
    yield (Move("arm", start, 0.0, speed_share=0.6, settle_s=0.3),)
    tip = start
    for _ in range(6):
        if world.touches("arm", "puck"):
            break
        tip = _moved(tip, 0.006 * ahead)
        yield (Move("arm", tip, 0.0, speed_share=0.5),)
    # From contact on the puck goes where the hand goes: a face as flat as a jaw pushes a disc along its normal.
    rest_m = float((mark - world.pose("puck")[:2, 3]) @ ahead)
    # Rising a little on the way: a jaw that sags would press the puck down until it locks.
    end = _moves.above(_moved(tip, rest_m * ahead), RISE_M)
    yield (Move("arm", end, 0.0, speed_share=0.4, settle_s=0.2),)


def _moved(tip: Pose, by_m: np.ndarray) -> Pose:
    moved = tip.copy()
    moved[:2, 3] += by_m
    return moved


def _ahead(goal_m: np.ndarray, start_m: np.ndarray) -> np.ndarray:
    way_m = goal_m - start_m
    return np.asarray(way_m / max(float(np.linalg.norm(way_m)), 1e-6))


def _off_m(world: World) -> float:
    return float(np.linalg.norm(world.pose("puck")[:2, 3] - world.pose("mark")[:2, 3]))
