"""A stream that runs at another rate than the one declared for it.

What it finds:
    Streams whose measured rate, by the median and by the mean interval alike, is more than 10 % away from
    the declared one; and, where nobody measured the times, videos whose container states another frame rate
    than the dataset does.

Why it hurts:
    The declared rate turns sample numbers into seconds: speeds, delta actions and action chunks are wrong by
    the same factor, and readers that ask a video for a time get another frame than the row's.

Example:
    Published RT-1 clips say 30 fps in their container, and the robot ran at 3 Hz; DROID copies disagree
    about 10, 15 and 30 Hz.

Limits:
    Needs a declared rate. Where the times equal sample number / rate and there is no video, nothing in the
    data can contradict the declaration: it abstains. A container's rate is itself a declaration, so that
    only disagreement is evidence. Bursts (median off, mean right) are `clock_jitter`'s, pauses are
    `clock_gap`'s.

Repair:
    Correct the declared rate, or resample to it. Correcting changes no sample; it changes every speed that
    was computed from the wrong rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np

from robokata.checks._picture_files import RATE_TOLERANCE_SHARE, file_name, rates_differ
from robokata.checks._ticks import UsedClock, clocked_stream, hertz, measured_clocks, ticks_of, used_clocks
from robokata.core.clock import NS_PER_S, Clock, ClockQuality, Reading
from robokata.core.contracts import CurveKind, Need
from robokata.core.episode import Episode
from robokata.core.finding import Abstention, Finding, Level, Verdict
from robokata.core.stream import Role, Stream

NEEDS: Sequence[Need] = (Need.DECLARED_RATE,)
CURVE = CurveKind.INTERVALS

_REPAIR = "correct the declared rate, or resample the stream to it"


def check(
    episode: Episode,
    *,
    # 10 %: the tolerance of ROS diagnostics' FrequencyStatus; 29.97 for 30 is 0.1 %.
    tolerance_share: float = RATE_TOLERANCE_SHARE,
) -> Iterator[Verdict]:
    """One finding per clock, and one per video of a stream whose times nobody measured."""
    for used in measured_clocks(episode):
        verdict = _by_clock(episode, used, tolerance_share)
        if verdict is not None:
            yield verdict
    witnesses = 0
    for stream in episode.pictures():
        if not stream.clock.is_measured:
            rate_hz = stream.pictures.media().rate_hz
            witnesses += rate_hz is not None
            finding = None if rate_hz is None else _by_container(episode, stream, rate_hz, tolerance_share)
            if finding is not None:
                yield finding
    if not witnesses and not any(used.stream.clock.is_measured for used in used_clocks(episode)):
        reason = "nobody measured the times and no video states a rate: nothing can contradict the declared one"
        yield Abstention(reason, episode.id)


def _declared_hz(episode: Episode, stream: Stream) -> float | None:
    rate_hz = stream.clock.declared_rate_hz
    # The rate of the dataset's steps holds for what a step consists of, not for every sensor of a log.
    if rate_hz is None and stream.role in (Role.STATE, Role.ACTION, Role.CAMERA, Role.DEPTH):
        rate_hz = episode.declared_rate_hz
    return None if rate_hz is None else float(rate_hz)


def _by_clock(episode: Episode, used: UsedClock, tolerance_share: float) -> Verdict | None:
    stream, declared_hz = used.stream, _declared_hz(episode, used.stream)
    ticks, times_ns = ticks_of(stream.clock), stream.clock.times_ns
    span_ns = int(times_ns.max()) - int(times_ns.min())
    if declared_hz is None:
        return None
    if not ticks.is_recurring or span_ns <= 0:
        reason = f"stream {used.label} has no usual interval to compare with"
        return Abstention(reason, episode.id, stream.name)
    median_hz, mean_hz = hertz(ticks.period_ns), (len(times_ns) - 1) * NS_PER_S / span_ns
    if not (
        rates_differ(median_hz, declared_hz, tolerance_share) and rates_differ(mean_hz, declared_hz, tolerance_share)
    ):
        return None
    return Finding(
        level=Level.ERROR,
        message=(
            f"{used.label} is declared at {declared_hz:.4g} Hz and runs at {median_hz:.4g} Hz "
            f"(mean {mean_hz:.4g} Hz over {span_ns / NS_PER_S:.1f} s)"
        ),
        episode=episode.id,
        stream=stream.name,
        measured=median_hz,
        expected=declared_hz,
        unit="Hz",
        repair=_REPAIR,
    )


def _by_container(episode: Episode, stream: Stream, rate_hz: Fraction, tolerance_share: float) -> Finding | None:
    declared_hz = _declared_hz(episode, stream)
    if declared_hz is None or not rates_differ(float(rate_hz), declared_hz, tolerance_share):
        return None
    media = stream.pictures.media()
    by_seconds = media.span_is_declared
    return Finding(
        # Where the index finds an episode by seconds of a shared file, another rate means other frames.
        level=Level.ERROR if by_seconds else Level.WARNING,
        message=(
            f"{stream.name} is declared at {declared_hz:.4g} Hz, and its video {file_name(media)} "
            f"says {float(rate_hz):.4g} frames per second"
            + ("; the index finds the episode in it by seconds" if by_seconds else "")
        ),
        episode=episode.id,
        stream=stream.name,
        measured=float(rate_hz),
        expected=declared_hz,
        unit="Hz",
        repair=_REPAIR,
    )


def plant(episode: Episode, rng: np.random.Generator, magnitude: float) -> Episode:
    """Declare twice the rate (1 + `magnitude` times) for a measured stream, else for one with a video.

    Where there is neither, the stream gets the times that a recorder would have kept.
    """
    videos = [s for s in episode.pictures() if s.pictures.media().rate_hz is not None]
    stream = clocked_stream(episode)
    if stream is not None and not stream.clock.is_measured and videos:
        stream = videos[int(rng.integers(len(videos)))]
    if stream is None or magnitude <= 0:
        return episode
    clock = stream.clock
    rate_hz = clock.declared_rate_hz or Fraction(clock.rate_hz() or 1.0).limit_denominator(1000)
    wrong_hz = rate_hz * (1 + Fraction(magnitude).limit_denominator(1000))
    quality = clock.quality if videos else ClockQuality.MEASURED
    declared = Clock(len(clock), lambda: Reading(clock.times_ns, quality), declared_rate_hz=wrong_hz)
    return episode.with_stream(stream.with_values(stream.values, clock=declared))
