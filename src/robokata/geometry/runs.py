"""Stretches of samples: runs of a condition, and where on a clock they lie."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock
from robokata.core.episode import Episode
from robokata.core.finding import Span


class Run(NamedTuple):
    """Samples first..last (both inside the run)."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of samples."""
        return self.last - self.first + 1


def runs_of(mask: NDArray[np.bool_], *, at_least: int = 1, bridge: int = 0) -> list[Run]:
    """Runs of True in a mask, (T,); shorter ones than `at_least` samples are left out.

    Holes of up to `bridge` samples inside a run are closed first.
    """
    if not mask.any():
        return []
    edges = np.diff(np.concatenate(([0], mask.astype(np.int8), [0])))
    firsts, lasts = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
    if bridge:
        holes = firsts[1:] - lasts[:-1] - 1
        keep = holes > bridge
        firsts = firsts[np.concatenate(([True], keep))]
        lasts = lasts[np.concatenate((keep, [True]))]
    return [
        Run(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True) if last - first + 1 >= at_least
    ]


def span_of(episode: Episode, clock: Clock, first: int, last: int, *, channel: str | None = None) -> Span:
    """The stretch from sample `first` to sample `last`, both in it; samples past the end of the clock are its last.

    Its samples are numbered as on the clock; its earlier time comes first, also where the clock runs backwards.
    """
    first, last = (min(sample, len(clock) - 1) for sample in (first, last))
    start, end = int(clock.steps[first]), int(clock.steps[last])
    if not clock.has_times:
        return Span(None, None, start, end, channel)
    start_s, end_s = sorted(episode.seconds(int(clock.times_ns[sample])) for sample in (first, last))
    return Span(start_s, end_s, start, end, channel)


def moment_of(episode: Episode, clock: Clock, sample: int) -> str:
    """When a sample was taken, for a message: `2.00 s`, or `sample 100` where the format keeps no times."""
    if not clock.has_times:
        return f"sample {int(clock.steps[sample])}"
    return f"{episode.seconds(int(clock.times_ns[sample])):.2f} s"


def robust_spread(values: NDArray[Any], *, axis: int = 0) -> NDArray[np.float64]:
    """Standard deviation as the median absolute deviation sees it: 1.4826 * MAD (normal distribution)."""
    centre = np.median(values, axis=axis, keepdims=True)
    return np.asarray(1.4826 * np.median(np.abs(values - centre), axis=axis), dtype=np.float64)


def samples_in(clock: Clock, duration_s: float, *, untimed: int) -> int:
    """Samples that a stream takes in a time, at least 1; `untimed` where nobody knows a rate.

    Every caller says what its limit is in samples then: no rate is assumed, and no sample number becomes a time.
    """
    rate_hz = clock.rate_hz() if clock.has_times else None
    if rate_hz is None and len(clock) > 1 and clock.has_times:
        spacing_ns = float(np.median(np.diff(clock.times_ns)))
        rate_hz = NS_PER_S / spacing_ns if spacing_ns > 0 else None
    return untimed if rate_hz is None else max(1, round(duration_s * rate_hz))
