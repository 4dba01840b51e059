"""The pictures of docs/umi.md: the sheet to print, and what is seen in three rendered frames."""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from robokata.collection.umi.board import GRID, GripperRange
from robokata.collection.umi.pose import board_points, locate_board
from robokata.collection.umi.print_board import board_sheet, drawn
from robokata.collection.umi.rig import Rig
from robokata.collection.umi.sight import Eye
from robokata.collection.umi.width import fingers_in
from robokata.media.video import VideoFrames

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from umi.umi_videos import Take, fisheye_camera, render_handheld  # the oracle lies with the tests

FOLDER = Path(__file__).parent / "umi"
TAKES = {
    "clean": Take(frames=2),
    "fisheye": Take(frames=2, camera=fisheye_camera()),
    "hand": Take(frames=2, has_hand=True, hand_m=0.11),
}


def main() -> None:
    """Write every picture anew."""
    FOLDER.mkdir(exist_ok=True)
    sheet = cv2.resize(
        drawn(board_sheet(GRID), pixels_per_m=9600), None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA
    )
    cv2.imwrite(str(FOLDER / "board.png"), cv2.copyMakeBorder(sheet, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=160))
    for name, take in TAKES.items():
        with tempfile.TemporaryDirectory() as folder:
            video = Path(folder) / "clip.mp4"
            render_handheld(video, replace(take, seed=1))
            frame = np.asarray(VideoFrames(video, take.frames)[1])
        cv2.imwrite(str(FOLDER / f"{name}.jpg"), explained(frame, take)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def explained(frame: np.ndarray, take: Take) -> np.ndarray:
    """The frame with its markers outlined (green: the pose comes from them, red: left out) and the numbers."""
    rig = Rig(take.camera, take.board, gripper_range=GripperRange(*take.fingers))
    sight = Eye(take.board, take.camera).look(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    found = locate_board(take.camera, board_points(take.board, sight))
    picture = frame.copy()
    for number, corners in sight.markers.items():
        is_used = found is not None and number in found.used
        colour = (0, 200, 60) if is_used else (40, 120, 255) if number in rig.tags[:2] else (230, 60, 40)
        cv2.polylines(picture, [np.round(corners * 8).astype(np.int32)], True, colour, 2, cv2.LINE_AA, shift=3)
    fingers = fingers_in(take.camera, sight, rig.tags)
    width_mm = None if fingers.distance_m is None else 1000 * (fingers.distance_m - take.fingers.closed_m)
    lines = [f"width {width_mm:.1f} mm" if width_mm is not None else "no width"]
    needed = rig.gates.min_markers
    if found is None or len(found.used) < needed:
        lines.append(f"lost: {len(sight.board_markers(take.board))} markers of the board, {needed} needed")
    else:
        pose = found.camera_from_thing.inverse().then(rig.camera_from_tip).as_pose()
        lines.append(f"tip x {pose[0] * 1000:.0f} y {pose[1] * 1000:.0f} z {pose[2] * 1000:.0f} mm on the board")
        spread_mm = 1000 * found.spread_m(rig.camera_from_tip)
        lines.append(f"{len(found.used)} markers, {found.error_px:.2f} px, +- {spread_mm:.1f} mm")
    for row, line in enumerate(lines):
        for colour, thick in (((255, 255, 255), 5), ((0, 0, 0), 2)):
            place = (16, 36 + 34 * row)
            cv2.putText(picture, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.9, colour, thick, cv2.LINE_AA)
    return cv2.resize(picture, (720, 540), interpolation=cv2.INTER_AREA)


if __name__ == "__main__":
    main()
