"""Rotations and rigid transforms: matrices `a_from_b`, rotation vectors, quaternions, and whole arrays of them.

A plural name takes an array of rotations. Singular ones compute with Python's own floats, five to ten times as fast for
one rotation: kinematics calls them thousands of times per second.

Rotation logarithm and exponential after Murray, Li and Sastry, A Mathematical Introduction to Robotic Manipulation
(1994), section 2.2; quaternions after Shepperd, J. Guidance and Control 1 (1978) 223. Six numbers are the
first two columns of the matrix, after Zhou et al., On the Continuity of Rotation Representations in Neural Networks
(2019): unlike quaternions they have no two names for one rotation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pose = NDArray[np.float64]
"""A rigid transform, (4, 4)."""
Rotation = NDArray[np.float64]
"""A rotation matrix, (3, 3)."""
Array = NDArray[np.float64]

_SMALL_ANGLE_RAD = 1e-9


def pose_of(position_m: ArrayLike, rotation: Rotation | None = None) -> Pose:
    """The transform with this translation (3,) and rotation (3, 3), identity where none is given."""
    pose = np.eye(4)
    if rotation is not None:
        pose[:3, :3] = rotation
    pose[:3, 3] = position_m
    return pose


def inverse(pose: Pose) -> Pose:
    """`b_from_a` of `a_from_b`."""
    rotation = pose[:3, :3].T
    return pose_of(-rotation @ pose[:3, 3], rotation)


def yaw_rotation(yaw_rad: float) -> Rotation:
    """Rotation about the vertical."""
    c, s = math.cos(yaw_rad), math.sin(yaw_rad)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def yaw_of(rotation: Rotation) -> float:
    """Angle in radians by which a rotation turns the x axis about the vertical."""
    return math.atan2(rotation[1, 0], rotation[0, 0])


def wrapped_rad(angle_rad: float, *, period_rad: float = 2 * math.pi) -> float:
    """The same angle modulo a period, in [-period/2, period/2)."""
    return (angle_rad + period_rad / 2) % period_rad - period_rad / 2


def rotation_vector(rotation: Rotation) -> NDArray[np.float64]:
    """Axis times angle in radians, (3,), of a rotation; the angle lies in [0, pi]."""
    sine = 0.5 * np.array(
        [rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]]
    )
    cosine = 0.5 * (float(rotation[0, 0] + rotation[1, 1] + rotation[2, 2]) - 1.0)
    norm = math.sqrt(float(sine @ sine))
    angle_rad = math.atan2(norm, cosine)
    if norm > 1e-6:
        return np.asarray(sine * (angle_rad / norm))
    if cosine > 0:
        return np.asarray(sine)
    # At half a turn the antisymmetric part vanishes: the axis is the column of R + I of largest length.
    column = (rotation + np.eye(3))[:, int(np.argmax(np.diag(rotation)))]
    return np.asarray(column / np.linalg.norm(column) * angle_rad)


def rotation_from_vector(vector: ArrayLike) -> Rotation:
    """The rotation of an axis-times-angle vector (3,), radians (Rodrigues)."""
    x, y, z = (float(part) for part in np.asarray(vector))
    angle_rad = math.sqrt(x * x + y * y + z * z)
    if angle_rad < _SMALL_ANGLE_RAD:
        return np.array([[1.0, -z, y], [z, 1.0, -x], [-y, x, 1.0]])
    x, y, z = x / angle_rad, y / angle_rad, z / angle_rad
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    d = 1 - c
    return np.array(
        [
            [c + x * x * d, x * y * d - z * s, x * z * d + y * s],
            [y * x * d + z * s, c + y * y * d, y * z * d - x * s],
            [z * x * d - y * s, z * y * d + x * s, c + z * z * d],
        ]
    )


def angle_between_rad(a: Rotation, b: Rotation) -> float:
    """Angle of the smallest rotation that turns `a` into `b`, in [0, pi]."""
    vector = rotation_vector(b @ a.T)
    return math.sqrt(float(vector @ vector))


def quat_xyzw_of(rotation: Rotation) -> NDArray[np.float64]:
    """Unit quaternion (x, y, z, w) of a rotation, w >= 0."""
    m = rotation
    trace = float(m[0, 0] + m[1, 1] + m[2, 2])
    choices = (m[0, 0], m[1, 1], m[2, 2], trace)
    largest = int(np.argmax(choices))
    if largest == 3:
        quat = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], 1 + trace])
    else:
        i, j, k = largest, (largest + 1) % 3, (largest + 2) % 3
        quat = np.empty(4)
        quat[i] = 1 - trace + 2 * m[i, i]
        quat[j] = m[j, i] + m[i, j]
        quat[k] = m[k, i] + m[i, k]
        quat[3] = m[k, j] - m[j, k]
    quat /= np.linalg.norm(quat)
    return -quat if quat[3] < 0 else quat


def rotation_from_quat_xyzw(quat_xyzw: ArrayLike) -> Rotation:
    """The rotation of a quaternion (x, y, z, w), which need not be of length one."""
    x, y, z, w = (float(part) for part in np.asarray(quat_xyzw))
    n = 2.0 / (x * x + y * y + z * z + w * w)
    return np.array(
        [
            [1 - n * (y * y + z * z), n * (x * y - z * w), n * (x * z + y * w)],
            [n * (x * y + z * w), 1 - n * (x * x + z * z), n * (y * z - x * w)],
            [n * (x * z - y * w), n * (y * z + x * w), 1 - n * (x * x + y * y)],
        ]
    )


def continuous_quats(quats: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same rotations with signs that never jump, (T, 4): q and -q are one rotation.

    The first one's largest component is positive. A sign chosen by w >= 0 flips at every half turn, and a hand that
    points down is one.
    """
    if not len(quats):
        return quats
    signs = np.ones(len(quats))
    signs[1:] = np.where((quats[1:] * quats[:-1]).sum(axis=1) < 0, -1.0, 1.0)
    first = quats[0, np.argmax(np.abs(quats[0]))]
    return quats * (np.cumprod(signs) * (1.0 if first >= 0 else -1.0))[:, None]


