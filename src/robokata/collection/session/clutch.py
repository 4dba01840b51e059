"""The clutch of a held device: its frames, and the tip that follows it.

WebXR has x right, y up, z backward; the operator has x forward, y left, z up, turned about the world's vertical.
While the clutch is closed the tip repeats the device's motion since it closed; while it is open the hand moves freely.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.geometry.poses import Pose, pose_of, yaw_rotation

OPERATOR_FROM_XR: NDArray[np.float64] = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""(3, 3)."""


class ClutchAnchor(NamedTuple):
    """Where device and tip were when the clutch closed."""

    xr_from_device: Pose
    world_from_tip: Pose


def follow_device(grip: ClutchAnchor, xr_from_device: Pose, *, operator_yaw_rad: float = 0.0) -> Pose:
    """world_from_tip after the device has moved from where the clutch closed to `xr_from_device`.

    `operator_yaw_rad` 0: the operator sits behind the robot and looks along the world's x, as it does.
    """
    turn = yaw_rotation(operator_yaw_rad) @ OPERATOR_FROM_XR
    moved_m = turn @ (xr_from_device[:3, 3] - grip.xr_from_device[:3, 3])
    turned = turn @ (xr_from_device[:3, :3] @ grip.xr_from_device[:3, :3].T) @ turn.T
    return pose_of(grip.world_from_tip[:3, 3] + moved_m, turned @ grip.world_from_tip[:3, :3])
