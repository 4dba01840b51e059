"""One attempt by one robot."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple

from robokata.core.clock import NS_PER_S, Clock
from robokata.core.errors import UnknownName
from robokata.core.stream import Evidence, Role, Stream


class EpisodeRef(NamedTuple):
    """Where an episode lies: enough to open it again in another process."""

    format: str
    path: str
    key: str


@dataclass(frozen=True)
class Joint:
    """One joint of a robot; angles in radians, lengths in metres."""

    name: str
    lower: float | None = None
    upper: float | None = None
    velocity_limit: float | None = None
    source: str = ""
    """Document that the numbers come from."""


@dataclass(frozen=True)
class Gripper:
    """Jaws of one arm."""

    joint: str
    """Channel of state and action that holds the opening."""
    open_m: float
    """Distance of the jaws when open."""
    stroke: tuple[tuple[float, float], ...] = ()
    """Joint value (m or rad) and distance of the jaws (m) that go together, rising in both; linear between them."""
    source: str = ""


@dataclass(frozen=True)
class Arm:
    """One arm of a robot."""

    name: str
    """`arm` where there is one, else `left` and `right`."""
    joints: tuple[str, ...]
    """Names of its joints from base to tip, without the gripper."""
    tip: str
    """Site of the kinematic model between the jaws: z out of the hand, y along the jaws' motion."""
    home: tuple[float, ...]
    """Joint values of its rest pose, rad."""
    gripper: Gripper | None = None


@dataclass(frozen=True)
class Embodiment:
    """Facts of a robot, as far as they are known."""

    name: str
    """The source's own word for the robot (`robot_type`, `env_name`)."""
    evidence: Evidence = Evidence.FILE
    joints: tuple[Joint, ...] = ()
    cameras: tuple[str, ...] = ()
    model: str | None = None
    """Kinematic model as text (URDF, MJCF), None where the source has none."""
    arms: tuple[Arm, ...] = ()
    reach_m: tuple[float, float] | None = None
    """Half extents (x, y) of the table around the model's origin where every arm can grasp from above."""


@dataclass(frozen=True)
class Instruction:
    """What the robot was asked to do, and from when to when."""

    text: str
    start_s: float | None = None
    end_s: float | None = None
    """None at both ends: the whole episode."""
    source: str = ""
    """Field of the source that the text comes from."""


@dataclass(frozen=True)
class Annotation:
    """A labelled interval of an episode, in seconds from its start."""

    label: str
    start_s: float
    end_s: float
    source: str = ""


@dataclass(frozen=True)
class Outcome:
    """How the attempt ended. `success` is None where nobody says."""

    success: bool | None = None
    reason: str | None = None
    """Why it is known, or why it is not."""


@dataclass(frozen=True)
class Origin:
    """Where an episode comes from: what the thresholds per robot and session, and the splits, go by."""

    split: str | None = None
    session: str | None = None
    operator: str | None = None
    recorded_at: str | None = None
    made_from: tuple[str, ...] = ()
    """Ids of the episodes that this one was generated from."""


