"""When the samples of a stream were taken, and how far that can be trusted."""

from __future__ import annotations

import enum
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import ClockUnknown

STEP = "step"
"""Counter of formats whose streams are the columns of one table of steps."""
NS_PER_S = 1_000_000_000
_NTSC_NOMINAL_HZ = (15, 24, 30, 48, 60, 120, 240)
"""Rates that cameras divide by 1.001 (SMPTE ST 170 and its multiples); 99.9 Hz is only 99.9 Hz."""


class ClockQuality(enum.StrEnum):
    """What stands behind the times of a clock."""

    MEASURED = "measured"
    """Somebody read a clock when the sample was taken, sent or received."""
    DECLARED = "declared"
    """The file declares a rate, and no times: the samples are assumed to lie on that grid."""
    SYNTHESIZED = "synthesized"
    """The file holds times, but they equal sample number / rate: they cannot show a gap."""
    DECLARED_BY_USER = "declared by the user"
    """The file says nothing of time; whoever gave the data to Robokata named the rate of its steps."""
    UNKNOWN = "unknown"
    """The format has no notion of time: samples have step numbers, and no seconds."""


class Reading(NamedTuple):
    """What a clock's loader gives back."""

    places: NDArray[np.int64]
    """Nanoseconds, or step numbers where the quality is unknown."""
    quality: ClockQuality


class Clock:
    """The times of one stream, int64 nanoseconds, read at first use; step numbers where there are no times.

    A class, because it keeps what it has read. `len(clock)` costs nothing; `times_ns`, `places` and `quality`
    may read from disk.
    """

    def __init__(
        self,
        count: int,
        load: Callable[[], Reading],
        *,
        declared_rate_hz: Fraction | None = None,
        counter: str | None = None,
    ) -> None:
        self.count = count
        self.declared_rate_hz = declared_rate_hz
        """Rate that the file (or the user) declares for this stream, exact, or None."""
        self.counter = counter
        """What the samples are numbered by, where streams share a number: samples of one counter belong together."""
        self._load = load

    @cached_property
    def _reading(self) -> Reading:
        return self._load()

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"Clock({self.count} samples, declared_rate_hz={self.declared_rate_hz})"

    @property
    def times_ns(self) -> NDArray[np.int64]:
        """Times, (T,), in nanoseconds, in the order of the samples. May run backwards: that is a finding.

        Raises:
            ClockUnknown: nobody recorded or declared a time; `places` are the step numbers.
        """
        if not self.has_times:
            raise ClockUnknown(len(self))
        return self._reading.places

    @property
    def places(self) -> NDArray[np.int64]:
        """Times in nanoseconds, or step numbers where there are no times, (T,): for order and equality alone."""
        return self._reading.places

    @property
    def steps(self) -> NDArray[np.int64]:
        """Number of each sample, (T,): the source's own where there are no times, else 0, 1, ..."""
        return np.arange(len(self), dtype=np.int64) if self.has_times else self.places

    @property
    def has_times(self) -> bool:
        """True where a place is a time; else seconds do not exist on this clock."""
        return self.quality is not ClockQuality.UNKNOWN

    @property
    def quality(self) -> ClockQuality:
        """What stands behind the times."""
        return self._reading.quality

    @cached_property
    def is_measured(self) -> bool:
        """True when gaps, jitter and rate in these times are facts about the recording."""
        return self.quality is ClockQuality.MEASURED

    def subset(self, kept: NDArray[np.int64] | NDArray[np.bool_] | slice) -> Clock:
        """The clock of some of the samples."""
        places = self.places[kept]
        reading = Reading(places, self.quality)
        return Clock(len(places), lambda: reading, declared_rate_hz=self.declared_rate_hz, counter=self.counter)

    def aligns_with(self, other: Clock) -> bool:
        """True where it is known which samples of the two belong together.

        Both have times, or both number the same steps: then their counts differ by one at most, because a step's
        action may lack before the first observation or after the last.
        """
        if self.has_times and other.has_times:
            return True
        return self.counter is not None and self.counter == other.counter and abs(len(self) - len(other)) <= 1

    def measured_rate_hz(self) -> float | None:
        """Samples per second from the median interval, or None where the clock cannot tell.

        The median, not the mean: one 3 s pause would halve the mean rate of a short episode.
        """
        if not self.is_measured or self.count < 2:
            return None
        period_ns = float(np.median(np.diff(self.times_ns)))
        return NS_PER_S / period_ns if period_ns > 0 else None

    def rate_hz(self) -> float | None:
        """The measured rate where there is one, else the declared one, else None."""
        measured = self.measured_rate_hz()
        if measured is not None:
            return measured
        return None if self.declared_rate_hz is None else float(self.declared_rate_hz)


