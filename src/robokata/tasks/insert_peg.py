"""Insert the peg into the socket: one hand holds the socket, the other the peg."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Pose, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.geometry.poses import inverse, pose_of, yaw_rotation
from robokata.tasks import _moves, _resets

ROBOT = "viperx_bimanual"
NEEDS = RobotNeed(arms=("left", "right"), reach_m=(0.08, 0.15), joints=6)
INSTRUCTIONS = (
    "insert the red peg into the blue socket",
    "put the red peg into the hole of the blue block",
    "hold the blue socket with the left hand and push the red peg into it with the right",
    "plug the peg into the socket",
)
HORIZON_S = 22.0
PEG_M, PEG_LENGTH_M = 0.02, 0.09
"""Side and length of the peg."""
CLEARANCE_M = 0.0035
"""The hole is so much wider than the peg."""
WALL_M = 0.008
SOCKET_LENGTH_M = 0.06
OUTER_M = PEG_M + CLEARANCE_M + 2 * WALL_M
IN_M = 0.03
"""Depth at which the peg counts as inserted: half the socket."""
PUSHED_M = 0.05
"""Depth to which the expert pushes: the peg's middle is inside, so that it stays when it is let go."""
GRASP_M = 0.025
"""Where the right hand takes the peg, from its middle outwards."""
MEETING_M = 0.20
LIFTED_M = 0.08
ASIDE_M = 0.13
"""Socket and peg start so far to the left and right of the middle."""


def _socket() -> Prop:
    rgba, half_m = (0.15, 0.30, 0.80, 1.0), SOCKET_LENGTH_M / 2
    at_m, wall_m, outer_m = (OUTER_M - WALL_M) / 2, WALL_M / 2, OUTER_M / 2
    walls = [Solid(Shape.BOX, (half_m, outer_m, wall_m), rgba, 0.015, at_m=(0, 0, sign * at_m)) for sign in (-1, 1)]
    walls += [Solid(Shape.BOX, (half_m, wall_m, outer_m), rgba, 0.015, at_m=(0, sign * at_m, 0)) for sign in (-1, 1)]
    return Prop("socket", tuple(walls), yaw_symmetry=2, marks={"mouth": (half_m, 0.0, 0.0)})


