"""An episode at one rate: the view that row-based formats write and policies train on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S, Clock, paired
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.stream import Role, Stream


@dataclass(frozen=True)
class Rows:
    """Which sample of each stream stands in each row. The original samples are not changed by the view."""

    anchor: str
    """Stream whose samples are the rows."""
    clock: Clock
    """Clock of the rows: the anchor's."""
    rate_hz: Fraction | None
    """Rate of the rows, None where the source has no times: a table of steps that declares none can hold it."""
    picked: Mapping[str, NDArray[np.int64]]
    """Stream -> number of the sample that stands in each row, (R,): the newest that is not younger than the row."""

    def __len__(self) -> int:
        return len(self.clock)

    def is_whole(self, stream: Stream) -> bool:
        """True where row i holds sample i: nothing repeated, nothing left out."""
        picked = self.picked[stream.name]
        return len(picked) == len(stream) and bool(np.array_equal(picked, np.arange(len(stream))))

    def appears_at(self, stream: Stream) -> NDArray[np.int64] | None:
        """First row in which each sample stands, (T,), or None where some sample stands in no row."""
        picked = self.picked[stream.name]
        samples, first = np.unique(picked, return_index=True)
        return first.astype(np.int64) if len(samples) == len(stream) else None

    def age(self, stream: Stream) -> str:
        """How far the samples in the rows are from the times of the rows, in words."""
        return age_of_samples(self.clock, stream.clock, self.picked[stream.name])


@dataclass(frozen=True)
class TimedRows(Rows):
    """Rows with times and a rate."""

    rate_hz: Fraction

    def displacement_s(self) -> float:
        """How far a row's even time, its number / rate, is from its own at most, in seconds from the first row."""
        times = self.clock.times_ns
        if not len(times):
            return 0.0
        even_s = np.arange(len(times)) / float(self.rate_hz)
        return float(np.abs((times - times[0]) / NS_PER_S - even_s).max())


def age_of_samples(rows: Clock, clock: Clock, picked: NDArray[np.int64]) -> str:
    """How old samples `picked`, (R,), are in the rows of another clock, in words; the sample that stands in rows before
    its own time is from the future of these rows, and that is said."""
    if not len(picked):
        return "no rows"
    at_rows, at_samples = paired(rows, clock)
    is_timed = rows.has_times and clock.has_times
    ages = (at_rows - at_samples[picked]) / (1e6 if is_timed else 1)
    unit, digits = ("ms", 1) if is_timed else ("steps", 0)
    words = f"samples up to {max(0.0, float(ages.max())):.{digits}f} {unit} old"
    early = int((ages < 0).sum())
    if not early:
        return words
    ahead = f"{-float(ages.min()):.{digits}f} {unit}"
    return f"{words}; {early} rows before its first sample hold that sample, up to {ahead} early"


def rows_of(episode: Episode, *, anchor: str | None = None, rate_hz: Fraction | None = None) -> Rows:
    """The rows of an episode.

    `anchor` is the stream whose samples become rows: by default the first camera, so that encoded pictures
    can be copied as they lie, else the action, else the state, else the fastest stream of numbers.
    `rate_hz` is what the target declares; by default what the source declares, else the measured rate, else None.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: no stream can be the anchor, or nothing says which samples of a stream belong to its rows.
    """
    chosen = episode.stream(anchor) if anchor is not None else _default_anchor(episode)
    filled = [stream for stream in episode.streams.values() if len(stream)]
    for stream in filled:
        if not stream.clock.aligns_with(chosen.clock):
            raise WriteRefused(
                f"episode {episode.id}: nothing says which samples of {stream.name} ({pace_of(stream.clock)}) belong "
                f"to the rows of {chosen.name} ({pace_of(chosen.clock)}). Declare the rate of each stream without "
                f"times (--rate-hz {stream.name}=RATE), take other rows (--option anchor=STREAM), or leave "
                f"{stream.name} out (--without {stream.name})."
            )
    picked = {stream.name: _newest(stream.clock, chosen.clock) for stream in filled}
    return Rows(chosen.name, chosen.clock, rate_hz or _rate_of(episode, chosen), picked)


