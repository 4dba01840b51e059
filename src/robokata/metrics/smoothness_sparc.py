"""How smooth the motion is, by the length of its spectrum (SPARC).

Definition:
    Spectral arc length of the speed of the tip (else of the joints), from the first motion to the first success or
    the last motion; idle ends are cut off. 0 and below; nearer 0 is smoother. Mean over trials.

Unit:
    None.

Needs:
    Positions of the tip, or of at least two joints, with times, at 10 Hz or more.

Limits:
    None below 10 Hz: Bridge and Google-robot data at 3 to 5 Hz hold no movement to judge. The value depends on the
    rate (the spectrum ends at the smaller of 10 Hz and half the rate), so trials at different rates are resampled
    to the slowest by `measure`, and refused by `summarise`. Speeds of tip and joints are not pooled.

Source:
    Balasubramanian et al., Journal of NeuroEngineering and Rehabilitation 12 (2015). Interval: Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.geometry.smoothness import sparc
from robokata.metrics._speed import speed_of
from robokata.metrics._trial import pooled, rows_of
from robokata.statistics.intervals import mean_of_numbers

UNIT: str | None = None
SLOWEST_HZ = 10.0
"""Half of it, 5 Hz, is the least that holds the power of a movement."""


def observe(trial: Episode, *, rate_hz: float | None = None) -> Observation:
    """SPARC of one trial; `rate_hz` resamples, by default the rate of the recording."""
    found = speed_of(trial, rate_hz=rate_hz)
    if isinstance(found, str):
        return Observation(None, found)
    if found.rate_hz < 0.99 * SLOWEST_HZ:
        return Observation(None, f"{found.rate_hz:.3g} Hz; smoothness needs {SLOWEST_HZ:g} Hz")
    value = sparc(found.speed, found.rate_hz)
    if value is None:
        return Observation(None, "the speed never changes")
    return Observation(value, label=found.of, rate_hz=found.rate_hz)


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Mean SPARC; None where rates differ."""
    return pooled("smoothness_sparc", observations, mean_of_numbers)


def measure(trials: Sequence[Episode]) -> Estimate:
    """Mean SPARC of trials, at the rate of the slowest of them that can be judged."""
    rows = rows_of(trials, observe)
    rates = [row.rate_hz for row in rows if row.rate_hz is not None]
    if rates and max(rates) > 1.02 * min(rates):
        rows = rows_of(trials, lambda trial: observe(trial, rate_hz=min(rates)))
    return summarise(rows)
