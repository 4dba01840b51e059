"""Marker corners to a twentieth of a pixel: intersections of their fitted edges.

OpenCV's `cornerSubPix` looks for a saddle, as a chess board has. The outer corner of a marker is none: blur rounds it,
and the corner is drawn inwards by 0.1 to 0.3 px. An edge has no such bias: its place is found across it at a dozen
points, a line goes through them, and two lines meet in the corner.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import opencv
from robokata.collection.umi.camera import Camera

Array = NDArray[np.float64]
_ALONG = np.linspace(0.12, 0.88, 13)
"""Points along an edge, as shares of it: the corners themselves are round."""
_STEP_PX = 0.5
_REACH_PX = (1.5, 4.0)
"""Across an edge: blur of a moving hand is 2 to 3 px."""
_CELL_SHARE = 0.6
"""Of a cell of the marker: farther in lies the pattern."""
_LEAST_CONTRAST_LEVELS = 25.0
_LEAST_POINTS = 6
_FARTHEST_PX = 2.5
"""A corner that moves more than this from OpenCV's has met another edge: OpenCV's is kept."""


def edge_corners(grey: NDArray[np.uint8], quads: Array, *, cells: int, camera: Camera | None = None) -> Array:
    """Corners (N, 4, 2) of markers of `cells` cells per side, refined; those of bad edges stay as they are.

    With a camera the lines are straight in the world, not in the picture: a fisheye bends an edge of 80 px by 0.2 px.
    """
    if not len(quads):
        return quads
    starts, ends = quads, np.roll(quads, -1, axis=1)
    length = np.linalg.norm(ends - starts, axis=2)
    reach = np.clip(_CELL_SHARE * length.min(axis=1) / cells, *_REACH_PX)
    along = (ends - starts) / np.maximum(length, 1e-9)[..., np.newaxis]
    # Corners go clockwise with y down, so this points out of the marker.
    outward = np.stack([along[..., 1], -along[..., 0]], axis=-1)
    points = starts[:, :, np.newaxis] + (ends - starts)[:, :, np.newaxis] * _ALONG[:, np.newaxis]
    offsets, is_sound = _edges(grey, points, outward, reach)
    places = _straight(points + offsets[..., np.newaxis] * outward[:, :, np.newaxis], camera)
    is_sound &= np.isfinite(places).all(axis=-1)
    met = np.full(quads.shape, np.nan)
    for number in range(len(quads)):
        edges = [_line(places[number, edge], is_sound[number, edge]) for edge in range(4)]
        for corner in range(4):
            found = _meeting(edges[corner - 1], edges[corner])
            met[number, corner] = np.nan if found is None else found
    seen = _bent(met, camera)
    is_near = np.linalg.norm(seen - quads, axis=-1, keepdims=True) <= _FARTHEST_PX
    return np.asarray(np.where(is_near, seen, quads), np.float64)


def _straight(pixels: Array, camera: Camera | None) -> Array:
    """Pixels (..., 2) of the camera as pixels of a pinhole of its focal length."""
    if camera is None:
        return pixels
    rays = camera.rays(pixels.reshape(-1, 2))
    return np.asarray((rays * camera.matrix[0, 0]).reshape(pixels.shape), np.float64)


def _bent(pixels: Array, camera: Camera | None) -> Array:
    """The way back; NaN stays NaN."""
    if camera is None:
        return pixels
    flat = np.nan_to_num(pixels.reshape(-1, 2) / camera.matrix[0, 0])
    seen, _ = camera.project(
        np.concatenate([flat, np.ones((len(flat), 1))], axis=1), np.zeros((3, 1)), np.zeros((3, 1))
    )
    return np.asarray(np.where(np.isnan(pixels), np.nan, seen.reshape(pixels.shape)), np.float64)


def _edges(grey: NDArray[np.uint8], points: Array, outward: Array, reach: Array) -> tuple[Array, NDArray[np.bool_]]:
    """How far outward of each point (N, 4, K) the edge lies, and whether there is one."""
    cv2 = opencv()
    most = float(reach.max())
    steps = np.arange(-most, most + _STEP_PX / 2, _STEP_PX)
    at = points[..., np.newaxis, :] + outward[:, :, np.newaxis, np.newaxis, :] * steps[:, np.newaxis]
    flat = at.reshape(1, -1, 2).astype(np.float32)
    # remap takes at most 32767 columns: rows of as many samples as one edge point has.
    grid = flat.reshape(-1, len(steps), 2)
    seen = cv2.remap(grey, grid[..., 0], grid[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    profile = np.asarray(seen, np.float64).reshape(*points.shape[:3], len(steps))
    rise = np.diff(profile, axis=-1)
    middle = (steps[1:] + steps[:-1]) / 2
    rise = np.where(np.abs(middle) <= reach[:, np.newaxis, np.newaxis, np.newaxis], np.maximum(rise, 0.0), 0.0)
    # What rises by less than a fifth of the steepest step is noise on the flat parts.
    rise = np.where(rise >= 0.2 * rise.max(axis=-1, keepdims=True), rise, 0.0)
    total = rise.sum(axis=-1)
    return (rise * middle).sum(axis=-1) / np.maximum(total, 1e-9), total >= _LEAST_CONTRAST_LEVELS


def _line(places: Array, is_sound: NDArray[np.bool_]) -> tuple[Array, float] | None:
    """Normal (2,) and distance of the line through edge points, without the worst of them; None where they are few."""
    kept = places[is_sound]
    for is_last in (False, True):
        if len(kept) < _LEAST_POINTS:
            return None
        middle = kept.mean(axis=0)
        normal = np.linalg.eigh(np.cov((kept - middle).T))[1][:, 0]
        off = np.abs((kept - middle) @ normal)
        if is_last:
            break
        kept = kept[off <= max(2.5 * float(np.median(off)), 0.1)]
    return normal, float(normal @ middle)


def _meeting(first: tuple[Array, float] | None, second: tuple[Array, float] | None) -> Array | None:
    if first is None or second is None:
        return None
    matrix = np.stack([first[0], second[0]])
    # Edges of a marker seen so obliquely that they are nearly parallel meet nowhere reliable.
    if abs(float(np.linalg.det(matrix))) < 0.2:
        return None
    return np.asarray(np.linalg.solve(matrix, np.array([first[1], second[1]])), np.float64)
