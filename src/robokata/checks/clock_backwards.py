"""Times of a stream that run backwards or stand still.

What it finds:
    Samples whose measured time lies before that of the sample ahead of them, and samples that carry the
    very same time: a clock that was set during the recording, a border between two recordings inside one
    episode, messages stored out of order, one reading stamped twice.

Why it hurts:
    Everything that looks samples up by time returns the wrong one from there on, interpolation divides by
    zero or by a negative interval, and two streams can no longer be lined up.

Example:
    A Unitree G1 conversion produced steps of -26 to -41 s, because the border between two episodes was
    handled wrongly. In a published Jackal recording several odometry messages carry equal receive stamps
    while their header stamps are exactly 20 ms apart.

Limits:
    Abstains for times that nobody measured. A reset of the clock between episodes is legal and not seen
    here. Messages of a log are read by receive time; where the file holds them in another order, that is told
    as INFO. Topics that several publishers share (messages that are not taken apart, texts) may carry equal or
    crossed stamps for good reason: they are told as INFO, and so are the further clocks of a stream.

Repair:
    Use another clock of the same samples where one is sound (header instead of receive). Else split the
    episode at the step; neither changes what the robot would have done. Sorting by time would, where the
    clock was wrong and not the order, and is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robokata.checks._ticks import clocked_stream, measured_clocks, restamped, ticks_of, unmeasured
from robokata.core.clock import NS_PER_S, Clock
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict, spans_from
from robokata.core.stream import LATE, Kind, Stream
from robokata.geometry.runs import runs_of, span_of

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)
CURVE = CurveKind.INTERVALS

_SAMPLED = (Kind.TENSOR, Kind.VIDEO, Kind.IMAGE)
"""Kinds whose samples one device takes one after the other."""


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per clock that steps back, with every step, one per clock that repeats a time, with every repeat.

    There are no thresholds: no clock that was read once per sample does either.
    """
    yield from unmeasured(episode)
    yield from _late(episode)
    for used in measured_clocks(episode):
        stream = used.stream
        sampled = stream.kind in _SAMPLED
        if ticks_of(stream.clock).intervals_ns.min() <= 0:
            yield from _steps_back(episode, stream, used.label, stream.clock, Level.ERROR if sampled else Level.INFO)
            yield from _repeats(episode, stream, used.label, stream.clock, Level.WARNING if sampled else Level.INFO)
        for name, clock in stream.other_clocks.items():
            if clock.is_measured and len(clock) == len(stream.clock) and ticks_of(clock).intervals_ns.min() <= 0:
                label = f"{stream.name} by its {name} clock"
                yield from _steps_back(episode, stream, label, clock, Level.INFO)
                yield from _repeats(episode, stream, label, clock, Level.INFO)


def _late(episode: Episode) -> Iterator[Finding]:
    """Files whose messages are not in the order of their times; one finding per topic."""
    said: set[str] = set()
    for stream in episode.streams.values():
        words = stream.oddities.get(LATE)
        if words is not None and words not in said:
            said.add(words)
            yield Finding(
                level=Level.INFO,
                message=words,
                episode=episode.id,
                stream=stream.name,
                repair="none is needed for reading: tools that sort by time give the same order",
            )


def _steps_back(episode: Episode, stream: Stream, label: str, clock: Clock, level: Level) -> Iterator[Finding]:
    intervals_ns = ticks_of(clock).intervals_ns
    worst = int(np.argmin(intervals_ns))
    step_s = float(intervals_ns[worst]) / NS_PER_S
    if step_s >= 0:
        return
    # By the stream's own clock, also for a further one.
    spans = {int(at): span_of(episode, stream.clock, int(at), int(at) + 1) for at in np.flatnonzero(intervals_ns < 0)}
    yield Finding(
        level=level,
        message=(
            f"{label} steps back by {-step_s * 1000:.1f} ms between samples {worst} and {worst + 1}; "
            f"{int(np.sum(intervals_ns < 0))} of {len(intervals_ns)} intervals run backwards"
        ),
        episode=episode.id,
        stream=stream.name,
        spans=spans_from(spans.values(), worst=spans[worst]),
        measured=step_s,
        expected="> 0",
        unit="s",
        repair="use another clock of the same samples, or split the episode at the step",
    )


def _repeats(episode: Episode, stream: Stream, label: str, clock: Clock, level: Level) -> Iterator[Finding]:
    places = np.flatnonzero(ticks_of(clock).intervals_ns == 0)
    if not len(places):
        return
    share = len(places) / len(clock)
    runs = runs_of(ticks_of(clock).intervals_ns == 0)
    yield Finding(
        level=level,
        message=f"{label} gives {len(places)} of {len(clock)} samples ({share:.1%}) the same time as the sample before",
        episode=episode.id,
        stream=stream.name,
        spans=spans_from(span_of(episode, stream.clock, run.first, run.last + 1) for run in runs),
        measured=share,
        expected=0,
        unit="share",
        repair="use another clock of the same samples, or drop the repeated samples if their values repeat too",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Set the clock of the first measured stream back by 3.5 periods (times `magnitude`) in the middle.

    It catches up slowly, as a clock does that is slewed: below 5 % per interval, so that nothing else is wrong.
    """
    stream = clocked_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    times_ns = stream.clock.times_ns.copy()
    count = len(times_ns)
    period_ns = (times_ns[-1] - times_ns[0]) / max(1, count - 1)
    first = int(rng.integers(count // 4, count // 2))
    catching_up = np.linspace(1.0, 0.0, count - first)
    times_ns[first:] -= (3.5 * magnitude * period_ns * catching_up).astype(np.int64)
    return episode.with_stream(restamped(stream, times_ns))
