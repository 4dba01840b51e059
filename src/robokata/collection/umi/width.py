"""Gripper width from the tags on the fingers."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import FingerTags, GripperRange
from robokata.collection.umi.camera import Camera
from robokata.collection.umi.pose import Points, locate, tag_corners_m
from robokata.collection.umi.sight import Sight

_RANGE_SLACK_M = 0.002
"""Beyond the calibrated range by more than this, the reading is wrong, or the calibration is."""


class Fingers(NamedTuple):
    """The finger tags in one picture."""

    distance_m: float | None
    """Between the tags; None where neither is seen at its depth."""
    used: int
    """Tags that it comes from, 0..2."""
    depths_m: tuple[float, ...]
    """Depth of every finger tag that is seen, also of those that the gate refuses."""


def fingers_in(camera: Camera, sight: Sight, tags: FingerTags) -> Fingers:
    """Distance of the tags as UMI measures it: the difference of their x, or twice the |x| of the only one seen.

    A tag counts only at its depth (72 +- 8 mm on UMI's gripper): the same number elsewhere is another thing.
    """
    across: dict[int, float] = {}
    depths = []
    for name in (tags.left, tags.right):
        if name not in sight.markers:
            continue
        found = locate(
            camera, Points(tag_corners_m(tags.size_m), sight.markers[name], np.full(4, name)), is_square=True
        )
        if found is None:
            continue
        x, _, z = found.camera_from_thing.shift_m
        depths.append(float(z))
        if abs(z - tags.depth_m) <= tags.depth_slack_m:
            across[name] = float(x)
    if len(across) == 2:
        distance: float | None = across[tags.right] - across[tags.left]
    else:
        # The fingers move symmetrically about the optical axis.
        distance = next((2 * abs(x) for x in across.values()), None)
    return Fingers(distance, len(across), tuple(depths))


class Widths(NamedTuple):
    """Openings of a clip."""

    width_m: NDArray[np.float64]
    """(T,), NaN where the fingers are not seen, or read outside of their range."""
    outside: int
    """Readings refused because they lie outside of the calibrated range."""


def widths_of(distances_m: NDArray[np.float64], gripper_range: GripperRange | None) -> Widths:
    """Distances of the tags (T,) as openings: 0 at the calibrated closed distance, clipped to the range at its ends."""
    if gripper_range is None:
        return Widths(distances_m, 0)
    opening = distances_m - gripper_range.closed_m
    stroke_m = gripper_range.open_m - gripper_range.closed_m
    is_outside = (opening < -_RANGE_SLACK_M) | (opening > stroke_m + _RANGE_SLACK_M)
    return Widths(np.where(is_outside, np.nan, np.clip(opening, 0.0, stroke_m)), int(is_outside.sum()))
