"""How an operator moves: speed, tremor, and the clumsiness of people who are new to it.

Point-to-point motion has the minimum-jerk profile of human reaching (Flash and Hogan, J. Neurosci. 5 (1985) 1688).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from robokata.core.world import Move, Pose
from robokata.geometry.poses import angle_between_rad, between, pose_of
from robokata.sim.world import SimWorld, Target

_TREMOR_MEMORY = 0.9
"""Correlation of the tremor from one 20 Hz step to the next."""
_HURRY_RAD_S = 1.8
"""Turning speed of an operator of speed share 1; people turn their wrist while they reach, not after it."""


@dataclass(frozen=True)
class Style:
    """How one operator moves."""

    speed_m_s: float = 0.35
    """Mean speed of a transit; teleoperators reach 0.25 to 0.45 m/s."""
    tremor_m: float = 0.0006
    """Size of the wander per 20 Hz step, fading toward the end of each move."""
    pause_share: float = 0.0
    """Share of transits before which the operator stops to think, 0.3 to 1.2 s."""
    detour_share: float = 0.0
    """Share of transits that go by way of a point 4 to 9 cm aside."""
    miss_share: float = 0.0
    """Share of grasps that first close 5 cm too high, on nothing."""


def style_of(operator: int, *, seed: int, clumsiness_share: float = 0.0) -> Style:
    """The style of operator number `operator`: people differ in speed and steadiness; 0 clumsiness never errs."""
    rng = np.random.default_rng([seed, 7919, operator])
    return Style(
        speed_m_s=float(rng.uniform(0.28, 0.45)),
        tremor_m=float(rng.uniform(0.0004, 0.0008)),
        pause_share=0.6 * clumsiness_share,
        detour_share=0.6 * clumsiness_share,
        miss_share=0.5 * clumsiness_share,
    )


def with_mishaps(
    world: SimWorld, moves: tuple[Move, ...], style: Style, rng: np.random.Generator
) -> Iterator[tuple[Move, ...]]:
    """The moves, with what a clumsy operator does before them."""
    if len(moves) == 1:
        (move,) = moves
        here = world.command(move.arm)
        closes = move.opening_m < world.opening_m(move.arm) - 0.01 and _distance_m(here, move.to) < 0.01
        # Jaws that are kept apart by what they hold do not close.
        closes = closes and not any(world.holds(move.arm, prop.name) for prop in world.props)
        if move.is_transit and rng.random() < style.pause_share:
            stay_s = float(rng.uniform(0.3, 1.2))
            yield (Move(move.arm, here, world.opening_m(move.arm) if closes else move.opening_m, settle_s=stay_s),)
        if move.is_transit and rng.random() < style.detour_share:
            aside = between(here, move.to, 0.5)
            angle_rad, aside_m = rng.uniform(-math.pi, math.pi), rng.uniform(0.04, 0.09)
            aside[:2, 3] += aside_m * np.array([math.cos(angle_rad), math.sin(angle_rad)])
            yield (Move(move.arm, aside, move.opening_m),)
        if closes and rng.random() < style.miss_share:
            high = pose_of(move.to[:3, 3] + [0.0, 0.0, 0.05], move.to[:3, :3])
            wide = world.max_opening_m(move.arm)
            yield (Move(move.arm, high, wide),)
            yield (Move(move.arm, high, 0.0, settle_s=0.3),)
            yield (Move(move.arm, high, wide, settle_s=0.2),)
            yield (Move(move.arm, move.to, wide, speed_share=0.6),)
    yield moves


def targets_along(
    world: SimWorld, moves: tuple[Move, ...], style: Style, rng: np.random.Generator
) -> Iterator[dict[str, Target]]:
    """Commands per control step that carry out moves at once; all of them end together."""
    starts = {move.arm: world.command(move.arm) for move in moves}
    period_s = 1 / world.control_hz
    steps = max(1, *(math.ceil(_duration_s(starts[move.arm], move, style) / period_s) for move in moves))
    memory = _TREMOR_MEMORY ** (20 / world.control_hz)
    tremors = {move.arm: np.zeros(3) for move in moves}
    for step in range(1, steps + 1):
        share = step / steps
        done = share**3 * (10 - 15 * share + 6 * share**2)
        out = {}
        for move in moves:
            tremor = memory * tremors[move.arm] + rng.normal(0, style.tremor_m, 3)
            tremors[move.arm] = tremor
            pose = between(starts[move.arm], move.to, done)
            if _distance_m(starts[move.arm], move.to) > 0.02:
                # No wander where contact is made, and none while only the jaws move.
                pose[:3, 3] += tremor * (1 - done)
            out[move.arm] = Target(pose, move.opening_m)
        yield out
    stay = max(round(move.settle_s / period_s) for move in moves)
    for _ in range(stay):
        yield {move.arm: Target(move.to, move.opening_m) for move in moves}


def _duration_s(start: Pose, move: Move, style: Style) -> float:
    speed = style.speed_m_s * move.speed_share
    turn_rad = angle_between_rad(start[:3, :3], move.to[:3, :3])
    return max(_distance_m(start, move.to) / speed, turn_rad / (_HURRY_RAD_S * move.speed_share), 0.05)


def _distance_m(one: Pose, other: Pose) -> float:
    return float(np.linalg.norm(one[:3, 3] - other[:3, 3]))
