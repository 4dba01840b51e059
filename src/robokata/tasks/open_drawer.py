"""Open the drawer."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Pose, Prop, RobotNeed, Setup, Shape, Slide, Solid, Subtask, Width, World
from robokata.tasks import _moves, _resets

ROBOT = "franka_panda"
NEEDS = RobotNeed(arms=("arm",), reach_m=(0.16, 0.28), joints=6)
INSTRUCTIONS = (
    "open the drawer",
    "pull the drawer open",
    "take the handle and open the cabinet's drawer",
    "slide the drawer all the way out",
)
HORIZON_S = 14.0
OPEN_M = 0.10
"""How far the drawer is drawn when it counts as open: most of its way."""
PULL_M = 0.13
TRAVEL_M = 0.14
_HALF_M = (0.09, 0.08, 0.04)
"""Half sizes of the cabinet (depth, width, height)."""
_WALL_M = 0.005
"""Half thickness of its boards."""
HANDLE_M = (-0.128, 0.0, 0.045)
"""Middle of the handle in the cabinet's frame while the drawer is shut."""
HANDLE_THICK_M = 0.012
GRASP_M = (-0.131, 0.0, 0.043)
WOOD_RGBA = (0.62, 0.45, 0.28, 1.0)
FRONT_RGBA = (0.85, 0.75, 0.58, 1.0)
HANDLE_RGBA = (0.20, 0.25, 0.65, 1.0)
TURNED_RAD = math.pi / 4
"""The cabinet stands askew, so that the drawer is seen from the front and reached from behind."""
OPENING_M = 0.05
"""Opening of the jaws around the handle, which is 12 mm thick."""


def _board(half_m: tuple[float, float, float], at_m: tuple[float, float, float]) -> Solid:
    return Solid(Shape.BOX, half_m, WOOD_RGBA, 0.2, at_m=at_m)


def _cabinet() -> Prop:
    depth, width, height = _HALF_M
    boards = [
        _board((depth, width, _WALL_M), (0, 0, 2 * height - _WALL_M)),
        *(_board((depth, _WALL_M, height), (0, sign * (width - _WALL_M), height)) for sign in (-1, 1)),
        _board((_WALL_M, width, height), (depth - _WALL_M, 0, height)),
    ]
    return Prop("cabinet", tuple(boards), is_free=False)


def _drawer() -> Prop:
    depth, width = _HALF_M[0] - 0.012, _HALF_M[1] - 3 * _WALL_M
    tray = [
        Solid(Shape.BOX, (depth, width, 0.003), FRONT_RGBA, 0.1, at_m=(0, 0, 0.008)),
        *(Solid(Shape.BOX, (depth, 0.003, 0.022), FRONT_RGBA, 0.05, at_m=(0, sign * width, 0.03)) for sign in (-1, 1)),
        # The front covers the opening, a hair ahead of the boards.
        Solid(Shape.BOX, (0.005, _HALF_M[1], 0.034), FRONT_RGBA, 0.1, at_m=(-_HALF_M[0] - 0.006, 0, 0.036)),
    ]
    x, y, z = HANDLE_M
    handle = Solid(Shape.BOX, (0.027, HANDLE_THICK_M / 2, 0.016), HANDLE_RGBA, 0.03, at_m=(x, y, z), friction=1.2)
    knob = Solid(Shape.BOX, (0.005, 0.012, 0.016), HANDLE_RGBA, 0.01, at_m=(x - 0.027, y, z))
    slide = Slide((-1.0, 0.0, 0.0), (0.0, TRAVEL_M), damping_n_s_m=8.0, stiction_n=1.5)
    return Prop(
        "drawer", (*tray, handle, knob), is_free=False, parent="cabinet", slide=slide, marks={"handle": GRASP_M}
    )


PROPS = (_cabinet(), _drawer())


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """The middle of the handle's way lies within the width; the cabinet stands where that puts it, turned."""
    (place,) = _resets.places_apart(rng, count=1, width=width, reach_m=reach_m, apart_m=0.0)
    yaw_rad = TURNED_RAD + _resets.any_yaw(rng, width)
    ahead = np.array([math.cos(yaw_rad), math.sin(yaw_rad)])
    at_m = place - ahead * (HANDLE_M[0] - PULL_M / 2)
    return Setup({"cabinet": _resets.standing(at_m, height_m=0.0, yaw_rad=yaw_rad)})


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Take the handle, then pull."""
    return (
        Subtask("grasp", "arm", "drawer", _is_grasped),
        Subtask("pull", "arm", "drawer", lambda world: world.slide_m("drawer") > OPEN_M),
        Subtask("let_go", "arm", "drawer", lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The drawer is open, at rest and let go."""
    is_free = not world.touches("arm", "drawer")
    return bool(world.slide_m("drawer") > OPEN_M and is_free and world.speed_m_s("drawer") < 0.02)


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Take the handle from above with a jaw on either side, pull straight, let go and leave upwards."""
    for _ in range(3):
        grasp = _grasp(world)
        yield (Move("arm", _moves.above(grasp, _moves.APPROACH_M), OPENING_M, is_transit=True),)
        yield (Move("arm", grasp, OPENING_M, speed_share=0.6),)
        yield (Move("arm", grasp, 0.0, settle_s=_moves.CLOSE_S),)
        if _is_grasped(world):
            pulled = grasp.copy()
            pulled[:3, 3] -= world.pose("cabinet")[:3, 0] * (PULL_M - world.slide_m("drawer"))
            yield (Move("arm", pulled, 0.0, speed_share=0.5, settle_s=0.1),)
        here = world.command("arm")
        yield (Move("arm", here, OPENING_M, settle_s=_moves.CLOSE_S),)
        yield (Move("arm", _moves.above(here, _moves.APPROACH_M), OPENING_M),)
        if succeeded(world, setup):
            return


def _is_grasped(world: World) -> bool:
    """The jaws are closed on the handle; not `holds`: it stands firm, and a hair off its middle one jaw is loose."""
    return bool(world.touches("arm", "drawer") and world.opening_m("arm") < 2 * HANDLE_THICK_M)


def _grasp(world: World) -> Pose:
    yaw_rad = _moves.grasp_yaw(world.pose("cabinet"), turns=2)
    return _moves.hand_down(world.mark_m("drawer", "handle"), yaw_rad)
