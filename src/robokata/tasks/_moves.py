"""Moves that many tasks are made of: approach from above, grasp, carry, release."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Pose, World
from robokata.geometry.poses import inverse, pose_of, wrapped_rad, yaw_of, yaw_rotation

DOWN = np.diag([1.0, -1.0, -1.0])
"""Rotation of a hand that points down with its x axis ahead."""
APPROACH_M = 0.10
"""Height above a grasp from which an operator comes straight down."""
CLOSE_S = 0.25
"""Time in which jaws have closed on something."""


def hand_down(position_m: np.ndarray, yaw_rad: float) -> Pose:
    """A tip pose that points down, turned about the vertical."""
    return pose_of(position_m, yaw_rotation(yaw_rad) @ DOWN)


def above(pose: Pose, height_m: float) -> Pose:
    """The same pose, higher."""
    raised = pose.copy()
    raised[2, 3] += height_m
    return raised


def grasp_yaw(prop: Pose, *, turns: int, toward_rad: float = 0.0) -> float:
    """Turn of the hand that is square to a prop and nearest to `toward_rad`.

    Jaws look the same after half a turn, so a cube (4 turns) can be grasped at every quarter.
    """
    if turns == 0:
        return toward_rad
    period_rad = 2 * math.pi / (turns if turns % 2 == 0 else 2 * turns)
    return toward_rad + wrapped_rad(yaw_of(prop[:3, :3]) - toward_rad, period_rad=period_rad)


def pick(
    world: World, arm: str, grasp: Pose, *, approach_m: float = APPROACH_M, open_m: float | None = None
) -> Iterator[tuple[Move, ...]]:
    """Come from above, close the jaws, and lift; `open_m` where jaws wide open would touch the neighbours."""
    wide = world.max_opening_m(arm) if open_m is None else min(open_m, world.max_opening_m(arm))
    yield (Move(arm, above(grasp, approach_m), wide, is_transit=True),)
    yield (Move(arm, grasp, wide, speed_share=0.6),)
    yield (Move(arm, grasp, 0.0, settle_s=CLOSE_S),)
    yield (Move(arm, above(grasp, approach_m), 0.0, speed_share=0.8),)


def together(*hands: Iterator[tuple[Move, ...]]) -> Iterator[tuple[Move, ...]]:
    """What several hands do, in step: the first motion of each at once, then the second of each."""
    for moves in itertools.zip_longest(*hands, fillvalue=()):
        yield tuple(itertools.chain.from_iterable(moves))


def corrected(world: World, arm: str, held: str, goal: Pose) -> Pose:
    """The tip pose to command so that what is held comes to `goal`: the last command, moved by what is missing.

    From the command, not from the measured tip: so the arm's own sag is made up for too.
    """
    return np.asarray(goal @ inverse(world.pose(held)) @ world.command(arm))


def held_m(world: World, arm: str, prop: str) -> np.ndarray:
    """The prop's middle from the tip, in the tip's frame, (3,): it stays so while it is carried."""
    tip = world.tip(arm)
    return np.asarray(tip[:3, :3].T @ (world.pose(prop)[:3, 3] - tip[:3, 3]))


def carried_to(position_m: np.ndarray, yaw_rad: float, held_m: np.ndarray) -> Pose:
    """The tip pose, pointing down, at which the middle of what is held lies at this point."""
    pose = hand_down(position_m, yaw_rad)
    pose[:3, 3] -= pose[:3, :3] @ held_m
    return pose


def release(world: World, arm: str, *, leave_m: float = APPROACH_M) -> Iterator[tuple[Move, ...]]:
    """Open the jaws where they are told to be, and leave upwards."""
    here, wide = world.command(arm), world.max_opening_m(arm)
    yield (Move(arm, here, wide, settle_s=CLOSE_S),)
    yield (Move(arm, above(here, leave_m), wide),)
