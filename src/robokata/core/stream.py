"""Values over time on their own clock, and what they mean."""

from __future__ import annotations

import enum
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock
from robokata.core.require import require
from robokata.core.values import Index, Pictures, Values


class Kind(enum.StrEnum):
    """What one sample is."""

    TENSOR = "tensor"
    """Numbers of one fixed shape."""
    RAGGED = "ragged"
    """Numbers whose shape changes from sample to sample (point clouds)."""
    VIDEO = "video"
    """A picture inside a video: its neighbours are needed to decode it."""
    IMAGE = "image"
    """A picture on its own, encoded or raw."""
    TEXT = "text"
    """Text; `values` has dtype object and holds `str`."""
    MESSAGE = "message"
    """Bytes of a message that we do not take apart; `values` has dtype object and holds `bytes`."""


class Role(enum.StrEnum):
    """What a stream is for."""

    STATE = "state"
    """What the robot measured of itself: joints, end effector, gripper."""
    ACTION = "action"
    """What the robot was told to do."""
    CAMERA = "camera"
    DEPTH = "depth"
    """Pictures whose values are distances, or codes of distances: no colours."""
    SENSOR = "sensor"
    """Anything else that was measured: IMU, force, odometry, object poses of a simulator."""
    REWARD = "reward"
    ENDING = "ending"
    """Flags that say that the episode ends here: done, is_last, is_terminal, success."""
    LANGUAGE = "language"
    BOOKKEEPING = "bookkeeping"
    """Counters and stamps that the format keeps for itself: frame_index, episode_index, timestamp."""
    UNKNOWN = "unknown"


class Evidence(enum.StrEnum):
    """Who says so."""

    FILE = "file"
    ROBOT = "robot"
    USER = "user"
    INFERRED = "inferred"


@dataclass(frozen=True)
class Fact:
    """One statement about meaning, and who makes it. Absent statements are None: unknown, never guessed."""

    value: str
    evidence: Evidence = Evidence.FILE
    score: float | None = None
    """Strength of an inferred fact in 0..1, None where the fact was declared."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Meaning:
    """What the numbers mean. Every field may be None, which means unknown."""

    unit: Fact | None = None
    """SI unit of the values, `rad`, `m`, `m/s`, or the source's own word."""
    frame: Fact | None = None
    """Frame of reference: `base`, `tool`, `world`, `camera:<name>`."""
    rotation: Fact | None = None
    """`euler:xyz:extrinsic`, `quat_xyzw`, `quat_wxyz`, `axis_angle`, `rot6d_rows`, `rot6d_cols`."""
    reference: Fact | None = None
    """`absolute`, `delta_prev_measured`, `delta_prev_command`, `relative_to_chunk_start`, `velocity`."""
    gripper: Fact | None = None
    """`1_open`, `1_closed`, `width_m`."""
    normalisation: Fact | None = None


UNKNOWN_MEANING = Meaning()

OPTIONAL = "optional"
"""Key of `Stream.extra`, True where the source may leave a value out: the times are no rate, and their gaps no loss."""
LATE = "late"
"""Key of `Stream.oddities`: the file holds the messages in another order than they were received."""
UNDECODABLE = "undecodable"
"""Key of `Stream.oddities`: messages whose pictures nobody can decode; they are no samples."""


