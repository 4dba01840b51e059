"""Rotations of whole arrays at once: quaternions, matrices and the six numbers that a network can predict.

Six numbers are the first two columns of the matrix, after Zhou et al., On the Continuity of Rotation Representations in
Neural Networks (2019): unlike quaternions they have no two names for one rotation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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


def quat_xyzw_of(rotation: Array) -> Array:
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
