"""Rigid motions as a rotation vector and a shift, a matrix, or a position and a quaternion."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.handheld.board import opencv

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
        """x y z (m) and quaternion x y z w, (7,), w never negative."""
        return np.concatenate([self.shift_m, quat_xyzw_of(self.rotation)])


def rigid_of(vector: Array, shift_m: Array) -> Rigid:
    """From OpenCV's rotation vector and shift."""
    return Rigid(np.asarray(opencv().Rodrigues(vector)[0], np.float64), np.asarray(shift_m, np.float64).ravel())


def rigid_from_pose(pose: Array) -> Rigid:
    """From x y z (m) and a quaternion x y z w of any length but zero, (7,)."""
    x, y, z, w = pose[3:] / np.linalg.norm(pose[3:])
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    return Rigid(rotation, np.asarray(pose[:3], np.float64))


def quat_xyzw_of(rotation: Array) -> Array:
    """Quaternion (4,) of a rotation matrix: the eigenvector of Bar-Itzhack (2000), sound at every angle."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    quat: Array = np.linalg.eigh(k)[1][:, -1]
    return quat if quat[3] >= 0 else -quat


def vectors_of(quats_xyzw: Array) -> Array:
    """Quaternions (N, 4) as rotation vectors (N, 3), radians: UMI's `rot_axis_angle`."""
    quats = quats_xyzw * np.where(quats_xyzw[:, 3:] < 0, -1.0, 1.0)
    half = np.linalg.norm(quats[:, :3], axis=1)
    angle = 2 * np.arctan2(half, quats[:, 3])
    # sin(x)/x at zero is 1: the vector is then twice the quaternion's.
    return np.asarray(quats[:, :3] * np.where(half > 1e-12, angle / np.maximum(half, 1e-12), 2.0)[:, np.newaxis])


def angles_between(first_xyzw: Array, second_xyzw: Array) -> Array:
    """Angles between rotations (N, 4) and (N, 4), radians, (N,)."""
    # From the chord, not from the dot product: arccos near 1 knows no angle below 1e-8.
    sign = np.where(np.sum(first_xyzw * second_xyzw, axis=-1, keepdims=True) < 0, -1.0, 1.0)
    chord = np.linalg.norm(first_xyzw - sign * second_xyzw, axis=-1)
    return np.asarray(4 * np.arcsin(np.clip(chord / 2, 0, 1)))


def between(first: Array, second: Array, share: float) -> Array:
    """The pose (7,) at a share 0..1 of the way: positions on a line, rotations by Shoemake's slerp (1985)."""
    a, b = first[3:], second[3:] if first[3:] @ second[3:] >= 0 else -second[3:]
    angle = float(angles_between(a[np.newaxis], b[np.newaxis])[0]) / 2
    if angle < 1e-9:
        quat = a
    else:
        quat = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    return np.concatenate([first[:3] + share * (second[:3] - first[:3]), quat / np.linalg.norm(quat)])