def pose_from_seven(seven: ArrayLike) -> Pose:
    """The transform written as x, y, z (m) and quaternion x, y, z, w: (7,)."""
    numbers = np.asarray(seven, dtype=np.float64)
    return pose_of(numbers[:3], rotation_from_quat_xyzw(numbers[3:7]))


def seven_of(pose: Pose) -> NDArray[np.float64]:
    """A transform as x, y, z (m) and quaternion x, y, z, w, w >= 0: (7,)."""
    return np.concatenate([pose[:3, 3], quat_xyzw_of(pose[:3, :3])])


def between(start: Pose, end: Pose, done_share: float) -> Pose:
    """The pose at `done_share` (0..1) of the way: straight in position, one constant axis in rotation."""
    turn = rotation_vector(end[:3, :3] @ start[:3, :3].T)
    rotation = rotation_from_vector(done_share * turn) @ start[:3, :3]
    return pose_of(start[:3, 3] + done_share * (end[:3, 3] - start[:3, 3]), rotation)


def nearest_turn(rotation: Rotation, target: Rotation, turns: Sequence[Rotation]) -> Rotation:
    """The one of `turns` (rotations in the body's own frame that leave it looking the same) that brings
    `rotation` nearest to `target`."""
    return min(turns, key=lambda turn: angle_between_rad(rotation @ turn, target))


