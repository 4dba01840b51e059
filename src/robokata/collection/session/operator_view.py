"""The operator's viewing direction: forward, left and up of keys, sticks and headsets are the operator's."""

from __future__ import annotations

import math
from typing import Any

from robokata.core.episode import Embodiment


def operator_yaw_rad(robot: Embodiment, model: Any, data: Any) -> float:
    """Turn about the world's vertical from its x axis to where the operator looks.

    One arm: the operator sits behind it and looks along x, as it does. Two arms that face each other: the operator
    stands between them, where the robot's scene camera is.
    """
    if len(robot.arms) < 2 or "scene" not in robot.cameras:
        return 0.0
    backward = data.cam_xmat[model.camera("scene").id].reshape(3, 3)[:, 2]
    return math.atan2(-backward[1], -backward[0])
