"""What a camera's calibration says of the size of its pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

_NAME = re.compile(r"intrinsic|calibration|camera_(info|matrix|model)", re.IGNORECASE)
_DEEPEST = 4
"""Levels of `Stream.extra` that are looked through: `info` / `intrinsics` / `color` / `K`."""
_MATRICES = ("K", "k", "camera_matrix", "matrix", "intrinsic_matrix")
_CENTRE = (("cx", "cy"), ("ppx", "ppy"), ("principal_pt_x", "principal_pt_y"))


class Intrinsics(NamedTuple):
    """The part of a calibration that says which pictures it is of."""

    size: tuple[int, int] | None
    """Width and height, None where it does not say."""
    centre: tuple[float, float] | None
    """Principal point in pixels, None where it does not say."""

    def contradiction(self, width: int, height: int) -> str | None:
        """What it says of the pictures that those of a size are not, None where it fits."""
        if self.size is not None:
            return None if self.size == (width, height) else f"{self.size[0]} x {self.size[1]}"
        # A principal point off the picture is that of larger pictures: lenses are mounted within some percent.
        if self.centre is not None and not (0 <= self.centre[0] <= width and 0 <= self.centre[1] <= height):
            return f"a principal point of {self.centre[0]:.6g}, {self.centre[1]:.6g}"
        return None


def intrinsics_in(said: Any, *, name: str = "", depth: int = 0) -> Iterator[Intrinsics]:
    """Calibrations that lie under a name for such things, in whatever spelling."""
    if depth > _DEEPEST:
        return
    if _NAME.search(name) and (found := intrinsics(said)) is not None:
        yield found
        return
    if isinstance(said, Mapping):
        for key, below in said.items():
            # What lies below `intrinsics` may be named `color` or `left`.
            inner = f"{name}/{key}" if _NAME.search(name) else str(key)
            yield from intrinsics_in(below, name=inner, depth=depth + 1)


def intrinsics(said: Any) -> Intrinsics | None:
    """A calibration of a pinhole camera in the words of ROS, OpenCV, RealSense and our own files; None for all else."""
    if isinstance(said, Mapping):
        size = _size(
            said.get("width", said.get("width_px", said.get("image_width"))),
            said.get("height", said.get("height_px", said.get("image_height"))),
        )
        matrix = next((said[key] for key in _MATRICES if key in said), None)
        pairs = [(said[x], said[y]) for x, y in _CENTRE if x in said and y in said]
        centre = _numbers(pairs[0]) if pairs else _centre(matrix)
        return None if size is None and centre is None else Intrinsics(size, centre)
    centre = _centre(said)
    return None if centre is None else Intrinsics(None, centre)


def _size(width: Any, height: Any) -> tuple[int, int] | None:
    sides = (width, height)
    is_size = all(isinstance(side, int) and not isinstance(side, bool) and side > 0 for side in sides)
    return (int(width), int(height)) if is_size else None


def _centre(matrix: Any) -> tuple[float, float] | None:
    """The principal point of a 3 x 3 matrix, also one in a list of nine."""
    try:
        values = np.asarray(matrix, np.float64)
    except (TypeError, ValueError):
        return None
    if values.size != 9 or not np.isfinite(values).all():
        return None
    rows = values.reshape(3, 3)
    # Zeros are ROS's word for a camera that was not calibrated.
    is_pinhole = rows[0, 0] > 0 and rows[1, 1] > 0 and np.array_equal(rows[2], [0, 0, 1])
    return (float(rows[0, 2]), float(rows[1, 2])) if is_pinhole else None


def _numbers(pair: tuple[Any, Any]) -> tuple[float, float] | None:
    is_number = all(isinstance(n, (int, float)) and not isinstance(n, bool) and np.isfinite(n) for n in pair)
    return (float(pair[0]), float(pair[1])) if is_number else None