PROPS = (
    _socket(),
    Prop(
        "peg",
        (Solid(Shape.BOX, (PEG_LENGTH_M / 2, PEG_M / 2, PEG_M / 2), (0.83, 0.15, 0.15, 1.0), 0.03, friction=0.6),),
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
    """The socket on the left side, the peg on the right, both turned; the mark near the middle."""
    half_m = _resets.area_m(width, reach_m)
    socket, peg = rng.uniform(-half_m, half_m, (2, 2)) + np.array([[-ASIDE_M, 0], [ASIDE_M, 0]])
    return Setup(
        {
            "socket": _resets.standing(socket, height_m=OUTER_M / 2, yaw_rad=_resets.any_yaw(rng, width)),
            "peg": _resets.standing(peg, height_m=PEG_M / 2, yaw_rad=_resets.any_yaw(rng, width)),
            "mark": _resets.meeting_mark(rng, width=width, reach_m=reach_m),
        }
    )


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Both hands take their part in step; the left one presents the socket; the right one inserts and lets go."""
    return (
        Subtask("take_socket", "left", "socket", lambda world: _has(world, "left", "socket"), beside="take_peg"),
        Subtask("take_peg", "right", "peg", lambda world: _has(world, "right", "peg"), beside="take_socket"),
        Subtask("present", "left", "mark", _is_presented),
        Subtask("insert", "right", "socket", _is_inserted, after=("present",)),
        Subtask("let_go", "right", "socket", lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The peg stays in the socket, which the left hand holds in the air, and the right hand has let go."""
    is_let_go = not world.touches("right", "peg") and _has(world, "left", "socket")
    return bool(is_let_go and _is_inserted(world) and world.speed_m_s("peg") < 0.05)


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Take both, present the socket, line the peg up with the hole, look again, push, let go."""
    for _ in range(4):
        if not _is_inserted(world):
            hands = [] if _has(world, "left", "socket") else [_pick(world, "left", "socket")]
            hands += [] if _has(world, "right", "peg") else [_pick(world, "right", "peg")]
            yield from _moves.together(*hands)
            if not (_has(world, "left", "socket") and _has(world, "right", "peg")):
                continue
            yield from _present(world)
            yield from _insert(world)
        if _is_inserted(world):
            yield from _let_go(world)
        if succeeded(world, setup):
            return


def _pick(world: World, arm: str, prop: str) -> Iterator[tuple[Move, ...]]:
    """Square to its length: the socket at its middle, the peg at its outer end."""
    pose = world.pose(prop)
    yaw_rad = _moves.grasp_yaw(pose, turns=2, toward_rad=0.0 if arm == "left" else math.pi)
    at_m = pose[:3, 3].copy()
    if prop == "peg":
        # The hand's x axis points back to the middle of the table, so the outer end is behind it.
        at_m -= GRASP_M * np.array([math.cos(yaw_rad), math.sin(yaw_rad), 0])
    at_m[2] = max(at_m[2], 0.013)  # jaws reach 8.5 mm below the tip
    yield from _moves.pick(world, arm, _moves.hand_down(at_m, yaw_rad))


def _present(world: World) -> Iterator[tuple[Move, ...]]:
    """The socket above the mark and a little to the left, its hole toward the right hand."""
    at_m = world.pose("mark")[:3, 3] + [-SOCKET_LENGTH_M / 2 - 0.01, 0, MEETING_M]
    left = _moves.carried_to(at_m, 0.0, _moves.held_m(world, "left", "socket"))
    yield (Move("left", left, 0.0, is_transit=True, settle_s=0.2),)


def _insert(world: World) -> Iterator[tuple[Move, ...]]:
    """To 3 cm before the mouth, nearer, look once more where the peg is, and push in two strokes."""
    for depth_m, share in ((-0.04, 1.0), (-0.015, 0.6), (-0.008, 0.5), (0.02, 0.3), (PUSHED_M, 0.3)):
        goal = _peg_goal(world, depth_m)
        tip = _moves.corrected(world, "right", "peg", goal)
        yield (Move("right", tip, 0.0, speed_share=share, settle_s=0.15, is_transit=depth_m == -0.04),)


def _let_go(world: World) -> Iterator[tuple[Move, ...]]:
    here, wide = world.command("right"), world.max_opening_m("right")
    yield (Move("right", here, wide, settle_s=_moves.CLOSE_S),)
    yield (Move("right", _moves.above(here, 0.08), wide, settle_s=0.2),)


def _facing(world: World) -> Pose:
    """The socket's pose, turned so that its x axis leaves the mouth that faces the right arm."""
    socket = world.pose("socket")
    to_right_m = world.pose("peg")[:3, 3] - socket[:3, 3]
    return (
        socket if socket[:3, 0] @ to_right_m > 0 else np.asarray(socket @ pose_of(np.zeros(3), yaw_rotation(math.pi)))
    )


def _peg_goal(world: World, depth_m: float) -> Pose:
    """Where the peg is when it is so deep in the socket, turned as little as may be."""
    middle_m = SOCKET_LENGTH_M / 2 - depth_m + PEG_LENGTH_M / 2
    goal = _facing(world) @ pose_of(np.array([middle_m, 0, 0]))
    if goal[:3, 0] @ world.pose("peg")[:3, 0] < 0:
        goal = goal @ pose_of(np.zeros(3), yaw_rotation(math.pi))
    return np.asarray(goal)


def _has(world: World, arm: str, prop: str) -> bool:
    return bool(world.holds(arm, prop) and world.pose(prop)[2, 3] > LIFTED_M)


def _is_presented(world: World) -> bool:
    """Above the mark within 6 cm, its hole along the line between the arms within 15 degrees, and still."""
    socket = world.pose("socket")
    offset_m = socket[:3, 3] - world.pose("mark")[:3, 3]
    is_there = math.hypot(offset_m[0], offset_m[1]) < 0.06 and offset_m[2] > MEETING_M - 0.03
    is_level = abs(socket[1, 0]) < 0.26 and world.speed_m_s("socket") < 0.1
    return bool(is_there and is_level and _has(world, "left", "socket"))


def _is_inserted(world: World) -> bool:
    """The peg's end is deep enough in the hole, and the peg within the hole's clearance."""
    peg = inverse(_facing(world)) @ world.pose("peg")
    end_m = peg[:3, 3] - np.sign(peg[0, 0]) * PEG_LENGTH_M / 2 * peg[:3, 0]
    depth_m = SOCKET_LENGTH_M / 2 - end_m[0]
    return bool(IN_M < depth_m < SOCKET_LENGTH_M + 0.02 and math.hypot(end_m[1], end_m[2]) < CLEARANCE_M + 0.001)
