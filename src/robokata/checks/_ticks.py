"""How the clocks of an episode tick: their intervals, and whether there is a usual one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock, measured_clock
from robokata.core.episode import Episode
from robokata.core.finding import Abstention
from robokata.core.stream import OPTIONAL, Kind, Role, Stream

FEWEST_SAMPLES = 8
"""Samples below which a median interval says nothing: two odd intervals would already be a third of them."""
EVENT_SPREAD_SHARE = 0.8
"""Interquartile range over median above which there is no usual interval. Events at random give 1.6 (exponential
intervals), a camera with 35 % jitter on every stamp 0.5, one that loses every fifth frame 0."""


class Ticks(NamedTuple):
    """Intervals of a clock."""

    intervals_ns: NDArray[np.int64]
    """(T - 1,) from each sample to the next, in the order of the samples; may be negative."""
    period_ns: float
    """Median interval, not mean: one 3 s pause would triple the mean and hide every gap."""
    spread_share: float
    """Interquartile range of the intervals as a share of the period; infinite where the period is not positive."""

    @property
    def is_recurring(self) -> bool:
        """True where a usual interval exists: the stream is sent at a rate, not on events."""
        return self.spread_share <= EVENT_SPREAD_SHARE


class UsedClock(NamedTuple):
    """A clock and the streams that tick by it."""

    stream: Stream
    """The one that stands for them: the first state, action or camera, else the first of numbers or pictures."""
    streams: int
    """How many streams share the clock."""

    @property
    def label(self) -> str:
        """The stream's name, and how many others the statement holds for."""
        others = self.streams - 1
        return self.stream.name + (f" (and {others} more on the same clock)" if others else "")


_seen: weakref.WeakKeyDictionary[Clock, Ticks] = weakref.WeakKeyDictionary()


def ticks_of(clock: Clock) -> Ticks:
    """Intervals of a clock; the result is kept as long as the clock lives."""
    known = _seen.get(clock)
    if known is None:
        known = _seen[clock] = _measure(clock.times_ns)
    return known


def used_clocks(episode: Episode) -> list[UsedClock]:
    """Every clock of the episode once, with the streams on it; the format's own counters are left out.

    So are values that the source may leave out: their messages tick, and are judged by the streams that all hold.
    One clock behind forty columns of a table is one clock: its gap is one finding, not forty.
    """
    sharing: dict[int, list[Stream]] = {}
    for stream in episode.streams.values():
        if stream.role is not Role.BOOKKEEPING and not stream.extra.get(OPTIONAL):
            sharing.setdefault(id(stream.clock), []).append(stream)
    return [UsedClock(min(streams, key=_rank), len(streams)) for streams in sharing.values()]


def _rank(stream: Stream) -> int:
    if stream.role in (Role.STATE, Role.ACTION, Role.CAMERA, Role.DEPTH):
        return 0
    return 1 if stream.is_numeric or stream.is_picture else 2


def measured_clocks(episode: Episode) -> list[UsedClock]:
    """The clocks that somebody read, with enough samples to have a usual interval."""
    return [
        used
        for used in used_clocks(episode)
        if used.stream.clock.is_measured and len(used.stream.clock) >= FEWEST_SAMPLES
    ]


def unmeasured(episode: Episode) -> Iterator[Abstention]:
    """One abstention for the streams of a mixed episode whose times nobody measured."""
    names = [used.stream.name for used in used_clocks(episode) if not used.stream.clock.is_measured]
    if names:
        yield Abstention(f"nobody measured the times of {', '.join(names)}", episode.id)


def clocked_stream(episode: Episode) -> Stream | None:
    """The stream whose clock a plant changes: the first measured one, else the first that recurs at all."""
    enough = [
        stream
        for stream in episode.streams.values()
        if stream.role is not Role.BOOKKEEPING
        and stream.kind in (Kind.TENSOR, Kind.VIDEO, Kind.IMAGE)
        and len(stream.clock) >= 2 * FEWEST_SAMPLES
    ]
    return next((stream for stream in enough if stream.clock.is_measured), enough[0] if enough else None)


def restamped(stream: Stream, times_ns: NDArray[np.int64]) -> Stream:
    """The same samples with other times, as a recorder would have kept them."""
    return stream.with_values(
        stream.values, clock=measured_clock(times_ns, declared_rate_hz=stream.clock.declared_rate_hz)
    )


def hertz(interval_ns: float) -> float:
    """Rate of an interval."""
    return NS_PER_S / interval_ns


def _measure(times_ns: NDArray[np.int64]) -> Ticks:
    intervals_ns = np.diff(times_ns)
    count = len(intervals_ns)
    if not count:
        return Ticks(intervals_ns, 0.0, float("inf"))
    ranks = [count // 4, count // 2, (3 * count) // 4]
    low, period, high = (float(x) for x in np.partition(intervals_ns, ranks)[ranks])
    return Ticks(intervals_ns, period, (high - low) / period if period > 0 else float("inf"))
