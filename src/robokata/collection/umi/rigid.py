"""Rigid motions as a rotation vector and a shift, a matrix, or a position and a quaternion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import opencv
from robokata.geometry import poses

Array = NDArray[np.float64]


class Rigid(NamedTuple):
    """`a_from_b`: points of b in the frame of a."""

    rotation: Array
    """(3, 3)"""
    shift_m: Array
    """(3,)"""

    def inverse(self) -> Rigid:
        """`b_from_a`."""
        return Rigid(self.rotation.T, -self.rotation.T @ self.shift_m)

    def then(self, other: Rigid) -> Rigid:
        """`a_from_c` of `a_from_b` and `b_from_c`."""
        return Rigid(self.rotation @ other.rotation, self.rotation @ other.shift_m + self.shift_m)

    def as_pose(self) -> Array:
        """x y z (m) and quaternion x y z w, (7,)."""
        return np.concatenate([self.shift_m, poses.quat_xyzw_of(self.rotation)])


def rigid_of(vector: Array, shift_m: Array) -> Rigid:
    """From OpenCV's rotation vector and shift."""
    return Rigid(np.asarray(opencv().Rodrigues(vector)[0], np.float64), np.asarray(shift_m, np.float64).ravel())


def rigid_from_pose(pose: Array) -> Rigid:
    """From x y z (m) and a quaternion x y z w of any length but zero, (7,)."""
    return Rigid(poses.rotation_from_quat_xyzw(pose[3:] / np.linalg.norm(pose[3:])), np.asarray(pose[:3], np.float64))


def vectors_of(quats_xyzw: Array) -> Array:
    """Quaternions (N, 4) as rotation vectors (N, 3), radians: UMI's `rot_axis_angle`."""
    turns = [poses.rotation_vector(poses.rotation_from_quat_xyzw(quat)) for quat in quats_xyzw]
    return np.asarray(turns, np.float64).reshape(-1, 3)


def angles_between(first_xyzw: Array, second_xyzw: Array) -> Array:
    """Angles between rotations (N, 4) and (N, 4), radians, (N,)."""
    # From the chord, not from the dot product: arccos near 1 knows no angle below 1e-8.
    sign = np.where(np.sum(first_xyzw * second_xyzw, axis=-1, keepdims=True) < 0, -1.0, 1.0)
    chord = np.linalg.norm(first_xyzw - sign * second_xyzw, axis=-1)
    return np.asarray(4 * np.arcsin(np.clip(chord / 2, 0, 1)))


def between(first: Array, second: Array, *, at_share: float) -> Array:
    """The pose (7,) at a share 0..1 of the way from one to another: on a line, and about one axis."""
    found = poses.seven_of(poses.between(poses.pose_from_seven(first), poses.pose_from_seven(second), at_share))
    # The sign of the quaternion follows the first: a filled gap is no jump.
    return found if found[3:] @ first[3:] >= 0 else np.concatenate([found[:3], -found[3:]])
