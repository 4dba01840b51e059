"""How far apart resets lie: shares of a robot's reach, and turns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.world import Pose, Width


class Spread(NamedTuple):
    """What one width allows."""

    x_share: float
    y_share: float
    """Shares of the robot's reach."""
    yaw_rad: float
    """Largest turn to either side."""


SPREADS = {
    # As the prototype of the reference: +-8 x 12 cm, +-14 x 22 cm, +-16 x 28 cm with a reach of 16 x 28 cm.
    Width.D0: Spread(0.5, 0.43, 0.3),
    Width.D1: Spread(0.875, 0.786, 1.5),
    Width.D2: Spread(1.0, 1.0, 3.1),
}
_MEETING_SHARE = 0.3
"""Of the width's area: both hands must reach around what they hold there."""
_TRIES = 1000


def places_apart(
    rng: np.random.Generator, *, count: int, width: Width, reach_m: tuple[float, float], apart_m: float
) -> NDArray[np.float64]:
    """Points on the table, (count, 2) in m, drawn uniformly and at least `apart_m` from each other.

    Raises:
        ValueError: the area is too small for so many things so far apart.
    """
    half = area_m(width, reach_m)
    for _ in range(_TRIES):
        points = rng.uniform(-half, half, (count, 2))
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        if gaps[np.triu_indices(count, 1)].min(initial=np.inf) >= apart_m:
            return points
    raise ValueError(f"{count} things do not fit {apart_m} m apart into {2 * half[0]:.2f} x {2 * half[1]:.2f} m")


def scattered(
    rng: np.random.Generator,
    *,
    radii_m: Sequence[float],
    middle_m: NDArray[np.float64],
    half_m: NDArray[np.float64],
    gap_m: float,
) -> NDArray[np.float64]:
    """Points on the table, (N, 2) in m, drawn uniformly so that discs of these radii lie `gap_m` apart.

    `middle_m` and `half_m` are the middle and the half extents of each one's area, (N, 2).

    Raises:
        ValueError: the areas are too small.
    """
    radii = np.array(radii_m)
    least = radii[:, None] + radii[None] + gap_m
    pairs = np.triu_indices(len(radii), 1)
    for _ in range(_TRIES):
        points = rng.uniform(middle_m - half_m, middle_m + half_m)
        gaps = np.linalg.norm(points[:, None] - points[None], axis=2)
        if (gaps[pairs] >= least[pairs]).all():
            return points
    raise ValueError(f"{len(radii)} things do not fit {gap_m} m apart into their areas")


def area_m(width: Width, reach_m: tuple[float, float]) -> NDArray[np.float64]:
    """Half extents of the area that a width uses of a robot's reach, (2,)."""
    spread = SPREADS[width]
    return np.array([spread.x_share * reach_m[0], spread.y_share * reach_m[1]])


def meeting_mark(rng: np.random.Generator, *, width: Width, reach_m: tuple[float, float]) -> Pose:
    """Where two hands meet: above a mark near the middle of the table."""
    half_m = _MEETING_SHARE * area_m(width, reach_m)
    return standing(rng.uniform(-half_m, half_m), height_m=0.0005, yaw_rad=0.0)


def standing(place_m: Sequence[float] | NDArray[np.float64], *, height_m: float, yaw_rad: float) -> Pose:
    """A pose on the table, turned about the vertical."""
    pose: Pose = np.eye(4)
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:3, 3] = [place_m[0], place_m[1], height_m]
    return pose


def any_yaw(rng: np.random.Generator, width: Width) -> float:
    """A turn that this width allows."""
    return float(rng.uniform(-1, 1)) * SPREADS[width].yaw_rad
