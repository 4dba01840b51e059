"""Camera pose from known points and their pixels (PnP)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import Board, opencv
from robokata.collection.umi.camera import Camera
from robokata.collection.umi.sight import Sight
from robokata.geometry.poses import Rigid

Array = NDArray[np.float64]
_HUBER_PX = 1.0
"""Beyond it a residual counts linearly (Huber 1964): corners of a sharp picture are right to 0.1 px, a corner that an
edge or a shadow pulls away is wrong by several."""
_OUTLIER_PX, _OUTLIER_TIMES = 1.0, 4.0
"""A marker is left out when a corner is off by more than a pixel and more than four times what the median marker is."""
_ROUNDS = 3
"""The worst marker bends the first fit; behind it others may show."""
_LEAST_ERROR_PX = 0.1
"""What a corner is worth at best: a fit of four points leaves no error of its own, and is not exact for that."""
_STEPS = 12
"""Of Gauss-Newton; it has converged after 4 to 6."""


class Points(NamedTuple):
    """Points on a thing, and where they are seen."""

    places_m: Array
    """(N, 3)"""
    pixels: Array
    """(N, 2)"""
    owners: NDArray[np.int64]
    """(N,): the marker that a point belongs to (points of one marker are right or wrong together)."""

    def only(self, kept: NDArray[np.bool_]) -> Points:
        """Some of the points."""
        return Points(self.places_m[kept], self.pixels[kept], self.owners[kept])


def rigid_of(vector: Array, shift_m: Array) -> Rigid:
    """From OpenCV's rotation vector and shift."""
    return Rigid(np.asarray(opencv().Rodrigues(vector)[0], np.float64), np.asarray(shift_m, np.float64).ravel())


class TagPose(NamedTuple):
    """A thing in front of the camera."""

    camera_from_thing: Rigid
    used: tuple[int, ...]
    """Markers (or inner corners) that the pose comes from."""
    error_px: float
    """RMS distance between where the points are seen and where this pose puts them."""
    covariance: Array
    """(6, 6) of rotation vector (rad) and shift (m), as the points' geometry and the error give it."""

    def spread_m(self, camera_from_tip: Rigid) -> float:
        """Standard deviation of the tip's place on the thing, metres: few, far or crowded points make it large."""
        vector = np.asarray(opencv().Rodrigues(self.camera_from_thing.rotation)[0], np.float64).ravel()
        shift, tip = self.camera_from_thing.shift_m, camera_from_tip.shift_m
        columns = []
        for axis in range(3):
            turn = np.zeros(3)
            turn[axis] = 1e-6
            turned = rigid_of(vector + turn, shift).rotation - rigid_of(vector - turn, shift).rotation
            columns.append(turned.T @ (tip - shift) / 2e-6)
        jacobian = np.concatenate([np.stack(columns, axis=1), -self.camera_from_thing.rotation.T], axis=1)
        return float(np.sqrt(max(np.trace(jacobian @ self.covariance @ jacobian.T), 0.0)))


def board_points(board: Board, sight: Sight) -> Points:
    """The board's points in a picture: inner corners of a ChArUco board where four are seen, else marker corners."""
    if len(sight.chess) >= 4:
        numbers = sorted(sight.chess)
        return Points(board.chess_m[numbers], np.stack([sight.chess[n] for n in numbers]), np.asarray(numbers))
    names = sight.board_markers(board)
    places = [board.corners_m[name] for name in names]
    pixels = [sight.markers[name] for name in names]
    return Points(
        np.concatenate([np.empty((0, 3)), *places]),
        np.concatenate([np.empty((0, 2)), *pixels]),
        np.repeat(np.asarray(names, np.int64), 4),
    )


def locate_board(camera: Camera, points: Points) -> TagPose | None:
    """The pose of a board, without the few markers that contradict the others: half hidden, their corners are wrong.

    No more than a third is left out: where more disagree, it is the board that is another one.
    """
    found = locate(camera, points)
    for _ in range(_ROUNDS):
        if found is None:
            return None
        missed = np.linalg.norm(points.pixels - _seen(camera, points, found), axis=1)
        names = np.unique(points.owners)
        worst = np.asarray([missed[points.owners == name].max() for name in names])
        wrong = names[worst > max(_OUTLIER_PX, _OUTLIER_TIMES * float(np.median(worst)))]
        if not len(wrong) or len(wrong) > len(names) / 3:
            return found
        points = points.only(~np.isin(points.owners, wrong))
        found = locate(camera, points)
    return found