def rotations_from_quat_xyzw(quat_xyzw: Array) -> Array:
    """Rotation matrices (..., 3, 3) of quaternions (..., 4), which need not be of length one; NaN stays NaN."""
    x, y, z, w = np.moveaxis(np.asarray(quat_xyzw, np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = 2.0 / (x * x + y * y + z * z + w * w)
    rows = [
        [1 - n * (y * y + z * z), n * (x * y - z * w), n * (x * z + y * w)],
        [n * (x * y + z * w), 1 - n * (x * x + z * z), n * (y * z - x * w)],
        [n * (x * z - y * w), n * (y * z + x * w), 1 - n * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def quats_xyzw_of(rotation: Array) -> Array:
    """Unit quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3).

    The eigenvector form of Bar-Itzhack (2000), J. Guidance 23 (1085), reduced by Shepperd's choice of the largest term.
    """
    m = np.asarray(rotation, np.float64)
    xx, yy, zz = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Each row is 4 q_i q: the largest of the four has the least rounding error.
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    d, e, f = m[..., 1, 0] + m[..., 0, 1], m[..., 0, 2] + m[..., 2, 0], m[..., 2, 1] + m[..., 1, 2]
    candidates = np.stack(
        [
            np.stack([1 + xx - yy - zz, d, e, a], axis=-1),
            np.stack([d, 1 - xx + yy - zz, f, b], axis=-1),
            np.stack([e, f, 1 - xx - yy + zz, c], axis=-1),
            np.stack([a, b, c, 1 + xx + yy + zz], axis=-1),
        ],
        axis=-2,
    )
    largest = np.argmax(np.stack([xx, yy, zz, xx + yy + zz], axis=-1), axis=-1)
    quat = np.take_along_axis(candidates, largest[..., None, None], axis=-2)[..., 0, :]
    quat = quat / np.linalg.norm(quat, axis=-1, keepdims=True)
    return np.asarray(np.where(quat[..., 3:] < 0, -quat, quat))


def six_of(rotation: Array) -> Array:
    """The first two columns of rotation matrices (..., 3, 3), as (..., 6)."""
    return np.concatenate([rotation[..., :, 0], rotation[..., :, 1]], axis=-1)


def rotations_from_six(six: Array) -> Array:
    """Rotation matrices (..., 3, 3) nearest in the sense of Gram-Schmidt to six numbers (..., 6)."""
    first = _unit(six[..., :3])
    second = _unit(six[..., 3:] - np.sum(first * six[..., 3:], axis=-1, keepdims=True) * first)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def rotated(rotation: Array, vector: Array) -> Array:
    """Vectors (..., 3) turned by rotations (..., 3, 3)."""
    return np.asarray(np.einsum("...ij,...j->...i", rotation, vector))


def turned_back(rotation: Array, vector: Array) -> Array:
    """Vectors (..., 3) turned by the inverse of rotations (..., 3, 3)."""
    return np.asarray(np.einsum("...ji,...j->...i", rotation, vector))


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.maximum(np.linalg.norm(vector, axis=-1, keepdims=True), 1e-9))


def rotation_vectors(quats_xyzw: Array) -> Array:
    """Rotation vectors (N, 3), axis times angle in radians, of quaternions (N, 4)."""
    turns = [rotation_vector(rotation_from_quat_xyzw(quat)) for quat in quats_xyzw]
    return np.asarray(turns, np.float64).reshape(-1, 3)


def angles_between_rad(first_xyzw: Array, second_xyzw: Array) -> Array:
    """Angles (N,) between unit quaternions (N, 4) and (N, 4)."""
    # From the chord, not from the dot product: arccos near 1 resolves no angle below 1e-8.
    sign = np.where(np.sum(first_xyzw * second_xyzw, axis=-1, keepdims=True) < 0, -1.0, 1.0)
    chord = np.linalg.norm(first_xyzw - sign * second_xyzw, axis=-1)
    return np.asarray(4 * np.arcsin(np.clip(chord / 2, 0, 1)))


def seven_between(first: Array, second: Array, *, at_share: float) -> Array:
    """The pose (7,) at a share 0..1 of the way from one to another: on a line, and about one axis."""
    found = seven_of(between(pose_from_seven(first), pose_from_seven(second), at_share))
    # The sign of the quaternion follows the first: a filled gap is no jump.
    return found if found[3:] @ first[3:] >= 0 else np.concatenate([found[:3], -found[3:]])


class Rigid(NamedTuple):
    """`a_from_b` as a rotation and a shift: points of b in the frame of a."""

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
        return np.concatenate([self.shift_m, quat_xyzw_of(self.rotation)])


def rigid_from_seven(seven: Array) -> Rigid:
    """From x y z (m) and a quaternion x y z w of any length but zero, (7,)."""
    quat_xyzw = seven[3:] / np.linalg.norm(seven[3:])
    return Rigid(rotation_from_quat_xyzw(quat_xyzw), np.asarray(seven[:3], np.float64))
