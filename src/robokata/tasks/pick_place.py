"""Put the cube of one colour into the tray of another: language decides which."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from robokata.core.world import Move, Prop, RobotNeed, Setup, Shape, Solid, Subtask, Width, World
from robokata.tasks import _moves, _resets

ROBOT = "franka_panda"
NEEDS = RobotNeed(arms=("arm",), reach_m=(0.16, 0.28))
INSTRUCTIONS = (
    "put the {colour} cube into the {container} tray",
    "place the {colour} block in the {container} tray",
    "pick up the {colour} cube and drop it in the {container} tray",
    "the {colour} cube belongs in the {container} tray",
)
HORIZON_S = 14.0
CUBE_M = 0.036
TRAY_M = 0.12
"""Outer side of a tray."""
WALL_M, FLOOR_M, RIM_M = 0.006, 0.004, 0.032
"""Thickness of wall and floor, and height of the wall."""
GAP_M = 0.04
"""Free space around a cube: an open jaw and its clearance."""
OPEN_M = 0.062
"""Opening with which a cube is approached: 13 mm to either side of it, and 16 mm of jaw fit between neighbours."""
CUBES = {"red": (0.83, 0.15, 0.15, 1.0), "green": (0.16, 0.62, 0.25, 1.0), "blue": (0.15, 0.30, 0.80, 1.0)}
TRAYS = {"yellow": (0.95, 0.80, 0.15, 1.0), "purple": (0.50, 0.22, 0.60, 1.0)}


def _tray(colour: str) -> Prop:
    rgba, half_m = TRAYS[colour], TRAY_M / 2
    wall_m, rim_m = WALL_M / 2, RIM_M / 2
    floor = Solid(Shape.BOX, (half_m, half_m, FLOOR_M / 2), rgba, 0.1, at_m=(0, 0, FLOOR_M / 2))
    walls = [
        Solid(Shape.BOX, (wall_m, half_m, rim_m), rgba, 0.05, at_m=(sign * (half_m - wall_m), 0, rim_m))
        for sign in (-1, 1)
    ]
    walls += [
        Solid(Shape.BOX, (half_m, wall_m, rim_m), rgba, 0.05, at_m=(0, sign * (half_m - wall_m), rim_m))
        for sign in (-1, 1)
    ]
    return Prop(f"{colour}_tray", (floor, *walls), is_free=False, yaw_symmetry=4)


PROPS = (
    *(
        Prop(f"{colour}_cube", (Solid(Shape.BOX, (CUBE_M / 2,) * 3, rgba, 0.04),), yaw_symmetry=4)
        for colour, rgba in CUBES.items()
    ),
    *(_tray(colour) for colour in TRAYS),
)


def reset(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Setup:
    """Three cubes and two trays; on D0 the trays stand to the left and right, else anywhere."""
    radii_m = [_radius_m(prop) for prop in PROPS]
    places = _places(rng, radii_m, width=width, reach_m=reach_m)
    poses = {}
    for number, prop in enumerate(PROPS):
        height_m = CUBE_M / 2 if prop.is_free else 0.0
        poses[prop.name] = _resets.standing(places[number], height_m=height_m, yaw_rad=_resets.any_yaw(rng, width))
    words = {"colour": str(rng.choice(list(CUBES))), "container": str(rng.choice(list(TRAYS)))}
    return Setup(poses, words)


def _places(
    rng: np.random.Generator, radii_m: list[float], *, width: Width, reach_m: tuple[float, float]
) -> np.ndarray:
    half_m = np.tile(_resets.area_m(width, reach_m), (len(radii_m), 1))
    middle_m = np.zeros_like(half_m)
    if width is Width.D0:
        left_m = rng.choice([-1, 1]) * 0.76 * reach_m[1]
        middle_m[len(CUBES) :, 1] = [left_m, -left_m]
        half_m[len(CUBES) :] = 0.02
    return _resets.scattered(rng, radii_m=radii_m, middle_m=middle_m, half_m=half_m, gap_m=GAP_M)


def subtasks(setup: Setup) -> tuple[Subtask, ...]:
    """Take the cube that is named, then let it go in the tray that is named."""
    cube, tray = _named(setup)
    return (
        Subtask("take", "arm", cube, lambda world: _is_lifted(world, cube)),
        Subtask("place", "arm", tray, lambda world: succeeded(world, setup)),
    )


def succeeded(world: World, setup: Setup) -> bool:
    """The cube lies in the tray, at rest and let go; every other cube lies in none."""
    cube, tray = _named(setup)
    others = [f"{colour}_cube" for colour in CUBES if f"{colour}_cube" != cube]
    is_resting = not world.touches("arm", cube) and world.speed_m_s(cube) < 0.05
    if not (is_resting and _lies_in(world, cube, tray)):
        return False
    return not any(_lies_in(world, other, f"{colour}_tray") for other in others for colour in TRAYS)


def demonstrate(world: World, setup: Setup, rng: np.random.Generator) -> Iterator[tuple[Move, ...]]:
    """Take the cube between its neighbours, and let it go close above the tray's floor."""
    cube, tray = _named(setup)
    for _ in range(3):
        pose = world.pose(cube)
        height_m = max(pose[2, 3], CUBE_M / 2 * world.scale(cube))
        grasp = _moves.hand_down(np.array([*pose[:2, 3], height_m]), _free_yaw(world, cube))
        yield from _moves.pick(world, "arm", grasp, open_m=OPEN_M)
        if not _is_lifted(world, cube):
            continue
        held_m = _moves.held_m(world, "arm", cube)
        into_m = world.pose(tray)[:3, 3] + [0, 0, FLOOR_M + CUBE_M / 2 * world.scale(cube) + 0.006]
        into = _moves.carried_to(into_m, _moves.grasp_yaw(world.pose(tray), turns=4), held_m)
        yield (Move("arm", _moves.above(into, 0.08), 0.0, is_transit=True),)
        yield (Move("arm", into, 0.0, speed_share=0.6, settle_s=0.1),)
        yield (Move("arm", into, OPEN_M, settle_s=_moves.CLOSE_S),)
        yield (Move("arm", _moves.above(into, 0.10), OPEN_M),)
        if succeeded(world, setup):
            return


