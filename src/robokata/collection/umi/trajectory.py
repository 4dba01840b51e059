"""Camera trajectories of other programs: ORB-SLAM3's `camera_trajectory.csv` as UMI keeps it, and TUM files."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.errors import HandheldRefused
from robokata.geometry.poses import Rigid, rigid_from_seven

_CSV_COLUMNS = ("frame_idx", "timestamp", "state", "is_lost", "is_keyframe", "x", "y", "z", "q_x", "q_y", "q_z", "q_w")
_MAX_ROWS = 20_000_000
"""7 days at 30 Hz, as for videos."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses of the camera in its program's world, for the frames in which it was not lost."""

    path: Path
    frames: NDArray[np.int64] | None
    """(N,) numbers of the frames; None where the file has times alone."""
    times_s: NDArray[np.float64]
    """(N,)"""
    poses: NDArray[np.float64]
    """(N, 7): x y z (m, where the program knows the scale), quaternion x y z w of unit length."""
    lost: int
    """Frames that the file itself calls lost."""

    def tips(self, times_ns: NDArray[np.int64], camera_from_tip: Rigid) -> NDArray[np.float64]:
        """Tip poses at the frames of a clip, (T, 7), NaN where the trajectory has none.

        Raises:
            HandheldRefused: frames that the clip does not have, or times that meet none of its frames.
        """
        rows = self._rows_by_number(len(times_ns)) if self.frames is not None else self._rows_by_time(times_ns)
        found = np.full((len(times_ns), 7), np.nan)
        for row, pose in zip(rows.tolist(), self.poses, strict=True):
            if row >= 0:
                found[row] = rigid_from_seven(pose).then(camera_from_tip).as_pose()
        return found

    def _rows_by_number(self, count: int) -> NDArray[np.int64]:
        frames = self.frames
        assert frames is not None
        if len(frames) and int(frames.max()) >= count:
            raise HandheldRefused(
                f"{self.path}: holds frame {int(frames.max())}, and the video has {count} frames. Is it of another one?"
            )
        return frames

    def _rows_by_time(self, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
        """The frame nearest in time, within half a period; -1 where there is none."""
        stamps_ns = np.round(self.times_s * NS_PER_S).astype(np.int64)
        if not len(stamps_ns) or len(times_ns) < 2:
            return np.full(len(stamps_ns), -1, np.int64)
        right = np.clip(np.searchsorted(times_ns, stamps_ns), 1, len(times_ns) - 1)
        is_left = stamps_ns - times_ns[right - 1] < times_ns[right] - stamps_ns
        nearest = right - is_left
        half_ns = float(np.median(np.diff(times_ns))) / 2
        rows = np.where(np.abs(times_ns[nearest] - stamps_ns) <= half_ns, nearest, -1)
        if np.all(rows < 0):
            raise HandheldRefused(
                f"{self.path}: its times ({self.times_s[0]:.3f} to {self.times_s[-1]:.3f} s) meet no frame of the "
                f"video ({times_ns[0] / NS_PER_S:.3f} to {times_ns[-1] / NS_PER_S:.3f} s). "
                f"Both must count from its start."
            )
        return np.asarray(rows, np.int64)


def read_trajectory(path: Path) -> Trajectory:
    """Read a trajectory: CSV by its header, else TUM (`timestamp x y z q_x q_y q_z q_w` per line, `#` comments).

    Raises:
        HandheldRefused: the file cannot be read, lacks a column, or a row holds no pose; file and line are named.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            head = file.readline()
            file.seek(0)
            return _read_csv(path, csv.DictReader(file)) if "," in head else _read_tum(path, file)
    except OSError as error:
        raise HandheldRefused(f"--trajectory {path}: {error.strerror}.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise HandheldRefused(f"--trajectory {path}: no text with rows: {error}.") from None


def _read_csv(path: Path, rows: csv.DictReader[str]) -> Trajectory:
    lacking = [
        name for name in _CSV_COLUMNS if name not in (rows.fieldnames or ()) and name not in ("state", "is_keyframe")
    ]
    if lacking:
        raise HandheldRefused(
            f"--trajectory {path}: lacks the columns {', '.join(lacking)}. ORB-SLAM3 writes {', '.join(_CSV_COLUMNS)}."
        )
    frames, times, poses, lost = [], [], [], 0
    for line, row in enumerate(rows, start=2):
        if line > _MAX_ROWS:
            raise HandheldRefused(f"--trajectory {path}: more than {_MAX_ROWS} rows.")
        try:
            if row["is_lost"].strip().lower() in ("true", "1"):
                lost += 1
                continue
            pose = [float(row[name]) for name in _CSV_COLUMNS[5:]]
            frames.append(int(row["frame_idx"]))
            times.append(float(row["timestamp"]))
        except (TypeError, ValueError, AttributeError):
            _refuse_row(path, line)
        poses.append(_sound(path, line, pose))
    numbers = np.asarray(frames, np.int64)
    if np.any(np.diff(numbers) <= 0) or (len(numbers) and numbers[0] < 0):
        raise HandheldRefused(f"--trajectory {path}: frame_idx does not rise from row to row.")
    return Trajectory(path, numbers, np.asarray(times, np.float64), np.asarray(poses).reshape(-1, 7), lost)


def _read_tum(path: Path, lines: Iterable[str]) -> Trajectory:
    times, poses = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if number > _MAX_ROWS:
            raise HandheldRefused(f"--trajectory {path}: more than {_MAX_ROWS} rows.")
        try:
            values = [float(word) for word in words]
        except ValueError:
            _refuse_row(path, number)
        if len(values) != 8:
            _refuse_row(path, number)
        times.append(values[0])
        poses.append(_sound(path, number, values[1:]))
    stamps = np.asarray(times, np.float64)
    if not len(stamps):
        raise HandheldRefused(f"--trajectory {path}: holds no poses. {_FORMS}")
    if not np.all(np.isfinite(stamps)) or np.any(np.diff(stamps) <= 0):
        raise HandheldRefused(f"--trajectory {path}: its times do not rise from line to line.")
    return Trajectory(path, None, stamps, np.asarray(poses), 0)


_FORMS = "It is read as a CSV with a header (ORB-SLAM3, UMI) or as TUM: timestamp x y z q_x q_y q_z q_w."


def _refuse_row(path: Path, line: int) -> NoReturn:
    raise HandheldRefused(f"--trajectory {path}: line {line} is no pose. {_FORMS}")


def _sound(path: Path, line: int, pose: list[float]) -> list[float]:
    """A pose whose quaternion is one; seven printed digits are allowed their rounding."""
    values = np.asarray(pose)
    length = float(np.linalg.norm(values[3:]))
    if not np.all(np.isfinite(values)) or abs(length - 1) > 0.01:
        raise HandheldRefused(
            f"--trajectory {path}: line {line} holds no rotation (its quaternion has length {length:.3f}). Rows of "
            f"lost frames need is_lost=true."
        )
    return [*pose[:3], *(values[3:] / length).tolist()]
