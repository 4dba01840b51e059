"""Whether a robot is its own mirror image, derived from its kinematic model and verified by forward kinematics.

Let M mirror space in a plane through the model's origin. By the product of exponentials (Murray, Li and Sastry 1994,
section 3.2.2) a tip is at exp(x1 q1) ... exp(xn qn) T. Mirrored, an axis of direction a through p becomes one of
direction -M a through M p, because a turn is an axial vector; a slide keeps M a. Where that line is again a joint's,
the joint turns the same way (+1) or the other (-1): joint values q, of which q0 is a pose of reference, become
q0' + s (q - q0). The pose of reference is the robot's home; a robot whose home is not its own mirror image is refused.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Arm, Embodiment
from robokata.core.errors import Unsupported
from robokata.geometry.kinematics import Axis, Placed, placed

PLANES = {"y": np.diag([1.0, -1.0, 1.0]), "x": np.diag([-1.0, 1.0, 1.0])}
"""Mirror planes by the coordinate that changes its sign: left and right of a robot that looks along x, or along y."""
PICTURE_FLIP = np.diag([-1.0, 1.0, 1.0])
"""What a mirrored picture is to a camera's axes: left and right change places."""
WITHIN_M, WITHIN_RAD = 1e-4, 1e-3
"""A tenth of the repeatability of such arms: models are written with six digits."""
_TRIED = 32
"""Random joint values at which the symmetry is verified."""


class Twin(NamedTuple):
    """What one arm becomes in the mirror."""

    arm: str
    """The arm that does the mirrored motion: itself, or its partner."""
    signs: NDArray[np.float64]
    """(dof,) +1 or -1."""
    offsets_rad: NDArray[np.float64]
    """(dof,): mirrored joints are signs * joints + offsets."""


class Symmetry(NamedTuple):
    """How a robot is its own mirror image."""

    plane: str
    """Coordinate that changes its sign: `y` or `x`."""
    hand: str
    """Coordinate of the tips' own frames that changes its sign."""
    twins: dict[str, Twin]
    cameras: dict[str, str]
    """Camera -> the camera that sees the mirrored picture; those that none does are absent."""

    @property
    def space(self) -> NDArray[np.float64]:
        """The mirror of the world, (3, 3)."""
        return PLANES[self.plane]

    @property
    def tool(self) -> NDArray[np.float64]:
        """The mirror of a tip's own frame, (3, 3)."""
        return PLANES[self.hand]


@functools.lru_cache(maxsize=8)
def symmetry_of(robot: Embodiment) -> Symmetry:
    """The mirror symmetry of a robot.

    Raises:
        Unsupported: it has none, or its model does not tell; the message says what is in the way.
    """
    if robot.model is None or not robot.arms:
        raise Unsupported(f"robot {robot.name} has no kinematic model: whether it is its own mirror image is unknown.")
    found = [_derived(robot, *way) for way in itertools.product(PLANES, PLANES, _pairings(robot))]
    symmetries = [each for each in found if isinstance(each, Symmetry)]
    if not symmetries:
        flaw = min(each for each in found if isinstance(each, _Flaw))
        raise Unsupported(f"robot {robot.name} is not its own mirror image about its home pose: {flaw.reason}.")
    # Two arms that face each other are alike under two mirrors; the cameras say which one people mean.
    return max(symmetries, key=lambda symmetry: len(symmetry.cameras))


class _Flaw(NamedTuple):
    """What is in the way: of several, the one that came latest is the most telling."""

    earliness: int
    reason: str


def _pairings(robot: Embodiment) -> list[dict[str, Arm]]:
    """Which arm does the mirrored motion of which: each its own, or two each other's."""
    alone = {arm.name: arm for arm in robot.arms}
    if len(robot.arms) != 2:
        return [alone]
    left, right = robot.arms
    return [alone, {left.name: right, right.name: left}]


def _derived(robot: Embodiment, plane: str, hand: str, pairing: dict[str, Arm]) -> Symmetry | _Flaw:
    mirror = PLANES[plane]
    at_home = placed(robot.model or "", _home(robot))
    twins: dict[str, Twin] = {}
    for arm in robot.arms:
        partner = pairing[arm.name]
        signs = _signs(arm, partner, at_home, mirror)
        if isinstance(signs, str):
            return _Flaw(2, signs)
        twins[arm.name] = Twin(partner.name, signs, np.array(partner.home) - signs * np.array(arm.home))
    symmetry = Symmetry(plane, hand, twins, {})
    flaw = _verified(robot, symmetry)
    if flaw is not None:
        return flaw
    symmetry.cameras.update(_cameras(robot, symmetry))
    return symmetry