@dataclass(frozen=True, eq=False)
class Stream:
    """Values over time on their own clock. Two streams are equal only if they are the same object."""

    name: str
    """The source's own name: `observation.state`, `/joint_states`."""
    kind: Kind
    role: Role
    clock: Clock
    values: Values
    channels: tuple[str, ...] | None = None
    """Name of each number along the last axis, None where the source does not say."""
    meaning: Meaning = UNKNOWN_MEANING
    encoding: str | None = None
    """How a sample lies on disk: `h264`, `jpeg`, `raw`, `parquet`, `ros2:sensor_msgs/msg/Imu`; None if unknown."""
    other_clocks: Mapping[str, Clock] = field(default_factory=dict)
    """Further clocks of the same samples, by their name in the source: `header`, `publish`, `receive`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """What the source says about this stream and has no other home."""
    oddities: Mapping[str, str] = field(default_factory=dict)
    """What is odd about how the samples lie in this very file, in words; a copy elsewhere has its own."""
    declared: Mapping[str, Any] = field(default_factory=dict)
    """What an index says and only the file knows. Of pictures: any of `height`, `width`, `channels`, `codec`,
    `pixel_format`, `bits`, `frames` (in the whole file), `is_depth`, `has_sound`, `rate_hz`, `intrinsics`; of others:
    `samples`, and `where` it says so. Nothing is read by it; it is compared with the file."""

    def __repr__(self) -> str:
        return f"Stream({self.name!r}, {self.kind}, {self.role}, {self.values!r})"

    def __len__(self) -> int:
        return len(self.values)

    def _repr_html_(self) -> str:
        # By name: how things look in a notebook lies above what they are.
        shown: str = importlib.import_module("robokata.viewing.html.notebook").stream_html(self)
        return shown

    def index_at(self, moment_ns: int) -> int | None:
        """Index of the newest sample at a moment on the stream's clock; None before the first.

        Raises:
            ClockUnknown: the stream has no times.
        """
        times_ns = self.clock.times_ns
        newest = np.flatnonzero(times_ns <= moment_ns)
        # A clock may run backwards: the newest is the one of the latest time, of equal ones the last.
        return int(newest[len(newest) - 1 - np.argmax(times_ns[newest][::-1])]) if len(newest) else None

    def at(self, seconds: float) -> Any:
        """The newest sample at a moment, in seconds from the stream's own first sample.

        `Episode.at` counts from the start of the episode.

        Raises:
            ClockUnknown: the stream has no times.
            IndexError: the moment lies before the first sample, or the stream is empty.
        """
        times_ns = self.clock.times_ns
        index = self.index_at(int(times_ns.min()) + round(seconds * NS_PER_S)) if len(times_ns) else None
        if index is None:
            raise IndexError(f"stream {self.name!r} has no sample at {seconds:g} s")
        return self.values[index]

    @property
    def frames(self) -> Frames:
        """The pictures: `frames[12]` is an array (H, W, C), `frames.image(12)` a PIL image.

        Raises:
            TypeError: the stream holds no pictures.
        """
        return Frames(self.pictures)

    def plot(self, *, channels: Sequence[str | int] | None = None, axes: Any = None) -> Any:
        """Draw channels over seconds (over steps where the stream has no times) by matplotlib; gives its axes.

        Raises:
            TypeError: the stream does not hold numbers.
            MissingPart: matplotlib is not installed.
        """
        # By name: how things look in a notebook lies above what they are.
        return importlib.import_module("robokata.viewing.curve_plot").plot_stream(self, channels=channels, axes=axes)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return tuple(self.values.shape[1:])

    @property
    def is_picture(self) -> bool:
        """True for videos and images."""
        return self.kind in (Kind.VIDEO, Kind.IMAGE)

    @property
    def is_numeric(self) -> bool:
        """True where the samples are numbers of one fixed shape."""
        return self.kind is Kind.TENSOR and self.values.dtype.kind in "fiub"

    @property
    def pictures(self) -> Pictures:
        """The values as pictures.

        Raises:
            TypeError: the stream holds no pictures.
        """
        # By its class: isinstance with a protocol evaluates `shape`, which opens the media and raises where it is lost.
        if not self.is_picture or not hasattr(type(self.values), "luma"):
            raise TypeError(f"stream {self.name!r} holds {self.kind}, not pictures")
        return cast(Pictures, self.values)

    @cached_property
    def table(self) -> NDArray[Any]:
        """All samples as one matrix, (T, D), read once. D is the product of the sample's shape, 1 for scalars.

        Raises:
            TypeError: the stream does not hold numbers of one fixed shape.
        """
        if not self.is_numeric:
            raise TypeError(f"stream {self.name!r} holds {self.kind} of {self.values.dtype}, not numbers")
        array = np.asarray(self.values[:])
        # The width is named, not -1: an episode of no samples has no size to infer it from.
        return array.reshape(len(array), int(np.prod(self.shape, dtype=np.int64)))

    def channel_name(self, channel: int) -> str:
        """Name of one column of `table`: the source's own, else its number."""
        if self.channels is not None and channel < len(self.channels):
            return self.channels[channel]
        return str(channel)

    def with_values(self, values: Values, *, clock: Clock | None = None) -> Stream:
        """The same stream with other values (and another clock, where their number changes)."""
        return replace(self, values=values, clock=self.clock if clock is None else clock)


class Frames:
    """The pictures of a stream by their number."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, index: Index) -> NDArray[Any]:
        return self._pictures[index]

    def __repr__(self) -> str:
        return f"Frames({len(self)} of {'x'.join(map(str, self._pictures.shape[1:]))})"

    def image(self, index: int) -> Any:
        """One picture as a PIL image.

        Raises:
            MissingPart: Pillow is not installed.
        """
        picture = np.asarray(self._pictures[index])
        return require("PIL.Image", extra="notebook").fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture)
