"""Poses among the streams of numbers, as Rerun's transforms."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.episode import Episode
from robokata.core.stream import Stream

_WIDTHS = {"quat_xyzw": 4, "quat_wxyz": 4, "axis_angle": 3}
_PARTNERS = ((".orientation", ".position"), (".rotation", ".translation"), ("_rot_axis_angle", "_pos"))
"""How the streams of one pose are called: ROS's Pose and Transform, UMI's buffers."""


class PoseStream(NamedTuple):
    """A pose over time: `frame_from_body`, as the source has it."""

    name: str
    rotation: Stream
    """The stream that holds the rotation, and the position before it where `position` is None."""
    position: Stream | None
    convention: str
    """`quat_xyzw`, `quat_wxyz`, `axis_angle`, or `matrix` for (4, 4)."""

    @property
    def positions_m(self) -> NDArray[np.float64] | None:
        """(T, 3), None where only the rotation is known."""
        if self.convention == "matrix":
            return _floats(self.rotation).reshape(-1, 4, 4)[:, :3, 3]
        if self.position is not None:
            return _floats(self.position)
        return _floats(self.rotation)[:, :3] if _floats(self.rotation).shape[1] > _WIDTHS[self.convention] else None


def poses_of(episode: Episode) -> Iterator[PoseStream]:
    """Poses whose rotation convention is declared; of an undeclared one nobody knows which number is which."""
    for stream in episode.numeric():
        if not len(stream):
            continue
        if stream.shape == (4, 4):
            yield PoseStream(stream.name, stream, None, "matrix")
            continue
        rotation = stream.meaning.rotation
        width = _WIDTHS.get(rotation.value) if rotation is not None else None
        if rotation is None or width is None or len(stream.shape) != 1:
            continue
        if stream.shape[0] == width + 3:
            yield PoseStream(stream.name, stream, None, rotation.value)
        elif stream.shape[0] == width:
            stem, position = _partner(episode, stream)
            yield PoseStream(stem, stream, position, rotation.value)


def transform_columns(rr: Any, pose: PoseStream) -> Any:
    """A pose as columns of `Transform3D`."""
    numbers, positions_m = _floats(pose.rotation), pose.positions_m
    moved = {} if positions_m is None else {"translation": positions_m}
    if pose.convention == "matrix":
        return rr.Transform3D.columns(mat3x3=numbers.reshape(-1, 4, 4)[:, :3, :3], **moved)
    turned = numbers[:, -_WIDTHS[pose.convention] :]
    if pose.convention == "axis_angle":
        angle_rad = np.linalg.norm(turned, axis=1)
        # No axis where nothing turns: any will do.
        axis = np.where(angle_rad[:, None] > 0, turned / np.maximum(angle_rad, 1e-300)[:, None], [1.0, 0.0, 0.0])
        turns = [rr.RotationAxisAngle(axis=a, radians=float(r)) for a, r in zip(axis, angle_rad, strict=True)]
        return rr.Transform3D.columns(rotation_axis_angle=turns, **moved)
    return rr.Transform3D.columns(
        quaternion=turned if pose.convention == "quat_xyzw" else turned[:, [1, 2, 3, 0]], **moved
    )


def _partner(episode: Episode, rotation: Stream) -> tuple[str, Stream | None]:
    """The position that belongs to a rotation, and what both are called."""
    for turned, moved in _PARTNERS:
        if rotation.name.endswith(turned):
            stem = rotation.name.removesuffix(turned)
            position = episode.streams.get(f"{stem}{moved}")
            is_beside = position is not None and position.is_numeric and position.shape == (3,)
            if position is not None and is_beside and len(position) == len(rotation):
                return stem, position
    return rotation.name, None


def _floats(stream: Stream) -> NDArray[np.float64]:
    return np.asarray(stream.table, np.float64)
