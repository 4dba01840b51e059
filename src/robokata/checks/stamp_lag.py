"""Two clocks of the same samples that disagree.

What it finds:
    Streams that keep a stamp of the sample itself (`header`) beside that of its arrival (`receive`,
    `publish`), where arrival comes late by more than half a period, varies by more than half a period,
    or comes before the sample was taken.

Why it hurts:
    Whoever lines streams up by arrival shifts each sensor by its own lag: the camera shows the past of the
    joints. A varying lag cannot even be subtracted.

Example:
    The IMU of a published Husky recording arrives 25 ms after its header stamps (20.7 to 36.3 ms), the
    odometry of the same bag under 1 ms; a Jackal's odometry lags by anything up to 32 ms.

Limits:
    Abstains where no stream has two clocks, and where header stamps were never set. It measures the two
    stamps, not the world: a header stamp that is itself taken too late agrees with arrival and is not
    seen. Clocks with different zero points (simulation time, time since boot) are told as INFO.

Repair:
    Line the streams up by header stamps where those are sound; else subtract the steady part of the lag.
    Both change which samples stand side by side, as they stood on the robot.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.checks._ticks import FEWEST_SAMPLES, UsedClock, clocked_stream, restamped, ticks_of, used_clocks
from robokata.core.clock import NS_PER_S, Clock, measured_clock
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Span, Verdict, spans_from, stretches_in_words
from robokata.core.stream import Stream
from robokata.geometry.runs import runs_of, span_of

NEEDS: Sequence[Need] = (Need.MEASURED_CLOCK,)
CURVE = CurveKind.LAGS

_ARRIVALS = ("receive", "log", "publish")
"""Names of the clocks of arrival, the one that a player goes by first."""
_OTHER_ZERO_S = 60.0
"""No transport takes a minute: two clocks further apart count from different moments."""


class _Pair(NamedTuple):
    header: Clock
    arrival: Clock
    arrival_name: str


def check(
    episode: Episode,
    *,
    # Half a period: from there on the nearest sample of another stream is another one.
    lag_above_periods: float = 0.5,
    spread_above_periods: float = 0.5,
    # 5 ms: what scheduling and a local network cost on a healthy robot; less is told of no stream.
    lag_above_s: float = 0.005,
) -> Iterator[Verdict]:
    """One finding per clock that has both stamps: median lag and spread (5th to 95th percentile)."""
    pairs = 0
    for used in used_clocks(episode):
        pair = _pair_of(used.stream)
        if pair is None:
            continue
        pairs += 1
        if np.ptp(pair.header.times_ns) == 0:
            yield Abstention("the header stamps were never set", episode.id, used.stream.name)
            continue
        finding = _judge(episode, used, pair, lag_above_periods, spread_above_periods, lag_above_s)
        if finding is not None:
            yield finding
    if not pairs:
        yield Abstention("no stream has a header stamp and a stamp of arrival", episode.id)


def _pair_of(stream: Stream) -> _Pair | None:
    """The two clocks to compare: the stream's own is the header's unless the source keeps that one beside it."""
    others: Mapping[str, Clock] = {
        name.lower(): clock
        for name, clock in stream.other_clocks.items()
        if clock.is_measured and len(clock) == len(stream.clock)
    }
    if len(stream.clock) < FEWEST_SAMPLES or not stream.clock.is_measured:
        return None
    if "header" in others:
        return _Pair(others["header"], stream.clock, "arrival")
    return next((_Pair(stream.clock, others[name], name) for name in _ARRIVALS if name in others), None)


def _judge(
    episode: Episode,
    used: UsedClock,
    pair: _Pair,
    lag_above_periods: float,
    spread_above_periods: float,
    lag_above_s: float,
) -> Finding | None:
    lag_s = (pair.arrival.times_ns - pair.header.times_ns) / NS_PER_S
    early_s, median_s, late_s = (float(x) for x in np.percentile(lag_s, [5, 50, 95]))
    spread_s = late_s - early_s
    period_s = max(ticks_of(pair.header).period_ns, ticks_of(pair.arrival).period_ns) / NS_PER_S
    is_varying = spread_s > max(lag_above_s, spread_above_periods * period_s)
    has_other_zero = abs(median_s) > _OTHER_ZERO_S
    is_large = abs(median_s) > max(lag_above_s, lag_above_periods * period_s)
    if not (is_varying or abs(median_s) > lag_above_s):
        return None
    # Half the limit: a spread above the limit puts one of its two ends that far from the median.
    off_s = max(lag_above_s, spread_above_periods * period_s) / 2
    told = _far(episode, used.stream, np.abs(lag_s - median_s), off_s) if is_varying else ()
    return Finding(
        level=Level.WARNING if is_varying or (is_large and not has_other_zero) else Level.INFO,
        message=_message(used, pair, median_s, spread_s, has_other_zero)
        + (f"; far from it {stretches_in_words(told, worst='farthest')}" if told else "")
        + (_drift(lag_s, pair, spread_s) if is_varying else ""),
        episode=episode.id,
        stream=used.stream.name,
        spans=told,
        measured=median_s,
        expected=f"within {max(lag_above_s, lag_above_periods * period_s):.3g} s",
        unit="s",
        repair=(
            "line the streams up by their header stamps"
            + ("; the lag varies and cannot be subtracted" if is_varying else ", or subtract the lag")
        ),
    )


def _far(episode: Episode, stream: Stream, off_s: NDArray[np.float64], above_s: float) -> tuple[Span, ...]:
    """Where the lag is far from its median, the farthest first."""
    worst = int(np.argmax(off_s))
    spans = {run: span_of(episode, stream.clock, run.first, run.last) for run in runs_of(off_s > above_s)}
    farthest = next((span for run, span in spans.items() if run.first <= worst <= run.last), None)
    return spans_from(spans.values(), worst=farthest)


def _message(used: UsedClock, pair: _Pair, median_s: float, spread_s: float, has_other_zero: bool) -> str:
    if has_other_zero:
        return (
            f"{used.label}: header and {pair.arrival_name} clock count from different moments, "
            f"{abs(median_s):.1f} s apart; their distance varies by {spread_s * 1000:.1f} ms"
        )
    way = "after" if median_s >= 0 else "before"
    return (
        f"{used.label}: the {pair.arrival_name} stamps lie {abs(median_s) * 1000:.1f} ms {way} the header stamps "
        f"(median), and 90 % of the lags spread over {spread_s * 1000:.1f} ms"
    )


def _drift(lag_s: NDArray[np.float64], pair: _Pair, spread_s: float) -> str:
    """How fast the two clocks run apart, where that is most of the spread."""
    quarter = max(1, len(lag_s) // 4)
    times_ns = pair.header.times_ns
    grown_s = float(np.median(lag_s[-quarter:]) - np.median(lag_s[:quarter]))
    over_s = float(np.median(times_ns[-quarter:]) - np.median(times_ns[:quarter])) / NS_PER_S
    if abs(grown_s) < 0.5 * spread_s or over_s <= 0:
        return ""
    return f"; the clocks run apart by {1e6 * grown_s / over_s:.0f} ppm"


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Give the first measured stream a receive clock that lags by 1.5 periods (times `magnitude`), with 5 % noise."""
    stream = clocked_stream(episode)
    if stream is None or magnitude <= 0:
        return episode
    times_ns = stream.clock.times_ns
    period_ns = (times_ns[-1] - times_ns[0]) / max(1, len(times_ns) - 1)
    lag_ns = magnitude * period_ns * (1.5 + 0.05 * rng.standard_normal(len(times_ns)))
    received = np.maximum.accumulate(times_ns + lag_ns.astype(np.int64))
    stamped = stream if stream.clock.is_measured else restamped(stream, times_ns)
    others = {name: clock for name, clock in stream.other_clocks.items() if name.lower() != "header"}
    return episode.with_stream(replace(stamped, other_clocks={**others, "receive": measured_clock(received)}))
