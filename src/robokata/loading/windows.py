"""Which sample of a stream belongs to which moment."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S

Times = NDArray[np.int64]
Steps = NDArray[np.int64]
"""Step numbers: they say which samples belong together, and nothing of how long a step takes."""


class Rows(NamedTuple):
    """Sample numbers of one stream for some moments, and whether each is really there or only fills the place."""

    rows: NDArray[np.int64]
    """Same shape as the moments asked for; always a valid sample number where the stream has samples."""
    is_there: NDArray[np.bool_]


def newest_at(times_ns: Times, at_ns: Times, *, stale_after_s: float = 0.5) -> Rows:
    """The newest sample that is not younger than each moment: what a robot could have known then.

    A moment before the first sample gets the first, and `is_there` False; so does a sample older than `stale_after_s`
    (default 0.5 s: longer than the interval of any stream in use, shorter than what a hand needs to move away).
    """
    order, ordered = _ordered(times_ns)
    place = np.searchsorted(ordered, at_ns, side="right") - 1
    is_there = place >= 0
    rows = order[np.maximum(place, 0)]
    is_there &= at_ns - times_ns[rows] <= round(stale_after_s * NS_PER_S)
    return Rows(rows, is_there)


def same_step(steps: Steps, at_steps: Steps) -> Rows:
    """The sample of each step number; `is_there` False where the stream has none of this number."""
    order, ordered = _ordered(steps)
    place = np.clip(np.searchsorted(ordered, at_steps, side="right") - 1, 0, len(ordered) - 1)
    return Rows(order[place], ordered[place] == at_steps)


def nearest_at(times_ns: Times, at_ns: Times) -> Rows:
    """The sample nearest in time to each moment; `is_there` is False more than half a period beyond either end.

    Beyond the end the last sample fills the place: a command holds until the next.
    """
    order, ordered = _ordered(times_ns)
    after = np.clip(np.searchsorted(ordered, at_ns), 0, len(ordered) - 1)
    before = np.maximum(after - 1, 0)
    is_before_nearer = at_ns - ordered[before] < ordered[after] - at_ns
    place = np.where(is_before_nearer, before, after)
    half_ns = float(np.median(np.diff(ordered))) / 2 if len(ordered) > 1 else 0.0
    is_there = (at_ns >= ordered[0] - half_ns) & (at_ns <= ordered[-1] + half_ns)
    return Rows(order[place], is_there)


def offsets_ns(at_s: tuple[float, ...]) -> Times:
    """Offsets in seconds as nanoseconds, each rounded once."""
    return np.asarray([round(offset * NS_PER_S) for offset in at_s], np.int64)


def chunk_offsets_ns(chunk_steps: int, rate_hz: float) -> Times:
    """Offsets 0, 1, ... chunk_steps - 1 periods, in nanoseconds."""
    return np.asarray([round(step * NS_PER_S / rate_hz) for step in range(chunk_steps)], np.int64)


def moments(times_ns: Times, *, first_ns: int, last_ns: int, every_s: float) -> Times:
    """Times of a clock between two ends, thinned so that two are at least about `every_s` apart."""
    inside = np.unique(times_ns[(times_ns >= first_ns) & (times_ns <= last_ns)])
    if not len(inside):
        return inside
    # The time nearest to each point of a grid: a jittered 20 Hz clock thinned to 20 Hz must not lose every other one.
    every_ns = max(1, round(every_s * NS_PER_S))
    cells = (inside - inside[0] + every_ns // 2) // every_ns
    nearest_first = np.lexsort((np.abs(inside - inside[0] - cells * every_ns), cells))
    return inside[np.sort(nearest_first[np.unique(cells[nearest_first], return_index=True)[1]])]


class Consecutive(NamedTuple):
    """Windows of consecutive samples."""

    at: NDArray[np.int64]
    """Place of each moment, (N,)."""
    chunk: Rows
    """Rows of the chunks, (N, chunk_steps); past the end the last."""
    past: NDArray[np.int64]
    """Places of what is seen, (N, history)."""
    has_past: NDArray[np.bool_]
    """(N, history), False before the first sample."""


def consecutive(
    places: NDArray[np.int64], *, first: int, chunk_steps: int, history_steps: tuple[int, ...], every_steps: int
) -> Consecutive:
    """Chunks that begin at every `every_steps`-th sample from place `first` on, in the order of the places."""
    order, ordered = _ordered(places)
    begins = np.flatnonzero(ordered >= first)[::every_steps]
    ahead = begins[:, None] + np.arange(chunk_steps)
    before = begins[:, None] + np.asarray(history_steps, np.int64)
    last = len(ordered) - 1
    return Consecutive(
        ordered[begins],
        Rows(order[np.minimum(ahead, last)], ahead <= last),
        ordered[np.clip(before, 0, last)],
        before >= 0,
    )


def _ordered(times_ns: Times) -> tuple[NDArray[np.int64], Times]:
    order = np.argsort(times_ns, kind="stable")
    return order, times_ns[order]