def _named(setup: Setup) -> tuple[str, str]:
    return f"{setup.words['colour']}_cube", f"{setup.words['container']}_tray"


def _is_lifted(world: World, cube: str) -> bool:
    return bool(world.holds("arm", cube) and world.pose(cube)[2, 3] > RIM_M + CUBE_M / 2 * world.scale(cube))


def _lies_in(world: World, cube: str, tray: str) -> bool:
    """The cube's middle is within the walls and below the rim."""
    pose = world.pose(tray)
    x_m, y_m, z_m = pose[:3, :3].T @ (world.pose(cube)[:3, 3] - pose[:3, 3])
    inner_m = TRAY_M / 2 - WALL_M
    return bool(max(abs(x_m), abs(y_m)) < inner_m and FLOOR_M < z_m < RIM_M)


def _free_yaw(world: World, cube: str) -> float:
    """Turn of the hand square to the cube whose jaws stay farthest from everything else."""
    pose = world.pose(cube)
    nearest_rad = _moves.grasp_yaw(pose, turns=4)
    others = [(world.pose(prop.name)[:2, 3] - pose[:2, 3], _radius_m(prop)) for prop in PROPS if prop.name != cube]

    def room_m(yaw_rad: float) -> float:
        # Jaws come down at both sides along the tip's y axis, 4 cm from the cube's middle.
        jaw = 0.04 * np.array([math.sin(yaw_rad), -math.cos(yaw_rad)])
        return min(float(np.linalg.norm(at_m - sign * jaw)) - radius_m for at_m, radius_m in others for sign in (-1, 1))

    turned_rad = nearest_rad - math.copysign(math.pi / 2, nearest_rad)
    # The nearer turn unless a jaw (half diagonal 13 mm) lacks its room there.
    return nearest_rad if room_m(nearest_rad) > 0.02 else max((nearest_rad, turned_rad), key=room_m)


def _radius_m(prop: Prop) -> float:
    """Of the disc that stands for a prop: a cube's half diagonal; for a tray between half side and half diagonal."""
    return CUBE_M / 2 * 1.41 if prop.is_free else TRAY_M / 2 * 1.2
