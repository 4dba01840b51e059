"""Samples that are missing from a stream's clock.

What it finds:
    Stretches in which a stream with measured times falls silent for much longer than its usual interval:
    dropped frames, a stalled driver, a paused recorder.

Why it hurts:
    A policy that is trained on sample numbers sees the robot jump: the motion of the whole gap happens
    "in one step". Action labels right after a gap are too large, and observation windows mix two moments.

Example:
    The wheel odometry of a published Husky recording (10 Hz for 395 s) holds one gap of 208 ms, twice its
    period; AgiBot World removed whole episodes because of frame loss.

Limits:
    Abstains for clocks that are synthesized or declared: LeRobot writes frame_index / fps, which cannot
    show a gap. A stream that is sent on change only (events) has no usual interval: it abstains where the
    intervals spread wider than the threshold.

Repair:
    Split the episode at the gap, or drop it. Splitting does not change what the robot would have done;
    interpolating over the gap would, and is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robokata.core.clock import NS_PER_S, measured_clock
from robokata.core.contracts import Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Role, Stream
from robokata.core.values import ArrayValues

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)


def check(
    episode: Episode,
    *,
    # 1.8 periods: one dropped sample makes 2.0 periods, and jitter of a busy USB bus stays below 1.5 (lerobot-doctor's
    # own limit for "late").
    longer_than_periods: float = 1.8,
    # 0.5 s without a sample is half a second of blind robot at any rate: an error, not a blemish.
    error_above_s: float = 0.5,
) -> Iterator[Verdict]:
    """One finding per stream that has gaps, located at the longest."""
    for stream in episode.streams.values():
        if stream.role is not Role.BOOKKEEPING and stream.clock.is_measured and len(stream.clock) >= 8:
            yield from _judge(episode, stream, longer_than_periods, error_above_s)


def _judge(episode: Episode, stream: Stream, longer_than_periods: float, error_above_s: float) -> Iterator[Verdict]:
    times_ns = stream.clock.times_ns
    intervals_ns = np.diff(times_ns)
    # Median, not mean: one 3 s pause would triple the mean period and hide every gap.
    period_ns = float(np.median(intervals_ns))
    if period_ns <= 0 or np.percentile(intervals_ns, 90) > longer_than_periods * period_ns:
        yield Abstention(
            "clock_gap", f"stream {stream.name} has no usual interval to compare with", episode.id, stream.name
        )
        return
    gaps = np.flatnonzero(intervals_ns > longer_than_periods * period_ns)
    if not len(gaps):
        return
    longest = int(gaps[np.argmax(intervals_ns[gaps])])
    gap_s, period_s = float(intervals_ns[longest]) / NS_PER_S, period_ns / NS_PER_S
    missing = int(np.sum(np.round(intervals_ns[gaps] / period_ns) - 1))
    start_s = episode.seconds(int(times_ns[longest]))
    yield Finding(
        check="clock_gap",
        level=Level.ERROR if gap_s > error_above_s else Level.WARNING,
        message=(
            f"{stream.name} is silent for {gap_s * 1000:.0f} ms where a sample comes every {period_s * 1000:.1f} ms; "
            f"{len(gaps)} gap{'s' if len(gaps) != 1 else ''}, about {missing} samples missing in all"
        ),
        episode=episode.id,
        stream=stream.name,
        start_s=start_s,
        end_s=start_s + gap_s,
        measured=gap_s,
        expected=period_s,
        unit="s",
        repair="split the episode at the gap, or drop it",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Lose the samples of 0.3 s (times `magnitude`) in the middle of the first measured stream."""
    stream = next(s for s in episode.streams.values() if s.clock.is_measured and s.role is not Role.BOOKKEEPING)
    times_ns = stream.clock.times_ns
    lost = round(0.3 * magnitude * len(times_ns) / max(1e-9, (times_ns[-1] - times_ns[0]) / NS_PER_S))
    first = int(rng.integers(len(times_ns) // 4, len(times_ns) // 2))
    kept = np.delete(np.arange(len(times_ns)), slice(first, first + lost))
    clock = measured_clock(times_ns[kept], declared_rate_hz=stream.clock.declared_rate_hz)
    planted = stream.with_values(ArrayValues(stream.values[kept]), clock=clock)
    return episode.with_stream(planted)
