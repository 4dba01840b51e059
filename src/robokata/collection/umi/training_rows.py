"""Handheld episodes in the layout that UMI's training reads: pose, width and 224 x 224 pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.collection.umi.board import opencv
from robokata.collection.umi.episode import PICTURES, TIP, WIDTH
from robokata.collection.umi.gates import runs_of
from robokata.core.clock import Clock, Reading
from robokata.core.episode import Episode
from robokata.core.stream import Evidence, Fact, Kind, Meaning, Role, Stream
from robokata.core.values import ArrayValues, EncodedPicture, Index, IndexedValues, Pictures, Values
from robokata.geometry.poses import rotation_vectors
from robokata.media.images import RawImages

SIDE_PX = 224
"""UMI's `camera0_rgb` (shape_meta of its task)."""


class _Gripper(NamedTuple):
    """One gripper's samples on the rows of the first camera."""

    pictures: Stream
    poses: NDArray[np.float64]
    """(T, 7), NaN where there is none."""
    widths_m: NDArray[np.float64]
    frames: NDArray[np.int64]
    """(T,): frame of this gripper's own video in each row, -1 where it has none."""


def umi_episodes(episode: Episode, *, min_steps: int) -> Iterator[Episode]:
    """Each unbroken run of frames with pose and width as one episode of UMI's names; nothing is filled in.

    As step 06 of UMI's pipeline: rows are frames of the (left) camera, and runs shorter than `min_steps` go.
    """
    hands = ("left_", "right_") if f"observation.images.left_{PICTURES.partition('.')[2]}" in episode.streams else ("",)
    times_ns = _stream(episode, PICTURES, hands[0]).clock.times_ns
    grippers = [_gripper(episode, hand, times_ns) for hand in hands]
    sound = np.ones(len(times_ns), bool)
    for gripper in grippers:
        sound &= np.isfinite(gripper.poses[:, 0]) & np.isfinite(gripper.widths_m) & (gripper.frames >= 0)
    for number, run in enumerate(runs_of(sound, least=min_steps)):
        streams = [
            s for index, gripper in enumerate(grippers) for s in _streams(index, gripper, run, times_ns, episode.id)
        ]
        yield Episode(
            id=f"{episode.id}_{number}" if number else episode.id,
            streams={stream.name: stream for stream in streams},
            embodiment=episode.embodiment,
            instructions=episode.instructions,
            outcome=episode.outcome,
            origin=episode.origin,
            declared_rate_hz=episode.declared_rate_hz,
            extra={**episode.extra, "umi_run": {"of": episode.id, "first_frame": run.start, "end_frame": run.stop}},
        )


def _stream(episode: Episode, name: str, hand: str) -> Stream:
    head, _, last = f"observation.{name}".rpartition(".")
    return episode.stream(f"{head}.{hand}{last}")


def _gripper(episode: Episode, hand: str, times_ns: NDArray[np.int64]) -> _Gripper:
    pictures = _stream(episode, PICTURES, hand)
    own_ns = pictures.clock.times_ns
    frames = _nearest(own_ns, times_ns)
    poses, widths = np.full((len(own_ns), 7), np.nan), np.full(len(own_ns), np.nan)
    tip = _stream(episode, TIP, hand)
    poses[np.searchsorted(own_ns, tip.clock.times_ns)] = tip.table
    width = _stream(episode, WIDTH, hand)
    widths[np.searchsorted(own_ns, width.clock.times_ns)] = width.table[:, 0]
    return _Gripper(pictures, poses[frames], widths[frames], np.asarray(frames, np.int64))


def _nearest(own_ns: NDArray[np.int64], times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sample nearest to each time, -1 beyond half a period: the other hand is not filmed then."""
    if len(own_ns) == len(times_ns) and np.array_equal(own_ns, times_ns):
        return np.arange(len(times_ns))
    right = np.clip(np.searchsorted(own_ns, times_ns), 1, len(own_ns) - 1)
    nearest = right - (times_ns - own_ns[right - 1] < own_ns[right] - times_ns)
    half_ns = float(np.median(np.diff(own_ns))) / 2
    return np.asarray(np.where(np.abs(own_ns[nearest] - times_ns) <= half_ns, nearest, -1), np.int64)


def _streams(index: int, gripper: _Gripper, run: slice, times_ns: NDArray[np.int64], name: str) -> Iterator[Stream]:
    quality = gripper.pictures.clock.quality
    reading = Reading(times_ns[run], quality)
    clock = Clock(run.stop - run.start, lambda: reading, declared_rate_hz=gripper.pictures.clock.declared_rate_hz)
    poses, robot = gripper.poses[run], f"robot{index}_"
    places, turns = poses[:, :3].astype(np.float32), rotation_vectors(poses[:, 3:]).astype(np.float32)
    six = np.concatenate([poses[:, :3], rotation_vectors(poses[:, 3:])], axis=1)
    metres, radians = Fact("m", Evidence.USER), Fact("rad", Evidence.USER)
    yield _numbers(f"{robot}eef_pos", clock, places, Meaning(unit=metres))
    yield _numbers(f"{robot}eef_rot_axis_angle", clock, turns, Meaning(unit=radians, rotation=Fact("axis_angle")))
    yield _numbers(
        f"{robot}gripper_width", clock, gripper.widths_m[run].astype(np.float32)[:, np.newaxis], Meaning(unit=metres)
    )
    # The same in every row: UMI's training reads the start of the demonstration beside each of its steps.
    yield _numbers(f"{robot}demo_start_pose", clock, np.repeat(six[:1], len(six), axis=0), Meaning())
    yield _numbers(f"{robot}demo_end_pose", clock, np.repeat(six[-1:], len(six), axis=0), Meaning())
    small = RawImages(_Small(gripper.pictures.pictures, gripper.frames[run]), where=f"{name}: camera{index}_rgb")
    yield Stream(f"camera{index}_rgb", Kind.IMAGE, Role.CAMERA, clock, small, encoding="raw")


def _numbers(name: str, clock: Clock, values: NDArray[Any], meaning: Meaning) -> Stream:
    return Stream(name, Kind.TENSOR, Role.STATE, clock, ArrayValues(values), meaning=meaning)


class _Small:
    """Frames cut to their middle square and made small, one at a time; none is held in memory."""

    def __init__(self, pictures: Pictures, frames: NDArray[np.int64]) -> None:
        self._values: Values = IndexedValues((len(frames), SIDE_PX, SIDE_PX, 3), np.uint8, self._load)
        self._pictures, self._frames = pictures, frames

    @property
    def shape(self) -> tuple[int, ...]:
        return self._values.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._values.dtype

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return self._values[index]

    def encoded(self, index: int) -> EncodedPicture | None:
        """None: these pixels lie nowhere."""
        return None

    def _load(self, row: int) -> NDArray[Any]:
        cv2 = opencv()
        picture = np.asarray(self._pictures[int(self._frames[row])])
        side = min(picture.shape[:2])
        top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
        square = picture[top : top + side, left : left + side]
        # INTER_AREA: the mean of the pixels that become one, as UMI's own get_image_transform has it.
        return np.asarray(cv2.resize(square, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA))
