"""Streams of one episode that start or end at different times.

What it finds:
    Cameras, states, actions and other regular streams whose first or last sample lies more than half a second (and
    three of their periods) from those of the other streams; tables of the same rate whose lengths differ by
    more than one sample; streams that hold nothing at all.

Why it hurts:
    Where a stream is silent, loaders repeat its last sample: the policy is shown a frozen camera while the
    robot moves. Streams of different length that are paired by sample number are shifted against each other.

Example:
    A USB camera that drops off the bus ends its topic in the middle of a bag, and nothing in the bag says
    so; 128 of 170 episodes of a published Sawyer set differ by 2-3 % between the video's and the table's
    duration.

Limits:
    Topics of few messages, events and latched topics have no end to speak of and are left out. One sample of
    difference is legal (T + 1 observations around T actions). Streams whose times nobody measured are only
    compared with each other; without any rate it abstains where their lengths differ like different rates.
    With two streams the one that ends first is named, which may be the sound one.

Repair:
    Cut the episode to the stretch that all streams cover, or drop it. Cutting changes where the
    demonstration starts and ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from robokata.checks._picture_files import with_samples
from robokata.checks._ticks import ticks_of
from robokata.core.clock import NS_PER_S, ClockQuality
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict
from robokata.core.stream import Role, Stream

NEEDS: Sequence[Need] = ()

_MAIN = (Role.STATE, Role.ACTION, Role.CAMERA, Role.DEPTH)
_REGULAR = (Role.SENSOR, Role.UNKNOWN)
"""Of a topic whose purpose nobody states, the rhythm tells whether it should last as long as the others."""
_FEWEST_MESSAGES = 20
"""Samples below which a sensor counts as an event: a regular one sends more in the shortest episode."""


_ALONE = (ClockQuality.MEASURED, ClockQuality.UNKNOWN)
"""Qualities that are compared among themselves; the others all are grids."""


class _Extent(NamedTuple):
    """From when to when a clock ticks."""

    stream: Stream
    first_s: float
    last_s: float
    period_s: float


def check(
    episode: Episode,
    *,
    # 0.5 s: cameras of one recorder start and stop within a few frames of each other; half a second is a decision late.
    apart_above_s: float = 0.5,
    apart_above_periods: float = 3.0,
    # A fifth of the episode without a camera, state or action cannot be used as it is.
    error_above_share: float = 0.2,
) -> Iterator[Verdict]:
    """One finding per clock that starts or ends apart from the others, one per main stream without samples."""
    wanted = [s for s in episode.streams.values() if _is_wanted(s)]
    filled = [s for s in wanted if len(s.clock)]
    for stream in wanted:
        if not len(stream.clock) and filled and stream.role in _MAIN:
            yield _empty(episode, stream)
    for family in _families(filled):
        if _counts_cannot_tell(family):
            reason = "the format keeps no times, and the streams differ in length like streams of different rates"
            yield Abstention(reason, episode.id)
            continue
        extents = [extent for stream in family if (extent := _extent(episode, stream)) is not None]
        if len(extents) > 1:
            yield from _judge(episode, extents, apart_above_s, apart_above_periods, error_above_share)


def _is_wanted(stream: Stream) -> bool:
    if not (stream.is_numeric or stream.is_picture):
        return False
    is_regular = stream.role in _REGULAR and len(stream.clock) >= _FEWEST_MESSAGES
    return stream.role in _MAIN or is_regular


def _families(streams: Sequence[Stream]) -> Iterator[list[Stream]]:
    """Streams whose times can be compared, one per clock: measured with measured, grids with grids."""
    clocks: dict[int, Stream] = {}
    for stream in streams:
        clocks.setdefault(id(stream.clock), stream)
    if len(clocks) < 2:
        return
    families: dict[str, list[Stream]] = {}
    for stream in clocks.values():
        quality = stream.clock.quality
        kind = quality.value if quality in _ALONE else "grid"
        # Steps of two counters (pictures, control steps) differ in number because they are other steps.
        kind += "" if stream.clock.has_times else f" {stream.clock.counter}"
        families.setdefault(kind, []).append(stream)
    yield from families.values()


def _counts_cannot_tell(family: Sequence[Stream]) -> bool:
    counts = [len(stream.clock) for stream in family]
    is_untimed = not family[0].clock.has_times
    # Rates of one robot differ by a factor of 2 or more (15 and 5 Hz); a recording that lost a third is lost anyway.
    return is_untimed and max(counts) > 1.5 * min(counts)


def _extent(episode: Episode, stream: Stream) -> _Extent | None:
    """None for a stream that has no regular clock: it ends with its last event, whenever that is."""
    clock = stream.clock
    if len(clock) < 2:
        return None
    if not clock.has_times:
        return _Extent(stream, float(clock.places.min()), float(clock.places.max()), 1.0)
    ticks = ticks_of(clock)
    if not ticks.is_recurring:
        return None
    first_s, last_s = episode.seconds(int(clock.times_ns.min())), episode.seconds(int(clock.times_ns.max()))
    return _Extent(stream, first_s, last_s, ticks.period_ns / NS_PER_S)


def _judge(
    episode: Episode, extents: list[_Extent], apart_above_s: float, apart_above_periods: float, error_above_share: float
) -> Iterator[Finding]:
    # The upper median of the ends and the lower of the starts: of two streams the shorter one is named.
    start_s = sorted(e.first_s for e in extents)[(len(extents) - 1) // 2]
    end_s = sorted(e.last_s for e in extents)[len(extents) // 2]
    longest = max(extents, key=lambda e: e.last_s - e.first_s)
    for extent in extents:
        limit_s = _limit_s(extent, longest, apart_above_s, apart_above_periods)
        late_s, early_s = extent.first_s - start_s, end_s - extent.last_s
        if max(abs(late_s), abs(early_s)) > limit_s:
            lost_share = max(late_s, early_s) / max(1e-9, end_s - start_s)
            is_error = lost_share > error_above_share and extent.stream.role in _MAIN
            yield _apart(episode, extent, late_s, early_s, limit_s, Level.ERROR if is_error else Level.WARNING)


def _limit_s(extent: _Extent, other: _Extent, apart_above_s: float, apart_above_periods: float) -> float:
    clock = extent.stream.clock
    counted = not clock.is_measured and clock.declared_rate_hz == other.stream.clock.declared_rate_hz
    # Rows of one rate are paired by number: there a second missing sample is one too many.
    return 1.5 * extent.period_s if counted else max(apart_above_s, apart_above_periods * extent.period_s)


def _apart(episode: Episode, extent: _Extent, late_s: float, early_s: float, limit_s: float, level: Level) -> Finding:
    at_end = abs(early_s) >= abs(late_s)
    apart_s = early_s if at_end else late_s
    verb = ("ends" if at_end else "starts", "before" if at_end == (apart_s > 0) else "after")
    if not extent.stream.clock.has_times:
        message = (
            f"{extent.stream.name} holds {len(extent.stream.clock)} samples, "
            f"{abs(round(apart_s))} {'fewer' if apart_s > 0 else 'more'} than the episode's other streams"
        )
    else:
        message = f"{extent.stream.name} {verb[0]} {abs(apart_s):.2f} s {verb[1]} the episode's other streams"
    edge_s = extent.last_s if at_end else extent.first_s
    other_s = edge_s + apart_s if at_end else edge_s - apart_s
    return Finding(
        level=level,
        message=message,
        episode=episode.id,
        stream=extent.stream.name,
        spans=(_span(extent, min(edge_s, other_s), max(edge_s, other_s)),),
        measured=abs(apart_s),
        expected=f"below {limit_s:.3g}",
        unit="samples" if not extent.stream.clock.has_times else "s",
        repair="cut the episode to the stretch that all streams cover, or drop it",
    )


def _span(extent: _Extent, start: float, end: float) -> Span:
    """From one end to the other: seconds, or step numbers where there are no times. No stream has a sample at both."""
    return Span(start, end) if extent.stream.clock.has_times else Span(None, None, round(start), round(end))


def _empty(episode: Episode, stream: Stream) -> Finding:
    return Finding(
        level=Level.WARNING,
        message=f"{stream.name} holds no sample, while other streams of the episode do",
        episode=episode.id,
        stream=stream.name,
        measured=0,
        expected="samples",
        repair="drop the episode, or the stream from the whole dataset",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """End one camera (else the last main stream) when a quarter (times `magnitude`) of it is still to come."""
    main = [s for s in episode.streams.values() if s.role in _MAIN and _is_wanted(s) and len(s.clock) >= 8]
    cameras = [s for s in main if s.is_picture]
    if len(main) < 2 or magnitude <= 0:
        return episode
    stream = cameras[int(rng.integers(len(cameras)))] if cameras else main[-1]
    kept = max(2, round(len(stream) * (1 - 0.25 * magnitude)))
    # The ended stream gets a clock of its own, also where it shared one: the others go on.
    return episode.with_stream(with_samples(stream, np.arange(kept)))
