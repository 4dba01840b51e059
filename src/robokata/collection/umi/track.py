"""A clip frame by frame: camera pose, gripper width, and their uncertainty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.camera import Camera
from robokata.collection.umi.pose import board_points, locate_board
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.sight import Eye, Sight
from robokata.collection.umi.trajectory import Trajectory
from robokata.collection.umi.width import fingers_in, widths_of
from robokata.core.clock import NS_PER_S
from robokata.core.errors import DamagedData
from robokata.geometry.poses import Rigid, continuous_quats, seven_between
from robokata.media.packet_index import MAX_PIXELS, PacketIndex, packet_index
from robokata.media.video import VideoFrames

_KEPT_SIGHTS = 12
"""Sights with the most markers that are kept: enough to say what is wrong with a board."""
_KEPT_PICTURES = 3


@dataclass(eq=False)
class ClipTrack:
    """What was seen in the T frames of a clip. NaN is "not measured" here; episodes hold what was."""

    path: Path
    camera: Camera
    """At the size of the clip's pictures."""
    index: PacketIndex
    times_ns: NDArray[np.int64]
    pose: NDArray[np.float64]
    """(T, 7): the tip on the board (or in the trajectory's frame), x y z (m), quaternion x y z w."""
    on_board: NDArray[np.float64]
    """(T, 7): the same from the board, also where a trajectory gives `pose`."""
    error_px: NDArray[np.float64]
    """(T,): reprojection error, also of poses that the gates refuse."""
    spread_m: NDArray[np.float64]
    """(T,): standard deviation of the tip's position, also of poses that the gates refuse."""
    board_markers: NDArray[np.int64]
    finger_tags: NDArray[np.int64]
    distance_m: NDArray[np.float64]
    width_m: NDArray[np.float64]
    refused: dict[str, int] = field(default_factory=dict)
    """Gate -> frames that it refused."""
    is_filled: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    """(T,): the pose lies between its neighbours, and was not seen."""
    outside_range: int = 0
    depths_m: list[float] = field(default_factory=list)
    strangers: dict[int, int] = field(default_factory=dict)
    """Markers that belong to nothing that was named -> frames that show them."""
    seen: dict[int, int] = field(default_factory=dict)
    """Markers of the board -> frames that show them."""
    sights: list[Sight] = field(default_factory=list)
    pictures: list[NDArray[np.uint8]] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)
    """Size of the scale tag as the board measures it, over its true size, per frame that shows both."""
    frame: str = "board"

    def __len__(self) -> int:
        return len(self.times_ns)

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """Frames whose pose was measured, (T,)."""
        return np.isfinite(self.pose[:, 0]) & ~self.is_filled

    @property
    def has_width(self) -> NDArray[np.bool_]:
        """Frames whose width was measured, (T,)."""
        return np.isfinite(self.width_m)


