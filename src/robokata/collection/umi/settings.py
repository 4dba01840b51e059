"""Options as a rig, validated before a video is opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from robokata.collection.umi.board import Board, FingerTags, GripperRange, board_from, refuse_shared_ids
from robokata.collection.umi.camera import read_camera
from robokata.collection.umi.collect_clips import UmiClip
from robokata.collection.umi.rig import Gates, Rig
from robokata.core.errors import HandheldRefused
from robokata.geometry.poses import Rigid, rigid_from_seven


def rig_from(
    *,
    camera: Path | None,
    board: Board,
    tags: FingerTags,
    gates: Gates,
    gripper_range: str | None,
    tip: str | None,
    scale_tag: str | None,
) -> Rig:
    """A rig from words.

    Raises:
        HandheldRefused: intrinsics are absent, or a word cannot be obeyed; the message says which and how to say it.
    """
    if camera is None:
        raise HandheldRefused(
            "no intrinsics: name their JSON file with --camera, or measure them: film the board from all sides and run "
            "kata collect umi --calibrate VIDEO --camera camera.json (and --fisheye for a wide lens)."
        )
    refuse_shared_ids(board, tags)
    rig = Rig(camera=read_camera(camera), board=board, tags=tags, gates=gates, gripper_range=_range(gripper_range))
    marker = _scale_tag(scale_tag, board, tags)
    return Rig(rig.camera, board, tags, gates, rig.gripper_range, _tip(tip) or rig.camera_from_tip, marker)


def board_of(words: str, dictionary: str) -> Board:
    """The board by its words.

    Raises:
        HandheldRefused: the words are no board.
    """
    return board_from(words, dictionary=dictionary)


def tags_from(names: str, *, size_m: float, depth_m: float, slack_m: float) -> FingerTags:
    """Finger tags from `LEFT,RIGHT`.

    Raises:
        HandheldRefused: not two whole numbers, or sizes that no tag has.
    """
    words = names.split(",")
    if len(words) != 2 or not all(word.strip().isdigit() for word in words):
        raise HandheldRefused(f"finger tags {names!r}: say LEFT,RIGHT, as in 0,1.")
    if not (0 < size_m < 1 and 0 < depth_m < 10 and 0 < slack_m < 10):
        raise HandheldRefused("finger tags: size, depth and its slack are millimetres above 0.")
    return FingerTags(int(words[0]), int(words[1]), size_m, depth_m, slack_m)


def clips_from(videos: Sequence[Path], trajectories: Sequence[Path], references: Sequence[Path]) -> list[UmiClip]:
    """Videos with what lies beside each: as many files as videos, or one name that lies in each video's folder.

    Raises:
        HandheldRefused: their numbers do not match.
    """
    if not videos:
        raise HandheldRefused(
            "no videos: name them, as in kata collect umi demo.mp4 --camera camera.json --out episodes."
        )
    beside = [
        _beside(videos, files, word) for files, word in ((trajectories, "--trajectory"), (references, "--reference"))
    ]
    return [UmiClip(video, *files) for video, *files in zip(videos, *beside, strict=True)]


def _beside(videos: Sequence[Path], files: Sequence[Path], word: str) -> list[Path | None]:
    if not files:
        return [None] * len(videos)
    if len(files) == len(videos):
        return list(files)
    if len(files) == 1 and files[0].name == str(files[0]):
        # UMI's layout: demos/NAME/raw_video.mp4 beside demos/NAME/camera_trajectory.csv.
        return [video.parent / files[0] for video in videos]
    raise HandheldRefused(
        f"{word}: {len(files)} files for {len(videos)} videos. Name one per video in the same order, or one bare file "
        f"name that lies in the folder of each video."
    )


def _range(words: str | None) -> GripperRange | None:
    if words is None:
        return None
    closed_m, open_m = (number / 1000 for number in _numbers("--gripper-range", words, "CLOSED_MM,OPEN_MM", 2))
    if not 0 <= closed_m < open_m:
        raise HandheldRefused(f"--gripper-range {words!r}: the tags are nearer when closed: CLOSED_MM < OPEN_MM.")
    return GripperRange(closed_m, open_m)


def _tip(words: str | None) -> Rigid | None:
    if words is None:
        return None
    count = 7 if words.count(",") > 2 else 3
    numbers = _numbers("--tip", words, "X,Y,Z (m, in the camera's axes) or X,Y,Z,QX,QY,QZ,QW", count)
    if count == 3:
        return Rigid(np.eye(3), np.asarray(numbers))
    if abs(float(np.linalg.norm(numbers[3:])) - 1) > 0.01:
        raise HandheldRefused(f"--tip {words!r}: the quaternion's length is not 1.")
    return rigid_from_seven(np.asarray(numbers))


def _scale_tag(words: str | None, board: Board, tags: FingerTags) -> tuple[int, float] | None:
    if words is None:
        return None
    name, _, size = words.partition(":")
    if not name.isdigit() or not size:
        raise HandheldRefused(f"--scale-tag {words!r}: say NUMBER:SIZE_MM, as in 13:160.")
    (size_mm,) = _numbers("--scale-tag", size, "NUMBER:SIZE_MM", 1)
    if int(name) in (*board.ids, tags.left, tags.right) or size_mm <= 0:
        raise HandheldRefused(f"--scale-tag {words!r}: its number belongs to the board or a finger, or it has no size.")
    return int(name), size_mm / 1000


def _numbers(word: str, text: str, form: str, count: int) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(np.isfinite(numbers)):
        raise HandheldRefused(f"{word} {text!r}: say {form}.")
    return numbers