def _signs(arm: Arm, partner: Arm, at_home: Placed, mirror: NDArray[np.float64]) -> NDArray[np.float64] | str:
    """Sign of each joint, or the joint whose axis has no counterpart at the home pose."""
    signs = []
    for mine, other in zip(arm.joints, partner.joints, strict=True):
        image, axis = _mirrored(at_home.axes[mine], mirror), at_home.axes[other]
        along = float(image.direction @ axis.direction)
        apart_m = np.linalg.norm(np.cross(image.point_m - axis.point_m, axis.direction))
        if 1 - abs(along) > WITHIN_RAD or apart_m > WITHIN_M or image.is_slide != axis.is_slide:
            return f"the axis of {mine} at home has no mirror image among its joints"
        signs.append(np.sign(along))
    return np.array(signs)


def _mirrored(axis: Axis, mirror: NDArray[np.float64]) -> Axis:
    direction = mirror @ axis.direction
    return Axis(mirror @ axis.point_m, direction if axis.is_slide else -direction, axis.is_slide)


def _home(robot: Embodiment) -> dict[str, float]:
    return {joint: value for arm in robot.arms for joint, value in zip(arm.joints, arm.home, strict=True)}


def _verified(robot: Embodiment, symmetry: Symmetry) -> _Flaw | None:
    """Forward kinematics at random joint values: every tip and every jaw must be where the mirror says."""
    rng = np.random.default_rng(0)
    for _ in range(_TRIED):
        one, other = _pair(robot, symmetry, rng)
        for arm in robot.arms:
            partner = next(each for each in robot.arms if each.name == symmetry.twins[arm.name].arm)
            tip, image = one.sites[arm.tip], other.sites[partner.tip]
            wanted_m = symmetry.space @ tip[:3, 3]
            wanted = symmetry.space @ tip[:3, :3] @ symmetry.tool
            off_m, off = np.linalg.norm(image[:3, 3] - wanted_m), np.abs(image[:3, :3] - wanted).max()
            if off_m > WITHIN_M or off > WITHIN_RAD:
                return _Flaw(
                    1, f"mirrored joints of arm {arm.name} bring its tip {1000 * off_m:.1f} mm beside the image"
                )
            flaw = _jaws(arm, partner, one, other, symmetry)
            if flaw is not None:
                return _Flaw(0, flaw)
    return None


def _pair(robot: Embodiment, symmetry: Symmetry, rng: np.random.Generator) -> tuple[Placed, Placed]:
    joints: dict[str, float] = {}
    mirrored: dict[str, float] = {}
    limits = {joint.name: (joint.lower or -1.0, joint.upper or 1.0) for joint in robot.joints}
    by_name = {arm.name: arm for arm in robot.arms}
    for arm in robot.arms:
        values = np.array([rng.uniform(*limits[name]) for name in arm.joints])
        joints |= dict(zip(arm.joints, values, strict=True))
        twin = symmetry.twins[arm.name]
        image = twin.signs * values + twin.offsets_rad
        mirrored |= dict(zip(by_name[twin.arm].joints, image, strict=True))
    return placed(robot.model or "", joints), placed(robot.model or "", mirrored)


def _jaws(arm: Arm, partner: Arm, one: Placed, other: Placed, symmetry: Symmetry) -> str | None:
    """Jaws and palm of a hand must mirror onto each other: a fixed jaw beside a moving one does not."""
    mine = [pose[:3, 3] for name, pose in one.geoms.items() if name.startswith(f"{arm.name}/")]
    theirs = [pose[:3, 3] for name, pose in other.geoms.items() if name.startswith(f"{partner.name}/")]
    for at_m in mine:
        nearest_m = min((float(np.linalg.norm(symmetry.space @ at_m - each)) for each in theirs), default=np.inf)
        if nearest_m > WITHIN_M:
            return (
                f"a part of the hand of arm {arm.name} has no mirror image ({1000 * nearest_m:.1f} mm to the nearest)"
            )
    return None


def _cameras(robot: Embodiment, symmetry: Symmetry) -> dict[str, str]:
    """Cameras that see each other's mirrored pictures, at every pose that is tried."""
    rng = np.random.default_rng(1)
    pairs = [_pair(robot, symmetry, rng) for _ in range(8)]
    out = {}
    for camera in robot.cameras:
        for other in robot.cameras:
            if all(camera in one.cameras and _sees(symmetry, one, two, camera, other) for one, two in pairs):
                out[camera] = other
    return out


def _sees(symmetry: Symmetry, one: Placed, two: Placed, camera: str, other: str) -> bool:
    pose, image = one.cameras[camera], two.cameras[other]
    off_m = np.linalg.norm(symmetry.space @ pose[:3, 3] - image[:3, 3])
    off = np.abs(symmetry.space @ pose[:3, :3] @ PICTURE_FLIP - image[:3, :3]).max()
    return bool(off_m <= WITHIN_M and off <= WITHIN_RAD)
