"""An episode at one rate: the view that row-based formats write and policies train on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import Clock, ClockQuality, grid_ns
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.stream import Role, Stream


@dataclass(frozen=True)
class Rows:
    """Which sample of each stream stands in each row. The original samples are not changed by the view."""

    anchor: str
    """Stream whose samples are the rows."""
    times_ns: NDArray[np.int64]
    """Time of each row, (R,)."""
    rate_hz: Fraction
    """Rate that the target declares for the rows."""
    picked: Mapping[str, NDArray[np.int64]]
    """Stream -> number of the sample that stands in each row, (R,): the newest that is not younger than the row."""

    def __len__(self) -> int:
        return len(self.times_ns)

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
        return age_of_samples(self.times_ns, stream.clock, self.picked[stream.name])


def age_of_samples(times_ns: NDArray[np.int64], clock: Clock, picked: NDArray[np.int64]) -> str:
    """How old samples `picked`, (R,), are in rows at `times_ns`, (R,), in words; the sample that stands in rows before
    its own time is from the future of these rows, and that is said."""
    if not len(picked):
        return "no rows"
    ages_ms = (times_ns - clock.times_ns[picked]) / 1e6
    words = f"samples up to {max(0.0, float(ages_ms.max())):.1f} ms old"
    early = int((ages_ms < 0).sum())
    if not early:
        return words
    return f"{words}; {early} rows before its first sample hold that sample, up to {-float(ages_ms.min()):.1f} ms early"


def rows_of(episode: Episode, *, anchor: str | None = None, rate_hz: Fraction | None = None) -> Rows:
    """The rows of an episode.

    `anchor` is the stream whose samples become rows: by default the first camera, so that encoded pictures
    can be copied as they lie, else the action, else the state, else the fastest stream of numbers.
    `rate_hz` is what the target declares; by default what the source declares, else the measured rate.

    Raises:
        UnknownName: the episode has no stream called `anchor`.
        WriteRefused: no stream can be the anchor, or its rate is unknown.
    """
    chosen = episode.stream(anchor) if anchor is not None else _default_anchor(episode)
    times_ns = chosen.clock.times_ns
    rate = rate_hz or _rate_of(episode, chosen)
    picked = {
        stream.name: _newest(stream.clock, chosen.clock, times_ns) for stream in episode.streams.values() if len(stream)
    }
    return Rows(chosen.name, times_ns, rate, picked)


def is_on_grid(clock: Clock, rate_hz: Fraction) -> bool:
    """True where the clock's times follow from the sample number and the rate alone."""
    if clock.quality in (ClockQuality.SYNTHESIZED, ClockQuality.DECLARED, ClockQuality.UNKNOWN):
        return True
    return bool(np.array_equal(clock.times_ns, grid_ns(len(clock), rate_hz)))


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


def _rate_of(episode: Episode, anchor: Stream) -> Fraction:
    declared = anchor.clock.declared_rate_hz or episode.declared_rate_hz
    if declared is not None:
        return declared
    measured = anchor.clock.measured_rate_hz()
    if measured is None or measured < 0.5:
        raise WriteRefused(
            f"episode {episode.id}: the rate of {anchor.name} is neither declared nor measured, and rows need one. "
            f"Say it with rate_hz= (--option rate_hz=10 on the command line)."
        )
    # Whole numbers of hertz from 5 Hz on: cameras and controllers are set to them, and jitter is not a rate.
    return Fraction(round(measured)) if measured >= 5 else Fraction(measured).limit_denominator(100)


def _newest(clock: Clock, anchor: Clock, times_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    if clock is anchor:
        return np.arange(len(times_ns), dtype=np.int64)
    if ClockQuality.UNKNOWN in (clock.quality, anchor.quality) and len(clock) == len(times_ns):
        # Without times, equal lengths mean the same rows: that is how timeless formats are laid out.
        return np.arange(len(times_ns), dtype=np.int64)
    if len(clock) == len(times_ns) and np.array_equal(clock.times_ns, times_ns):
        return np.arange(len(times_ns), dtype=np.int64)
    newest = np.searchsorted(np.maximum.accumulate(clock.times_ns), times_ns, side="right") - 1
    return np.clip(newest, 0, len(clock) - 1).astype(np.int64)