@dataclass(frozen=True, eq=False)
class Episode:
    """Streams, embodiment, instructions, annotations, outcome and origin of one attempt.

    Immutable and lazy: opening one reads indexes, streams read when they are indexed. An episode that
    lies in a file pickles as its `ref` and is opened again where it is unpickled.
    """

    id: str
    streams: Mapping[str, Stream]
    embodiment: Embodiment | None = None
    """None where the source does not say which robot this is."""
    instructions: tuple[Instruction, ...] = ()
    """Empty where the format has no place for language; an empty text where it has one and nobody filled it."""
    annotations: tuple[Annotation, ...] = ()
    outcome: Outcome = Outcome()
    origin: Origin = Origin()
    declared_rate_hz: Fraction | None = None
    """The one rate that the dataset declares for its steps, None where there is none."""
    declared_steps: int | None = None
    """Steps that the dataset's index promises for this episode, None where it promises nothing."""
    declared_statistics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Statistics that the source declares for this episode: stream -> `mean`, `std`, `min`, `max`, `count`."""
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Every source field that has no other home."""
    ref: EpisodeRef | None = None
    """Where the episode lies, None for one that lives in memory."""

    def __repr__(self) -> str:
        return f"Episode({self.id!r}, {len(self.streams)} streams: {', '.join(self.streams)})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self.ref is not None:
            return _reopen, (self.ref,)
        # cached_property stores its value in __dict__; the fields alone make the episode.
        fields = {name: self.__dict__[name] for name in self.__dataclass_fields__}
        return _rebuild, (fields,)

    def _repr_html_(self) -> str:
        # By name: how things look in a notebook lies above what they are.
        shown: str = importlib.import_module("robokata.viewing.html.notebook").episode_html(self)
        return shown

    def __getitem__(self, name: str) -> Stream:
        """One stream by name: `episode["observation.state"]`."""
        return self.stream(name)

    def __contains__(self, name: object) -> bool:
        return name in self.streams

    def __iter__(self) -> Iterator[Stream]:
        return iter(self.streams.values())

    def at(self, seconds: float) -> dict[str, Any]:
        """The newest sample of every stream at a moment, in seconds from the episode's start.

        Streams that have no sample yet are absent.

        Raises:
            ClockUnknown: a stream has no times.
        """
        moment_ns = self.start_ns + round(seconds * NS_PER_S)
        found = {name: stream.index_at(moment_ns) for name, stream in self.streams.items()}
        return {name: self.streams[name].values[index] for name, index in found.items() if index is not None}

    def stream(self, name: str) -> Stream:
        """One stream by name.

        Raises:
            UnknownName: the episode has no such stream; the message lists those it has.
        """
        try:
            return self.streams[name]
        except KeyError:
            raise UnknownName(f"stream of episode {self.id}", name, self.streams) from None

    def of_role(self, *roles: Role) -> Iterator[Stream]:
        """Streams of these roles, in the source's order."""
        return (stream for stream in self.streams.values() if stream.role in roles)

    def numeric(self, *roles: Role) -> Iterator[Stream]:
        """Streams of numbers of these roles (of every role but bookkeeping where none is named)."""
        for stream in self.streams.values():
            wanted = stream.role in roles if roles else stream.role is not Role.BOOKKEEPING
            if wanted and stream.is_numeric:
                yield stream

    def pictures(self) -> Iterator[Stream]:
        """Streams of pictures, in the source's order."""
        return (stream for stream in self.streams.values() if stream.is_picture)

    @cached_property
    def has_times(self) -> bool:
        """True where some stream has times; else the episode has steps and no seconds."""
        return any(len(s.clock) and s.clock.has_times for s in self.streams.values())

    @cached_property
    def start_ns(self) -> int:
        """First time on any clock that has times, in nanoseconds; second 0 of everything shown to people.

        0 where nothing has a time.
        """
        firsts = [int(stream.clock.times_ns.min()) for stream in self._timed]
        return min(firsts, default=0)

    @cached_property
    def end_ns(self) -> int:
        """Last time on any clock that has times, in nanoseconds."""
        lasts = [int(stream.clock.times_ns.max()) for stream in self._timed]
        return max(lasts, default=self.start_ns)

    @property
    def duration_s(self) -> float | None:
        """Seconds from the first to the last sample of any stream; None where some stream has step numbers alone.

        A stream without times may go on longer than the others: what lasts as long as they do is not known.
        """
        if any(len(s.clock) and not s.clock.has_times for s in self.streams.values()):
            return None
        return (self.end_ns - self.start_ns) / NS_PER_S

    @cached_property
    def _timed(self) -> list[Stream]:
        """Streams whose times say when the episode was. Row numbers may count from 0 beside clocks that tell the date:
        they say it only where no other stream does.
        """
        timed = [stream for stream in self.streams.values() if len(stream.clock) and stream.clock.has_times]
        return [stream for stream in timed if stream.role is not Role.BOOKKEEPING] or timed

    def seconds(self, time_ns: int) -> float:
        """A time on the episode's clocks as seconds from its start."""
        return (int(time_ns) - self.start_ns) / NS_PER_S

    def place(self, clock: Clock, sample: int) -> float:
        """Where a sample stands: seconds from the episode's start, or its step number where the clock has no times."""
        at = int(clock.places[sample])
        return self.seconds(at) if clock.has_times else float(at)

    def with_stream(self, stream: Stream) -> Episode:
        """A copy in memory in which one stream is replaced (or added, when its name is new)."""
        return replace(self, streams={**self.streams, stream.name: stream}, ref=None)

    def without_stream(self, name: str) -> Episode:
        """A copy in memory that lacks one stream."""
        return replace(self, streams={n: s for n, s in self.streams.items() if n != name}, ref=None)


def _rebuild(fields: dict[str, Any]) -> Episode:
    return Episode(**fields)


def _reopen(ref: EpisodeRef) -> Episode:
    # By name: an Episode does not know how datasets are found; only unpickling one needs it.
    opened: Episode = importlib.import_module("robokata.core.detection").open_episode(ref)
    return opened
