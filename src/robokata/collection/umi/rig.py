"""The rig of one gripper: board, camera, tags, tip, and the thresholds of a good clip."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from robokata.collection.umi.board import GRID, Board, FingerTags, GripperRange
from robokata.collection.umi.camera import Camera
from robokata.geometry.poses import Rigid

TIP_M = (0.0, 0.086, 0.01465 + 0.205)
"""UMI's `pose_cam_tcp` (step 06 of its pipeline): the tip, from the camera: 86 mm down and 220 mm ahead."""


@dataclass(frozen=True)
class Gates:
    """What a frame and a clip must reach. The last three are UMI's own (step 06)."""

    min_markers: int = 4
    """Of the board, per frame. With fewer the pose of a flat board is nearly ambiguous: see docs/umi.md."""
    max_error_px: float = 1.5
    """RMS reprojection error. Sharp rendered frames have 0.1 to 0.4, a wrong corner or a wrong board several."""
    max_spread_m: float = 0.005
    """Standard deviation of the tip's position, as the geometry of the points gives it: cuts the tail off."""
    max_lost: int = 10
    """Frames of a clip without a pose."""
    min_valid: int = 60
    """Frames of a clip with a pose."""
    min_steps: int = 24
    """Frames in a row with both pose and width: what an episode of training needs."""
    fill_frames: int = 0
    """Gaps of at most so many frames are interpolated, and marked. 0: nothing is filled in."""
    needs_gripper: bool = True
    """False: clips without finger tags are taken, without a width."""


@dataclass(frozen=True, eq=False)
class Rig:
    """One gripper, its camera and its board."""

    camera: Camera
    board: Board = GRID
    tags: FingerTags = field(default_factory=FingerTags)
    gates: Gates = Gates()
    gripper_range: GripperRange | None = None
    """None: the width is the distance of the tags."""
    camera_from_tip: Rigid = field(default_factory=lambda: Rigid(np.eye(3), np.array(TIP_M)))
    scale_tag: tuple[int, float] | None = None
    """A marker of known size (number, metres) that lies flat beside the board: proves the board's scale."""
