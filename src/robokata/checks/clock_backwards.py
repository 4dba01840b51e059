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
    here. Topics that several publishers share (messages that are not taken apart, texts) may carry equal or
    crossed stamps for good reason: they are told as INFO, and so are the further clocks of a stream.

Repair:
    Use another clock of the same samples where one is sound (header instead of receive). Else split the
    episode at the step; neither changes what the robot would have done. Sorting by time would, where the
    clock was wrong and not the order, and is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from robokata.checks._ticks import UsedClock, clocked_stream, measured_clocks, restamped, ticks_of, unmeasured
from robokata.core.clock import NS_PER_S
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Finding, Level, Verdict
from robokata.core.stream import Kind

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)

_SAMPLED = (Kind.TENSOR, Kind.VIDEO, Kind.IMAGE)
"""Kinds whose samples one device takes one after the other."""


def check(episode: Episode) -> Iterator[Verdict]:
    """One finding per clock that steps back (at its largest step), one per clock that repeats a time.

    There are no thresholds: no clock that was read once per sample does either.
    """
    yield from unmeasured("clock_backwards", episode)
    for used in measured_clocks(episode):
        sampled = used.stream.kind in _SAMPLED
        back, equal = (Level.ERROR, Level.WARNING) if sampled else (Level.INFO, Level.INFO)
        times_ns, intervals_ns = used.stream.clock.times_ns, ticks_of(used.stream.clock).intervals_ns
        yield from _judge(episode, used.stream.name, f"{used.label}", times_ns, intervals_ns, back, equal)
        yield from _other_clocks(episode, used)


def _other_clocks(episode: Episode, used: UsedClock) -> Iterator[Finding]:
    for name, clock in used.stream.other_clocks.items():
        if clock.is_measured and len(clock) > 1:
            label = f"{used.stream.name} by its {name} clock"
            intervals_ns = ticks_of(clock).intervals_ns
            yield from _judge(episode, used.stream.name, label, clock.times_ns, intervals_ns, Level.INFO, Level.INFO)


def _judge(
    episode: Episode,
    stream: str,
    label: str,
    times_ns: NDArray[np.int64],
    intervals_ns: NDArray[np.int64],
    back_level: Level,
    equal_level: Level,
) -> Iterator[Finding]:
    if intervals_ns.min() > 0:
        return
    worst = int(np.argmin(intervals_ns))
    steps, repeats = int(np.sum(intervals_ns < 0)), int(np.sum(intervals_ns == 0))
    if steps:
        step_s = float(intervals_ns[worst]) / NS_PER_S
        yield Finding(
            check="clock_backwards",
            level=back_level,
            message=(
                f"{label} steps back by {-step_s * 1000:.1f} ms between samples {worst} and {worst + 1}; "
                f"{steps} of {len(intervals_ns)} intervals run backwards"
            ),
            episode=episode.id,
            stream=stream,
            # The later time first: a span runs forwards even where the clock does not.
            start_s=episode.seconds(int(times_ns[worst + 1])),
            end_s=episode.seconds(int(times_ns[worst])),
            measured=step_s,
            expected="> 0",
            unit="s",
            repair="use another clock of the same samples, or split the episode at the step",
        )
    if repeats:
        places = np.flatnonzero(intervals_ns == 0)
        yield Finding(
            check="clock_backwards",
            level=equal_level,
            message=(
                f"{label} gives {repeats} of {len(times_ns)} samples ({repeats / len(times_ns):.1%}) "
                "the same time as the sample before"
            ),
            episode=episode.id,
            stream=stream,
            start_s=episode.seconds(int(times_ns[places[0]])),
            end_s=episode.seconds(int(times_ns[places[-1] + 1])),
            measured=repeats / len(times_ns),
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
