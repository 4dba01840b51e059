"""Intervals of a stream that vary around its rate.

What it finds:
    Streams with measured times whose intervals, gaps left out, scatter by more than a tenth of the period:
    a busy USB bus, a Python loop with sleeps, stamps taken at receipt instead of at capture.

Why it hurts:
    Training on sample numbers takes the stream for a regular one. Speeds from differences carry the
    jitter as noise: 20 % of jitter is 20 % of noise on every delta action.

Example:
    The odometry of a published Jackal recording is sent every 20 ms exactly (header stamps); by its receive
    stamps the intervals run from 0 to 36 ms.

Limits:
    Abstains for times that nobody measured, for events (no usual interval, no declared rate that their mean
    rate meets, and no mean rate that stays the same through the episode), and where the clock itself
    ticks in steps of more than a third of the period (milliseconds for a 1 kHz stream): the scatter is then the
    clock's and not the stream's. Missing samples are `clock_gap`'s.

Repair:
    Resample the stream by its measured times onto a regular grid, or use the stamps of capture where the
    source has both. Resampling numbers does not change what the robot did, only when it is sampled.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from robokata.checks._ticks import (
    FEWEST_SAMPLES,
    Ticks,
    UsedClock,
    clocked_stream,
    hertz,
    measured_clocks,
    restamped,
    ticks_of,
    unmeasured,
)
from robokata.core.clock import NS_PER_S
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict, spans_from, stretches_in_words
from robokata.geometry.runs import Run, runs_of, span_of

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)
CURVE = CurveKind.INTERVALS

_GAP_PERIODS = 1.8
"""Intervals above are `clock_gap`'s: a lost sample is not jitter."""
_COARSE_SHARE = 1 / 3
"""Steps of the clock, in periods, above which rounding alone scatters the intervals by 10 % (step / sqrt(12))."""
_WINDOW_INTERVALS = 16
"""Intervals over which a rate is taken as the mean: stamps that scatter by a whole period move it by 6 %."""
_STEADY_SHARE = 0.12
"""Interquartile range of the period over such windows below which a stream has a rate after all. Stamps at random
around a grid leave 0.05, events at random 0.34 (1.35 / sqrt(16))."""
_DECLARED_SHARE = 0.2
"""How near the mean rate must be to the declared one for that to speak of this stream: `rate_contradicts_declaration`
reports the others."""


def check(
    episode: Episode,
    *,
    # 10 %: the limit of published checkers for this coefficient of variation, and the tolerance of ROS for a rate.
    scatter_above_share: float = 0.1,
) -> Iterator[Verdict]:
    """One finding per clock that jitters, with the stretches in which it does."""
    yield from unmeasured(episode)
    for used in measured_clocks(episode):
        verdict = _judge(episode, used, scatter_above_share)
        if verdict is not None:
            yield verdict


def _judge(episode: Episode, used: UsedClock, scatter_above_share: float) -> Verdict | None:
    ticks = ticks_of(used.stream.clock)
    period_ns = _period_ns(episode, used, ticks)
    if period_ns is None:
        reason = f"stream {used.label} has no usual interval to compare with"
        return Abstention(reason, episode.id, used.stream.name)
    kept = ticks.intervals_ns[(ticks.intervals_ns >= 0) & (ticks.intervals_ns <= _GAP_PERIODS * period_ns)]
    scatter_share = float(kept.std()) / period_ns if len(kept) else 0.0
    if scatter_share <= scatter_above_share or len(kept) < FEWEST_SAMPLES:
        return None
    step_ns = int(np.gcd.reduce(kept))
    if step_ns > _COARSE_SHARE * period_ns:
        reason = (
            f"the clock of {used.label} ticks in steps of {step_ns / 1e6:g} ms, "
            f"too coarse for a period of {period_ns / 1e6:.3g} ms"
        )
        return Abstention(reason, episode.id, used.stream.name)
    return _finding(episode, used, period_ns, scatter_share, scatter_above_share)


def _period_ns(episode: Episode, used: UsedClock, ticks: Ticks) -> float | None:
    """The interval at which the stream is meant to come; None for events."""
    if ticks.is_recurring:
        return ticks.period_ns
    # No usual interval: heavy jitter, or events. What tells them apart is the rate over many samples.
    window = min(_WINDOW_INTERVALS, len(ticks.intervals_ns))
    total_ns = np.cumsum(np.concatenate(([0], ticks.intervals_ns)))
    low_ns, mean_ns, high_ns = np.quantile((total_ns[window:] - total_ns[:-window]) / window, [0.25, 0.5, 0.75])
    declared_hz = used.stream.clock.declared_rate_hz or episode.declared_rate_hz
    if declared_hz is not None:
        period_ns = NS_PER_S / float(declared_hz)
        return period_ns if abs(mean_ns - period_ns) <= _DECLARED_SHARE * period_ns else None
    # Every fifth sample with the stamp of the one before: several messages of one moment, `clock_backwards` tells.
    is_in_batches = float(np.mean(ticks.intervals_ns == 0)) > 0.2
    if is_in_batches or len(ticks.intervals_ns) < 2 * window or high_ns - low_ns > _STEADY_SHARE * mean_ns:
        return None
    return float(mean_ns)


def _finding(episode: Episode, used: UsedClock, period_ns: float, scatter_share: float, limit_share: float) -> Finding:
    ticks = ticks_of(used.stream.clock)
    off = np.abs(ticks.intervals_ns - period_ns)
    off[ticks.intervals_ns > _GAP_PERIODS * period_ns] = 0
    window = min(len(off), max(FEWEST_SAMPLES, round(NS_PER_S / period_ns)))
    sums = np.convolve(off, np.ones(window), "valid")
    # Seconds whose intervals are off as far as those of a normal scatter at the limit (mean = 0.8 deviations), and
    # the worst one in any case.
    is_hot = sums > 0.8 * limit_share * period_ns * window
    is_hot[np.argmax(sums)] = True
    runs = [Run(run.first, run.last + window) for run in runs_of(is_hot, bridge=window)]
    worst = next(run for run in runs if run.first <= np.argmax(sums) <= run.last)
    spans = {run: span_of(episode, used.stream.clock, run.first, run.last) for run in runs}
    told = spans_from(spans.values(), worst=spans[worst])
    low, high = (float(x) for x in np.percentile(ticks.intervals_ns, [1, 99]))
    return Finding(
        level=Level.WARNING,
        message=(
            f"the intervals of {used.label} scatter by {scatter_share:.0%} of the period: 98 % of them lie between "
            f"{low / 1e6:.1f} and {high / 1e6:.1f} ms at {hertz(period_ns):.3g} Hz; "
            f"off {stretches_in_words(told, worst='worst')}"
        ),
        episode=episode.id,
        stream=used.stream.name,
        spans=told,
        measured=scatter_share,
        expected=limit_share,
        unit="share of the period",
        repair="resample by the measured times, or use the stamps of capture where the source has both",
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Move every stamp of the first measured stream by up to 0.35 periods (times `magnitude`) either way.

    At 1.0 no interval reaches a gap's 1.8 periods, and none runs backwards.
    """
    stream = clocked_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    times_ns = stream.clock.times_ns
    period_ns = (times_ns[-1] - times_ns[0]) / max(1, len(times_ns) - 1)
    moved = (rng.uniform(-0.35, 0.35, len(times_ns)) * magnitude * period_ns).astype(np.int64)
    return episode.with_stream(restamped(stream, np.sort(times_ns + moved)))
