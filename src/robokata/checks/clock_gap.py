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
    show a gap. A stream that is sent on change only (events) has no usual interval: it abstains where half
    of the intervals spread wider than 80 % of the median. A stream that falls silent for good has no next
    sample to measure to: `streams_end_apart` sees that.

Repair:
    Split the episode at the gap, or drop it. Splitting does not change what the robot would have done;
    interpolating over the gap would, and is not offered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from robokata.checks._picture_files import with_samples
from robokata.checks._ticks import UsedClock, clocked_stream, measured_clocks, restamped, ticks_of, unmeasured
from robokata.core.clock import NS_PER_S
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from, stretches_in_words
from robokata.geometry.runs import span_of

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)
CURVE = CurveKind.INTERVALS


def check(
    episode: Episode,
    *,
    # 1.8 periods: one dropped sample makes 2.0 periods, and jitter of a busy USB bus stays below 1.5 (lerobot-doctor's
    # own limit for "late").
    longer_than_periods: float = 1.8,
    # 0.5 s without a sample is half a second of blind robot at any rate: an error, not a blemish.
    error_above_s: float = 0.5,
    # Every twentieth sample gone is 2.5 times the 2 % at which AgiBot-like curation drops whole episodes.
    error_above_share: float = 0.05,
) -> Iterator[Verdict]:
    """One finding per clock that has gaps, with all of them."""
    yield from unmeasured(episode)
    for used in measured_clocks(episode):
        if not ticks_of(used.stream.clock).is_recurring:
            yield Abstention(f"stream {used.label} has no usual interval to compare with", episode.id, used.stream.name)
            continue
        finding = _judge(episode, used, longer_than_periods, error_above_s, error_above_share)
        if finding is not None:
            yield finding


def _judge(
    episode: Episode, used: UsedClock, longer_than_periods: float, error_above_s: float, error_above_share: float
) -> Finding | None:
    ticks, times_ns = ticks_of(used.stream.clock), used.stream.clock.times_ns
    gaps = np.flatnonzero(_silences_ns(times_ns, ticks.period_ns) > longer_than_periods * ticks.period_ns)
    if not len(gaps):
        return None
    silent_ns = ticks.intervals_ns[gaps]
    longest = int(gaps[np.argmax(silent_ns)])
    gap_s, period_s = float(silent_ns.max()) / NS_PER_S, ticks.period_ns / NS_PER_S
    missing = int(np.sum(np.round(silent_ns / ticks.period_ns) - 1))
    missing_share = missing / (missing + len(times_ns))
    spans = {int(at): span_of(episode, used.stream.clock, int(at), int(at) + 1) for at in gaps}
    told = spans_from(spans.values(), worst=spans[longest])
    return Finding(
        level=Level.ERROR if gap_s > error_above_s or missing_share > error_above_share else Level.WARNING,
        message=(
            f"{used.label} is silent for {gap_s * 1000:.0f} ms where a sample comes every {period_s * 1000:.1f} ms; "
            f"{len(gaps)} gap{'s' if len(gaps) != 1 else ''} {stretches_in_words(told)}, about {missing} samples "
            f"({missing_share:.1%}) missing in all"
        ),
        episode=episode.id,
        stream=used.stream.name,
        spans=told,
        measured=gap_s,
        expected=period_s,
        unit="s",
        repair="split the episode at the gap, or drop it",
    )


def _silences_ns(times_ns: NDArray[np.int64], period_ns: float) -> NDArray[np.int64]:
    """Time from the latest stamp so far to each next one, (T - 1,); 0 where a stamp is late and no sample is missing.

    A stamp that was set back makes a long interval behind it, and a stamp that came late makes a short one before:
    both are other checks' findings, and no sample is missing.
    """
    silences = times_ns[1:] - np.maximum.accumulate(times_ns)[:-1]
    intervals = np.diff(times_ns)
    # Two intervals that together last no longer than two and a half periods hold the two samples that belong there.
    with_neighbour = np.full(len(intervals), np.iinfo(np.int64).max)
    with_neighbour[1:] = intervals[1:] + intervals[:-1]
    with_neighbour[:-1] = np.minimum(with_neighbour[:-1], intervals[:-1] + intervals[1:])
    silences[with_neighbour <= 2.5 * period_ns] = 0
    return silences


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Lose the samples of 0.3 s (times `magnitude`) in the middle of the first measured stream.

    Where nobody measured the times, the stream gets those that a recorder would have kept.
    """
    stream = clocked_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    times_ns = stream.clock.times_ns
    count = len(times_ns)
    lost = max(1, round(0.3 * magnitude * count / max(1e-9, (times_ns[-1] - times_ns[0]) / NS_PER_S)))
    first = int(rng.integers(count // 4, count // 2))
    kept = np.delete(np.arange(count), slice(first, min(first + lost, count - 2)))
    thinned = with_samples(stream, kept)
    return episode.with_stream(thinned if stream.clock.is_measured else restamped(thinned, times_ns[kept]))
