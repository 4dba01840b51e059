"""The smoothest episodes, by the speed of the tip or of the joints: tremor and hesitation are what it leaves out.

Two measures. LDLJ (Hogan and Sternad 2009) is the log of jerk made dimensionless: a tremor of 7 Hz and 5 % of a joint's
range costs the tiny sample robot 6 of it. SPARC (Balasubramanian et al. 2015), arc length of the speed's spectrum:
it counts movements and pauses, hardly notices a steady tremor (measured on the same: -0.2 to +0.9), and is less a
measure of duration. Idle ends are cut off first. An episode below ten readings per second, or that never moves, has no
smoothness and is not chosen; where too few have one, the choice is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.clock import NS_PER_S
from robokata.core.episode import Episode
from robokata.core.errors import RecipeRefused
from robokata.core.selection import Described, Selection, selection_of
from robokata.core.stream import Role
from robokata.curators._unjudged import note_unjudged
from robokata.geometry.motion import motion_of
from robokata.geometry.smoothness import ldlj, low_passed, moving_part, on_even_clock, sparc
from robokata.geometry.tip import tip_paths

Measure = Callable[[NDArray[np.float64], float], float | None]
MEASURES: Mapping[str, Measure] = {"ldlj": ldlj, "sparc": sparc}
_LOWEST_HZ = 10.0
"""Below, the spectrum of a movement (up to 5 Hz and more) cannot be seen."""


class Smoothness(NamedTuple):
    """How smooth an episode is."""

    value: float | None
    """LDLJ or SPARC, larger is smoother; None where it cannot be measured."""
    reason: str = ""
    """Why it cannot."""


def describe(
    episode: Episode,
    *,
    # What lies above is encoder noise; a tremor of the hand (8 to 12 Hz) shall count.
    cutoff_hz: float = 12.0,
    # `ldlj` or `sparc`: what spoils demonstrations most is trembling, and LDLJ sees it.
    measure: str = "ldlj",
) -> Smoothness:
    """LDLJ or SPARC, or why there is none.

    Raises:
        RecipeRefused: there is no such measure.
    """
    if measure not in MEASURES:
        raise RecipeRefused(f"smoothness: measure is {measure!r}. It is one of {', '.join(MEASURES)}.")
    arms = _arms(episode, cutoff_hz, MEASURES[measure])
    # The least smooth arm decides: a pair is no smoother than its worse half.
    worst = min((arm.value for arm in arms if arm.value is not None), default=None)
    if worst is not None:
        return Smoothness(worst)
    return arms[0] if arms else Smoothness(None, _why_none(episode))


def choose(rows: Sequence[Described], *, keep: int, rng: np.random.Generator) -> Selection:
    """The `keep` smoothest episodes.

    Raises:
        SelectionRefused: fewer than `keep` have a smoothness.
    """
    unjudged = {row.episode: row.value.reason for row in rows if row.value.value is None}
    notes = note_unjudged("smoothness", unjudged, episodes=len(rows), keep=keep)
    best = sorted(rows, key=lambda row: (row.episode in unjudged, -(row.value.value or 0.0), row.episode))[:keep]
    why = {row.episode: unjudged.get(row.episode) or f"smoothness {row.value.value:.2f}" for row in rows}
    return selection_of(rows, (row.episode for row in best), why_not=why, notes=notes)


def _arms(episode: Episode, cutoff_hz: float, measure: Measure) -> list[Smoothness]:
    paths = [path for path in tip_paths(episode) if path.has_times]
    if paths:
        return [_of(path.times_s, path.position_m, cutoff_hz, measure) for path in paths]
    # No tip: joints, each in shares of its own range.
    for stream in episode.numeric(Role.STATE):
        if len(stream) > 3 and stream.clock.has_times:
            times_s = (stream.clock.times_ns - stream.clock.times_ns[0]) / NS_PER_S
            scaled = np.nan_to_num(np.asarray(stream.table, np.float64) * motion_of(stream).share_of)
            return [_of(times_s, scaled, cutoff_hz, measure)]
    return []


def _why_none(episode: Episode) -> str:
    states = [stream for stream in episode.numeric(Role.STATE) if len(stream)]
    if not states:
        return "it has no measured state"
    if all(not stream.clock.has_times for stream in states):
        return "its format keeps no times"
    return "it is too short"


def _of(times_s: NDArray[np.float64], values: NDArray[np.float64], cutoff_hz: float, measure: Measure) -> Smoothness:
    if len(times_s) < 4 or times_s[-1] <= times_s[0]:
        return Smoothness(None, "it is too short")
    rate_hz = 1 / float(np.median(np.diff(times_s))) if np.median(np.diff(times_s)) > 0 else 0.0
    if rate_hz < _LOWEST_HZ:
        return Smoothness(None, f"its state is read less often than {_LOWEST_HZ:g} times a second")
    even = on_even_clock(times_s, values, rate_hz)
    if len(even) < 4:
        return Smoothness(None, "it is too short")
    speed = np.linalg.norm(np.diff(even, axis=0), axis=1) * rate_hz
    if cutoff_hz < rate_hz / 2:
        speed = low_passed(speed, rate_hz, cutoff_hz=cutoff_hz)
    found = measure(speed[moving_part(speed)], rate_hz)
    return Smoothness(found, "" if found is not None else "it never moves")