def track_video(
    path: Path,
    rig: Rig,
    *,
    trajectory: Trajectory | None = None,
    advance: Callable[[int], None] = lambda frames: None,
) -> ClipTrack:
    """Look at every frame of a clip once.

    Raises:
        DamagedData: the file is no video, or a frame cannot be decoded.
        HandheldRefused: the intrinsics are not of this picture size, or the trajectory is not of this clip.
    """
    index = packet_index(path)
    count = len(index.pts)
    if not count:
        raise DamagedData(path, "the video holds no frames.", next_move="Record the clip again.")
    camera = rig.camera.sized(index.width, index.height)
    track = _empty(path, camera, index)
    eye = Eye(rig.board, camera)
    # Before the work: a trajectory of another clip is told at once.
    tips = None if trajectory is None else trajectory.tips(track.times_ns, rig.camera_from_tip)
    wanted = {count * (part + 1) // (_KEPT_PICTURES + 1) for part in range(_KEPT_PICTURES)}
    # Its brightness as it lies in the video, every pixel: no colour is needed to read a marker.
    for row, grey in enumerate(VideoFrames(path, count).luma(MAX_PIXELS)):
        sight = eye.look(grey)
        _note(track, row, sight, rig)
        fingers = fingers_in(camera, sight, rig.tags)
        track.depths_m.extend(fingers.depths_m)
        track.finger_tags[row] = fingers.used
        track.distance_m[row] = np.nan if fingers.distance_m is None else fingers.distance_m
        _locate_tip(track, row, sight, rig, camera)
        if row in wanted:
            track.pictures.append(grey)
        advance(1)
    track.pose, track.frame = (track.on_board.copy(), "board") if tips is None else (tips, "trajectory")
    turn_one_way(track.pose)
    track.is_filled = fill_gaps(track.pose, longest=rig.gates.fill_frames)
    track.width_m, track.outside_range = widths_of(track.distance_m, rig.gripper_range)
    return track


def times_of(index: PacketIndex) -> NDArray[np.int64]:
    """Presentation times of a video's frames, (T,), nanoseconds from the file's own zero, each rounded once."""
    numerator, denominator = index.time_base.numerator * NS_PER_S, index.time_base.denominator
    exact = [(int(stamp) * numerator * 2 + denominator) // (2 * denominator) for stamp in index.pts]
    return np.asarray(exact, np.int64)


def turn_one_way(poses: NDArray[np.float64]) -> None:
    """Signs of the quaternions such that each is nearest to the one before; q and -q are one rotation.

    Across frames that were lost too.
    """
    rows = np.flatnonzero(np.isfinite(poses[:, 0]))
    poses[rows, 3:] = continuous_quats(poses[rows, 3:])


def fill_gaps(poses: NDArray[np.float64], *, longest: int) -> NDArray[np.bool_]:
    """Fill gaps of at most `longest` frames between two poses; which frames were filled, (T,)."""
    filled = np.zeros(len(poses), bool)
    rows = np.flatnonzero(np.isfinite(poses[:, 0]))
    for before, after in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True):
        if 1 < after - before <= longest + 1:
            for row in range(before + 1, after):
                poses[row] = seven_between(poses[before], poses[after], at_share=(row - before) / (after - before))
                filled[row] = True
    return filled


def _empty(path: Path, camera: Camera, index: PacketIndex) -> ClipTrack:
    count = len(index.pts)
    error_px, spread_m, distance_m, width_m = np.full((4, count), np.nan)
    return ClipTrack(
        path,
        camera,
        index,
        times_of(index),
        pose=np.full((count, 7), np.nan),
        on_board=np.full((count, 7), np.nan),
        error_px=error_px,
        spread_m=spread_m,
        board_markers=np.zeros(count, np.int64),
        finger_tags=np.zeros(count, np.int64),
        distance_m=distance_m,
        width_m=width_m,
        is_filled=np.zeros(count, bool),
    )


def _note(track: ClipTrack, row: int, sight: Sight, rig: Rig) -> None:
    named = {*rig.board.ids, rig.tags.left, rig.tags.right, *([rig.scale_tag[0]] if rig.scale_tag else [])}
    for name in sight.markers:
        counted = track.seen if name in rig.board.ids else track.strangers
        if name in rig.board.ids or name not in named:
            counted[name] = counted.get(name, 0) + 1
    count = len(sight.board_markers(rig.board))
    track.board_markers[row] = count
    if count and (len(track.sights) < _KEPT_SIGHTS or count > min(map(len, (s.markers for s in track.sights)))):
        track.sights = sorted([*track.sights, sight], key=lambda s: -len(s.board_markers(rig.board)))[:_KEPT_SIGHTS]


def _locate_tip(track: ClipTrack, row: int, sight: Sight, rig: Rig, camera: Camera) -> None:
    """The pose of one frame; a gate that refuses it is counted by its name."""
    gates, markers = rig.gates, int(track.board_markers[row])
    found = locate_board(camera, board_points(rig.board, sight)) if markers >= gates.min_markers else None
    if found is not None and rig.board.kind == "grid":
        # Markers that contradict the others do not count; a ChArUco board's corners each lie between two markers.
        markers = len(found.used)
    if found is None or markers < gates.min_markers:
        _refuse(track, "markers" if markers < gates.min_markers else "pose")
        return
    track.error_px[row] = found.error_px
    track.spread_m[row] = found.spread_m(rig.camera_from_tip)
    if rig.scale_tag is not None and rig.scale_tag[0] in sight.markers:
        track.scales.append(_size_on_board(camera, found.camera_from_thing, sight, rig.scale_tag[0]) / rig.scale_tag[1])
    if found.error_px > gates.max_error_px:
        _refuse(track, "error")
    elif track.spread_m[row] > gates.max_spread_m:
        _refuse(track, "spread")
    else:
        track.on_board[row] = found.camera_from_thing.inverse().then(rig.camera_from_tip).as_pose()


def _refuse(track: ClipTrack, gate: str) -> None:
    track.refused[gate] = track.refused.get(gate, 0) + 1


def _size_on_board(camera: Camera, camera_from_board: Rigid, sight: Sight, name: int) -> float:
    """Mean edge of a marker that lies in the board's plane, metres as the board says them."""
    rays = camera.rays(sight.markers[name])
    rays_3d = np.concatenate([rays, np.ones((4, 1))], axis=1)
    normal, origin = camera_from_board.rotation[:, 2], camera_from_board.shift_m
    places = rays_3d * ((normal @ origin) / (rays_3d @ normal))[:, np.newaxis]
    return float(np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1).mean())
