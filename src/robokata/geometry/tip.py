"""Where the tip of each arm was: the path of the end effector, found by role and name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.stream import Role, Stream

_TIP = re.compile(
    r"cartesian_pos|tip_pose|(?:^|[._/ ])(?:eef?|ee_?pos(?:e|ition)?|eef_pos|tcp|end_?effector)(?:$|[._/ ])", re.I
)
_AXIS = re.compile(r"^(?P<owner>.*?)(?:^|[._/ ])(?P<axis>[xyz])$", re.I)


class TipPath(NamedTuple):
    """The path of one arm's tip."""

    name: str
    """The arm, or the stream where it names none."""
    stream: str
    times_s: NDArray[np.float64]
    """(T,) seconds from the episode's start."""
    position_m: NDArray[np.float64]
    """(T, 3); metres where the source counts in metres, as all do that we know."""
    has_times: bool
    """False where the format keeps no times, and `times_s` are sample numbers."""

    def at(self, time_s: float) -> int:
        """Number of the newest sample that is not younger than a time, 0 where all are."""
        return max(0, int(np.searchsorted(self.times_s, time_s, side="right")) - 1)


def tip_paths(episode: Episode) -> list[TipPath]:
    """Paths of all tips, from the first stream of measured state that holds positions; empty where none does."""
    for stream in episode.numeric(Role.STATE):
        if len(stream) > 1:
            paths = list(_paths(episode, stream))
            if paths:
                return paths
    return []


def times_of(episode: Episode, stream: Stream) -> NDArray[np.float64]:
    """Times of a stream's samples in seconds from the episode's start, (T,); step numbers without times."""
    if not stream.clock.has_times:
        return stream.clock.places.astype(np.float64)
    return (stream.clock.times_ns - episode.start_ns) / NS_PER_S


def has_times(stream: Stream) -> bool:
    """True where the clock counts seconds, and not samples."""
    return stream.clock.has_times


def _paths(episode: Episode, stream: Stream) -> Iterator[TipPath]:
    for name, columns in _positions(stream):
        position = np.asarray(stream.table[:, columns], dtype=np.float64)
        if np.isfinite(position).all():
            yield TipPath(name, stream.name, times_of(episode, stream), position, has_times(stream))


def _positions(stream: Stream) -> Iterator[tuple[str, list[int]]]:
    """Owner and columns of each position in a stream."""
    if stream.channels is None:
        # Poses without channel names are written position first by every format that we read.
        if _TIP.search(stream.name) and stream.table.shape[1] in (3, 6, 7):
            yield stream.name, [0, 1, 2]
        return
    owners: dict[str, dict[str, int]] = {}
    for column, channel in enumerate(stream.channels):
        found = _AXIS.match(channel)
        if found is not None and (_TIP.search(stream.name) or _TIP.search(f"{found['owner']}.") or "tip" in channel):
            owners.setdefault(found["owner"], {})[found["axis"].lower()] = column
    for owner, axes in owners.items():
        if len(axes) == 3:
            yield owner.removesuffix("tip").strip("._/ ") or stream.name, [axes["x"], axes["y"], axes["z"]]
