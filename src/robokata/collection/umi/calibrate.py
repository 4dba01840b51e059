"""A camera's intrinsics from a video of the board, and a gripper's range from a video of its fingers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import Board, GripperRange, opencv
from robokata.collection.umi.camera import Camera, Model, camera_of
from robokata.collection.umi.pose import Points, board_points
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.sight import Eye
from robokata.collection.umi.track import track_video
from robokata.core.errors import HandheldRefused
from robokata.media.packet_index import MAX_PIXELS, packet_index
from robokata.media.video import VideoFrames

_LOOKED_AT = 240
"""Frames that are looked at, evenly over the video."""
_USED = 40
"""Frames that the fit takes: with 40 different views more of them change the focal length by less than 0.1 %."""
_LEAST_VIEWS = 10
_LEAST_POINTS = 16
"""Four markers. Fewer points fix less than the pose of their own view."""
_WORST_TIMES = 3.0
"""A view whose error is more than so many times the median is blurred or misread, and is left out once."""
_MAX_ERROR_PX = 1.5
_LEAST_COVER_SHARE = 0.5
"""Of the picture's width and height that points must span: outside of them a distortion is a guess."""


@dataclass(frozen=True)
class Calibration:
    """Intrinsics and how well they fit."""

    camera: Camera
    views: int
    seen: int
    """Frames with enough of the board, of those looked at."""
    cover_share: tuple[float, float]
    """Part of the picture's width and height in which points were seen."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        facts = {"views": self.views, "frames_with_board": self.seen, "cover_share": list(self.cover_share)}
        return {**self.camera.to_json(), **facts}


def calibrate_camera(
    path: Path, board: Board, model: Model, *, advance: Callable[[int], None] = lambda frames: None
) -> Calibration:
    """Fit intrinsics to a video that shows the board from many sides (Zhang 2000; Kannala and Brandt 2006).

    Raises:
        HandheldRefused: too few views, too little of the picture covered, or an error that no good fit has.
        DamagedData: the file is no video.
    """
    index = packet_index(path)
    views, size = _views(path, board, advance), (index.width, index.height)
    if len(views) < _LEAST_VIEWS:
        raise HandheldRefused(
            f"{path}: {len(views)} frames show {_LEAST_POINTS // 4} markers or more of the board {board}; "
            f"{_LEAST_VIEWS} are needed. Film it slowly for 20 s, from all sides and in all corners of the picture."
        )
    chosen = _spread_out(views, size)
    camera, errors = _fit(chosen, size, model, path)
    kept = [view for view, error in zip(chosen, errors, strict=True) if error <= _WORST_TIMES * np.median(errors)]
    if len(kept) >= _LEAST_VIEWS and len(kept) < len(chosen):
        camera, errors = _fit(kept, size, model, path)
    spans = np.concatenate([view.pixels for view in chosen])
    cover = tuple(float(np.ptp(spans[:, axis]) / size[axis]) for axis in range(2))
    _refuse_poor(path, camera, cover)
    return Calibration(camera, len(errors), len(views), (cover[0], cover[1]))


def calibrate_gripper(path: Path, rig: Rig, *, advance: Callable[[int], None] = lambda frames: None) -> GripperRange:
    """The distances of the tags when closed and open, from a video in which the gripper does both a few times.

    Raises:
        HandheldRefused: the tags are hardly seen, or hardly move.
        DamagedData: the file is no video.
    """
    distances_m = track_video(path, rig, advance=advance).distance_m
    seen = distances_m[np.isfinite(distances_m)]
    if len(seen) < _LEAST_VIEWS:
        raise HandheldRefused(f"{path}: finger tags in {len(seen)} frames; {_LEAST_VIEWS} are needed.")
    # The outermost half percent are misreadings; a gripper that is closed for a moment stays for more frames.
    closed_m, open_m = (float(number) for number in np.percentile(seen, [0.5, 99.5]))
    if open_m - closed_m < 0.01:
        raise HandheldRefused(
            f"{path}: the fingers move by {(open_m - closed_m) * 1000:.1f} mm. Close and open them fully a few times."
        )
    return GripperRange(closed_m, open_m)


def _views(path: Path, board: Board, advance: Callable[[int], None]) -> list[Points]:
    count = len(packet_index(path).pts)
    step, views = max(1, count // _LOOKED_AT), []
    eye = Eye(board)
    for row, grey in enumerate(VideoFrames(path, count).luma(MAX_PIXELS)):
        if row % step == 0:
            points = board_points(board, eye.look(grey))
            if len(points.pixels) >= _LEAST_POINTS:
                views.append(points)
        advance(1)
    return views


def _spread_out(views: list[Points], size: tuple[int, int]) -> list[Points]:
    """Views that differ most: each next one is the farthest from all before (Gonzalez 1985)."""
    features = np.asarray([_feature(view.pixels / np.asarray(size)) for view in views])
    chosen = [int(np.argmax([len(view.pixels) for view in views]))]
    distance = np.linalg.norm(features - features[chosen[0]], axis=1)
    while len(chosen) < min(_USED, len(views)):
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(features - features[chosen[-1]], axis=1))
    return [views[number] for number in sorted(chosen)]


def _feature(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where the board is seen, how large and how oblique."""
    return np.concatenate([places.mean(axis=0), 2 * np.linalg.cholesky(np.cov(places.T) + 1e-9 * np.eye(2)).ravel()])