def measured_clock(times_ns: NDArray[np.int64], *, declared_rate_hz: Fraction | None = None) -> Clock:
    """A clock whose times somebody measured; `times_ns` is (T,) int64."""
    times = np.asarray(times_ns, dtype=np.int64)
    return Clock(len(times), lambda: Reading(times, ClockQuality.MEASURED), declared_rate_hz=declared_rate_hz)


def picked_clock(clock: Clock, picked: NDArray[np.int64]) -> Clock:
    """The times of some samples, (n,) by number; read when they are asked for."""

    def load() -> Reading:
        return Reading(clock.times_ns[picked], clock.quality)

    return Clock(len(picked), load, declared_rate_hz=clock.declared_rate_hz)


def grid_clock(
    count: int,
    rate_hz: Fraction,
    *,
    quality: ClockQuality = ClockQuality.SYNTHESIZED,
    start_ns: int = 0,
    counter: str | None = None,
) -> Clock:
    """A clock on the exact grid sample number / rate."""
    return Clock(
        count,
        lambda: Reading(start_ns + grid_ns(count, rate_hz), quality),
        declared_rate_hz=rate_hz,
        counter=counter,
    )


def step_clock(count: int, *, first_step: int = 0, counter: str = STEP) -> Clock:
    """A clock without times: samples that are numbered first_step, first_step + 1, ... by a counter."""
    return Clock(
        count,
        lambda: Reading(first_step + np.arange(count, dtype=np.int64), ClockQuality.UNKNOWN),
        counter=counter,
    )


def paced_clock(clock: Clock, rate_hz: Fraction, *, quality: ClockQuality = ClockQuality.DECLARED_BY_USER) -> Clock:
    """A clock without times at a rate that somebody declares, the user unless `quality` says otherwise.

    Raises:
        ValueError: the clock has times of its own.
    """
    if clock.has_times:
        raise ValueError(f"{clock!r} has times: {clock.quality}")

    def load() -> Reading:
        steps = clock.places
        return Reading(grid_ns(int(steps.max(initial=-1)) + 1, rate_hz)[steps], quality)

    return Clock(len(clock), load, declared_rate_hz=rate_hz, counter=clock.counter)


class Paired(NamedTuple):
    """Places of two clocks on one axis: times of both, or step numbers of both."""

    one: NDArray[np.int64]
    other: NDArray[np.int64]


def paired(one: Clock, other: Clock) -> Paired:
    """The places of two clocks by which their samples belong together.

    Raises:
        ClockUnknown: nothing says which samples belong together.
    """
    if one.has_times and other.has_times:
        return Paired(one.times_ns, other.times_ns)
    if not one.aligns_with(other):
        raise ClockUnknown(len(other if one.has_times else one))
    return Paired(one.steps, other.steps)


def grid_ns(count: int, rate_hz: Fraction) -> NDArray[np.int64]:
    """Times sample number / rate, (count,) int64 nanoseconds, each rounded once from the exact fraction."""
    ordinal = np.arange(count, dtype=np.int64)
    numerator, denominator = rate_hz.denominator * NS_PER_S, rate_hz.numerator
    # int64 holds 10**7 samples of every rate >= 0.002 Hz with a small denominator; Python's integers hold the rest.
    if max(1, count) * numerator * 2 + denominator * 2 >= 2**63:
        exact = [(i * numerator * 2 + denominator) // (2 * denominator) for i in range(count)]
        return np.asarray(exact, dtype=np.int64)
    return (ordinal * numerator * 2 + denominator) // (2 * denominator)


def rate_fraction(rate_hz: float | int | str) -> Fraction | None:
    """A declared rate as an exact fraction (29.97 becomes 30000/1001), or None when it is no rate."""
    text = str(rate_hz)
    try:
        # The float first: the fraction of a hostile 1e999999999 would have a billion digits.
        exact = Fraction(text) if "/" in text or 0 < float(text) < 1_000_000 else Fraction(0)
    except (ValueError, ZeroDivisionError):
        return None
    if not 0 < exact < 1_000_000:
        return None
    ntsc = Fraction(round(exact) * 1000, 1001)
    # NTSC rates are written with three to five decimals; 5e-5 relative separates them from their integer neighbours.
    if round(exact) in _NTSC_NOMINAL_HZ and exact.denominator != 1 and abs(exact - ntsc) < ntsc * Fraction(1, 20000):
        return ntsc
    # Slower than one sample in a day is no rate of a robot, and has no fraction of a small denominator.
    return exact.limit_denominator(100_000) or None
