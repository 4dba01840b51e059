"""From a held device to a tip: frames and clutch.

WebXR has x right, y up, z backward; the world has x forward, y left, z up (the operator looks along the world's x).
While the clutch is closed the tip repeats the device's motion since it closed; while it is open the hand moves freely.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.geometry.poses import Pose, pose_of

WORLD_FROM_XR: NDArray[np.float64] = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""(3, 3): the operator sits behind the robot and sees what it sees."""


class Grip(NamedTuple):
    """Where device and tip were when the clutch closed."""

    xr_from_device: Pose
    world_from_tip: Pose


def followed(grip: Grip, xr_from_device: Pose) -> Pose:
    """world_from_tip after the device has moved from where the clutch closed to `xr_from_device`."""
    turn = WORLD_FROM_XR
    moved_m = turn @ (xr_from_device[:3, 3] - grip.xr_from_device[:3, 3])
    turned = turn @ (xr_from_device[:3, :3] @ grip.xr_from_device[:3, :3].T) @ turn.T
    return pose_of(grip.world_from_tip[:3, 3] + moved_m, turned @ grip.world_from_tip[:3, :3])