def _fit(views: list[Points], size: tuple[int, int], model: Model, path: Path) -> tuple[Camera, NDArray[np.float64]]:
    """Intrinsics, and the error of each view in pixels."""
    cv2 = opencv()
    places = [np.ascontiguousarray(view.places_m, np.float32).reshape(-1, 1, 3) for view in views]
    pixels = [np.ascontiguousarray(view.pixels, np.float32).reshape(-1, 1, 2) for view in views]
    both = (places, pixels)
    guess = np.array([[0.6 * size[0], 0, (size[0] - 1) / 2], [0, 0.6 * size[0], (size[1] - 1) / 2], [0, 0, 1.0]])
    try:
        if model == "fisheye":
            flags = _flag("RECOMPUTE_EXTRINSIC") | _flag("FIX_SKEW") | _flag("USE_INTRINSIC_GUESS")
            # It wants rows, where the pinhole's wants columns.
            flat_places, flat_pixels = (
                [a.astype(np.float64).reshape(1, -1, a.shape[-1]) for a in part] for part in both
            )
            error, matrix, bent, turns, shifts = cv2.fisheye.calibrate(
                flat_places, flat_pixels, size, guess, np.zeros((4, 1)), flags=flags
            )[:5]
        else:
            error, matrix, bent, turns, shifts = cv2.calibrateCamera(places, pixels, size, guess, None)[:5]
    except cv2.error as refusal:
        reason = str(refusal).partition("error:")[2].strip()[:120] or "no solution"
        raise HandheldRefused(
            f"{path}: no intrinsics fit ({reason}). Is it a fisheye (--fisheye), or no fisheye?"
        ) from None
    lens = (float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]), float(matrix[1, 2]))
    numbers = tuple(float(number) for number in np.ravel(bent))
    camera = camera_of(model, *size, lens, distortion=numbers, reprojection_px=float(error), source=str(path))
    errors = []
    for view, turn, shift in zip(views, turns, shifts, strict=True):
        seen, _ = camera.project(view.places_m, np.asarray(turn).reshape(3, 1), np.asarray(shift).reshape(3, 1))
        errors.append(float(np.sqrt(np.mean(np.sum((seen - view.pixels) ** 2, axis=1)))))
    return camera, np.asarray(errors)


def _flag(name: str) -> int:
    """A flag of fisheye calibration: OpenCV 5 keeps them with the pinhole's, OpenCV 4 beside its function."""
    cv2 = opencv()
    return int(getattr(cv2.fisheye, f"CALIB_{name}", None) or getattr(cv2, f"CALIB_{name}"))


def _refuse_poor(path: Path, camera: Camera, cover: tuple[float, ...]) -> None:
    if camera.reprojection_px is None or not camera.reprojection_px <= _MAX_ERROR_PX:
        raise HandheldRefused(
            f"{path}: the best intrinsics are off by {camera.reprojection_px:.2f} px ({_MAX_ERROR_PX:g} allowed): "
            f"another board than named, a bent one, a wide lens without --fisheye, or a stabilised picture."
        )
    if min(cover) < _LEAST_COVER_SHARE:
        raise HandheldRefused(
            f"{path}: the board was seen in {cover[0]:.0%} of the width and {cover[1]:.0%} of the height of the "
            f"picture; {_LEAST_COVER_SHARE:.0%} are needed. Bring it into the corners too."
        )