def timed_rows(episode: Episode, *, anchor: str | None = None, rate_hz: Fraction | None = None) -> TimedRows:
    """The rows of an episode for a target that gives each a time.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: as `rows_of`; or the anchor has no times, or times and no rate.
    """
    rows = rows_of(episode, anchor=anchor, rate_hz=rate_hz)
    if rows.clock.has_times and rows.rate_hz is not None:
        return TimedRows(rows.anchor, rows.clock, rows.rate_hz, rows.picked)
    # Times that were recorded stay: a rate of the target is what is missing, and no rate of the source.
    missing = "Choose the target's with --option rate_hz=10" if rows.clock.has_times else "Declare it with --rate-hz 10"
    raise WriteRefused(
        f"episode {episode.id}: the rate of {rows.anchor} is neither declared nor measured ({pace_of(rows.clock)}), "
        f"and rows need one. {missing}."
    )


def refuse_untimed(episode: Episode, *, target: str) -> None:
    """Refuse a stream without times where each sample needs one.

    Raises:
        WriteRefused: some stream has step numbers alone.
        DamagedData: because its video cannot be read.
    """
    untimed = next((s for s in episode.streams.values() if len(s) and not s.clock.has_times), None)
    if untimed is not None:
        if untimed.is_picture and len(untimed):
            # A video whose file is damaged has no times either, and that is the cause to name.
            untimed.pictures[0]
        raise WriteRefused(
            f"episode {episode.id}: {untimed.name} ({pace_of(untimed.clock)}) has no times, and every message of "
            f"{target} has one. Declare the rate of its steps with --rate-hz (--rate-hz 10), or leave it out "
            f"(--without {untimed.name})."
        )


def pace_of(clock: Clock) -> str:
    """How a clock goes, in words: `240 samples, a control step each, no times`."""
    if not clock.has_times:
        return f"{len(clock)} samples, a {clock.counter} each, no times"
    rate_hz = clock.rate_hz()
    return f"{len(clock)} samples" + (f" at {rate_hz:.4g} Hz" if rate_hz else "") + f", times {clock.quality}"


def _default_anchor(episode: Episode) -> Stream:
    candidates = [
        *(s for s in episode.pictures() if len(s)),
        *(s for s in episode.numeric(Role.ACTION) if len(s)),
        *(s for s in episode.numeric(Role.STATE) if len(s)),
        *sorted((s for s in episode.numeric() if len(s)), key=len, reverse=True),
    ]
    if not candidates:
        raise WriteRefused(f"episode {episode.id} has no stream of numbers or pictures to make rows of.")
    return candidates[0]


def _rate_of(episode: Episode, anchor: Stream) -> Fraction | None:
    if not anchor.clock.has_times:
        return None
    declared = anchor.clock.declared_rate_hz or episode.declared_rate_hz
    return declared or whole_rate(anchor.clock.measured_rate_hz())


def whole_rate(measured_hz: float | None) -> Fraction | None:
    """A measured rate as it was set: cameras and controllers are set to whole hertz from 5 Hz on, jitter is no rate."""
    if measured_hz is None or measured_hz < 0.5:
        return None
    return Fraction(round(measured_hz)) if measured_hz >= 5 else Fraction(measured_hz).limit_denominator(100)


def _newest(clock: Clock, anchor: Clock) -> NDArray[np.int64]:
    rows, samples = paired(anchor, clock)
    if clock is anchor or (len(samples) == len(rows) and np.array_equal(samples, rows)):
        return np.arange(len(rows), dtype=np.int64)
    newest = np.searchsorted(np.maximum.accumulate(samples), rows, side="right") - 1
    return np.clip(newest, 0, len(samples) - 1).astype(np.int64)