def _seen(camera: Camera, points: Points, found: TagPose) -> Array:
    vector = np.asarray(opencv().Rodrigues(found.camera_from_thing.rotation)[0], np.float64)
    return camera.project(points.places_m, vector, found.camera_from_thing.shift_m.reshape(3, 1))[0]


def tag_corners_m(size_m: float) -> Array:
    """Corners of a single tag about its middle, (4, 3), in the order that SOLVEPNP_IPPE_SQUARE demands."""
    half = size_m / 2
    return np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])


def locate(camera: Camera, points: Points, *, is_square: bool = False) -> TagPose | None:
    """The pose of a flat thing, None where the points do not give one.

    Rays first (the lens is undone), SQPnP (Terzakis 2020) or IPPE (Collins 2014) for a start, then Gauss-Newton on
    the distorted picture: an error is a pixel of the sensor there, and not stretched at the edge of a fisheye.
    """
    rays = camera.rays(points.pixels)
    sound = np.all(np.isfinite(rays), axis=1)
    if sound.sum() < 4 or (is_square and not sound.all()):
        return None
    cv2 = opencv()
    method = cv2.SOLVEPNP_IPPE_SQUARE if is_square else cv2.SOLVEPNP_SQPNP
    places = points.places_m[sound]
    try:
        done, vector, shift = cv2.solvePnP(places, rays[sound], np.eye(3), None, flags=method)
    except cv2.error:
        return None
    if not done or not np.all(np.isfinite(shift)):
        return None
    return _refined(camera, points.only(sound), np.asarray(vector), np.asarray(shift))


def _refined(camera: Camera, points: Points, vector: Array, shift: Array) -> TagPose | None:
    for _ in range(_STEPS):
        if not _is_in_front(points.places_m, vector, shift):
            return None
        seen, jacobian = camera.project(points.places_m, vector, shift)
        missed = (points.pixels - seen).ravel()
        distance = np.repeat(np.linalg.norm(missed.reshape(-1, 2), axis=1), 2)
        weight = np.minimum(1.0, _HUBER_PX / np.maximum(distance, 1e-9))
        normal = jacobian.T @ (weight[:, np.newaxis] * jacobian)
        # A breath of damping: four points that nearly lie on a line leave one direction free.
        normal[np.diag_indices(6)] *= 1 + 1e-9
        try:
            step = np.linalg.solve(normal, jacobian.T @ (weight * missed))
        except np.linalg.LinAlgError:
            return None
        vector, shift = vector + step[:3, np.newaxis], shift + step[3:, np.newaxis]
        if float(np.abs(step).max()) < 1e-9:
            break
    if not _is_in_front(points.places_m, vector, shift):
        return None
    seen, jacobian = camera.project(points.places_m, vector, shift)
    squares = np.sum((points.pixels - seen) ** 2, axis=1)
    error = float(np.sqrt(np.mean(squares)))
    if not np.isfinite(error):
        return None
    # Per coordinate, and by the freedom that six unknowns leave of 2N numbers.
    variance = max(float(squares.sum()) / max(2 * len(squares) - 6, 1), _LEAST_ERROR_PX**2)
    covariance = np.asarray(variance * np.linalg.pinv(jacobian.T @ jacobian), np.float64)
    used = tuple(np.unique(points.owners).tolist())
    return TagPose(rigid_of(vector, shift), used, error, covariance)


def _is_in_front(places_m: Array, vector: Array, shift_m: Array) -> bool:
    if not np.all(np.isfinite(vector)) or not np.all(np.isfinite(shift_m)):
        return False
    rigid = rigid_of(vector, shift_m)
    return bool(np.all(places_m @ rigid.rotation[2] + rigid.shift_m[2] > 1e-6))
