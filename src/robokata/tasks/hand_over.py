"""Hand the bar over from the left hand to the right, in the air."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.geometry.poses import yaw_of
from robokata.tasks import _moves, _resets

ROBOT = "viperx_bimanual"
NEEDS = RobotNeed(arms=("left", "right"), reach_m=(0.08, 0.15), joints=6)
INSTRUCTIONS = (
    "hand the orange bar over from the left hand to the right hand",
    "pass the orange bar from the left arm to the right arm",
    "give the bar to the right hand above the grey mark",
    "pick up the orange bar with the left hand and pass it to the right",
)
HORIZON_S = 20.0
LENGTH_M, SIDE_M = 0.15, 0.025
"""Length and side of the bar."""
GRASP_M = 0.045
"""Where each hand takes the bar, from its middle: palms of 4 cm stay 5 cm apart."""
MEETING_M = 0.20
"""Height at which the hands meet."""
LIFTED_M = 0.08
ASIDE_M = 0.14
"""The bar starts so far to the left of the middle."""
PROPS = (
    Prop(
        "bar",
        (Solid(Shape.BOX, (LENGTH_M / 2, SIDE_M / 2, SIDE_M / 2), (0.95, 0.50, 0.10, 1.0), 0.06),),
        yaw_symmetry=2,
    ),
    Prop(
        "mark",
        (Solid(Shape.CYLINDER, (0.04, 0.0005), (0.45, 0.47, 0.50, 1.0), 0.01, collides=False),),
        is_free=False,
        yaw_symmetry=0,
    ),
)


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """The bar on the left side, turned; the mark near the middle."""
    (place,) = _resets.places_apart(rng, count=1, width=width, reach_m=reach_m, apart_m=0.0)
    at_m = place - [ASIDE_M, 0]
    return Setup(
        {
            "bar": _resets.standing(at_m, height_m=SIDE_M / 2, yaw_rad=_resets.any_yaw(rng, width)),
            "mark": _resets.meeting_mark(rng, width=width, reach_m=reach_m),
        }
    )


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """The left hand picks and presents; the right one takes; the left one lets go; the right one keeps it."""
    return (
        Subtask("pick", "left", "bar", lambda world: _has(world, "left")),
        Subtask("present", "left", "mark", lambda world: _has(world, "left") and _is_presented(world)),
        Subtask("take", "right", "bar", lambda world: _has(world, "right"), after=("present",)),
        Subtask("let_go", "left", "bar", lambda world: not world.touches("left", "bar"), after=("take",)),
        Subtask("keep", "right", "mark", lambda world: succeeded(world, setup), after=("let_go",)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The right hand holds the bar in the air, quietly, and the left hand is away from it."""
    away_m = np.linalg.norm(world.tip("left")[:3, 3] - world.pose("bar")[:3, 3])
    is_given = _has(world, "right") and not world.touches("left", "bar") and away_m > LENGTH_M / 2 + 0.02
    return bool(is_given and world.speed_m_s("bar") < 0.05)


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Pick at one end, present, take at the other end; from the start where the bar was dropped."""
    for _ in range(3):
        if not _has(world, "right"):
            if not _has(world, "left"):
                yield from _pick(world)
            if not _has(world, "left"):
                continue
            yield from _present(world)
            yield from _take(world)
        if _has(world, "right"):
            yield from _part(world)
        if succeeded(world, setup):
            return


def _pick(world: World) -> Iterator[tuple[Move, ...]]:
    bar = world.pose("bar")
    yaw_rad = _moves.grasp_yaw(bar, turns=2)
    end_m = bar[:3, 3] - GRASP_M * np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0])
    end_m[2] = max(end_m[2], SIDE_M / 2)
    yield from _moves.pick(world, "left", _moves.hand_down(end_m, yaw_rad))


def _present(world: World) -> Iterator[tuple[Move, ...]]:
    """The bar level above the mark, from left to right."""
    at_m = world.pose("mark")[:3, 3] + [0, 0, MEETING_M]
    left = _moves.carried_to(at_m, 0.0, _moves.held_m(world, "left", "bar"))
    yield (Move("left", left, 0.0, is_transit=True, settle_s=0.2),)


def _take(world: World) -> Iterator[tuple[Move, ...]]:
    """From above, square to the bar, at the end that the left hand does not hold."""
    bar = world.pose("bar")
    away = np.sign((world.tip("left")[:3, 3] - bar[:3, 3]) @ bar[:3, 0])
    end_m = bar[:3, 3] - away * GRASP_M * bar[:3, 0]
    grasp = _moves.hand_down(end_m, _moves.grasp_yaw(bar, turns=2, toward_rad=math.pi))
    wide = world.max_opening_m("right")
    yield (Move("right", _moves.above(grasp, 0.08), wide, is_transit=True),)
    yield (Move("right", grasp, wide, speed_share=0.6),)
    yield (Move("right", grasp, 0.0, settle_s=_moves.CLOSE_S),)


def _part(world: World) -> Iterator[tuple[Move, ...]]:
    """The left hand opens and leaves upwards; then the right one takes the bar to its own side."""
    left, right = world.command("left"), world.command("right")
    wide = world.max_opening_m("left")
    yield (Move("left", left, wide, settle_s=_moves.CLOSE_S),)
    leave = _moves.above(left, 0.08)
    yield (Move("left", leave, wide),)
    aside, back = right.copy(), leave.copy()
    aside[0, 3] += 0.08
    back[0, 3] -= 0.08
    yield (Move("left", back, wide), Move("right", aside, 0.0, speed_share=0.7, settle_s=0.2))


def _has(world: World, arm: str) -> bool:
    return bool(world.holds(arm, "bar") and world.pose("bar")[2, 3] > SIDE_M / 2 + LIFTED_M)


def _is_presented(world: World) -> bool:
    """Above the mark within 3 cm, along the line between the arms within 15 degrees, and still."""
    offset_m = world.pose("bar")[:3, 3] - world.pose("mark")[:3, 3]
    turn_rad = yaw_of(world.pose("bar")[:3, :3])
    is_there = math.hypot(offset_m[0], offset_m[1]) < 0.03 and offset_m[2] > MEETING_M - 0.03
    return bool(is_there and abs(math.sin(turn_rad)) < 0.26 and world.speed_m_s("bar") < 0.1)
