"""How smooth the motion is, by its jerk (LDLJ).

Definition:
    -ln of the dimensionless jerk of the speed of the tip (else of the joints), low-passed at 5 Hz, from the first
    motion to the first success or the last motion; idle ends are cut off. Larger is smoother. Mean over trials.

Unit:
    None.

Needs:
    Positions of the tip, or of at least two joints, with times, at 20 Hz or more.

Limits:
    None below 20 Hz: two differences of what lies near half the rate are noise. Depends on the duration to the
    third power: compare trials of one task. Resampling and pooling as in `smoothness_sparc`.

Source:
    Hogan and Sternad, Journal of Motor Behavior 41 (2009); Balasubramanian et al. 2015 for the logarithm. Interval:
    Student's t.
"""

from __future__ import annotations

from collections.abc import Sequence

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.geometry.smoothness import ldlj, low_passed
from robokata.metrics._speed import speed_of
from robokata.metrics._trial import pooled, rows_of
from robokata.statistics.intervals import mean_of_numbers

UNIT: str | None = None
CUTOFF_HZ = 5.0
"""Movement of arms has its power below; jerk weighs what lies above with the third power of frequency."""
SLOWEST_HZ = 20.0
"""Twice twice the cutoff: what is differentiated twice must lie well below half the rate."""


def observe(trial: Episode, *, rate_hz: float | None = None) -> Observation:
    """LDLJ of one trial; `rate_hz` resamples, by default the rate of the recording."""
    found = speed_of(trial, rate_hz=rate_hz)
    if isinstance(found, str):
        return Observation(None, found)
    if found.rate_hz < 0.99 * SLOWEST_HZ:
        return Observation(None, f"{found.rate_hz:.3g} Hz; smoothness needs {SLOWEST_HZ:g} Hz")
    value = ldlj(low_passed(found.speed, found.rate_hz, cutoff_hz=CUTOFF_HZ), found.rate_hz)
    if value is None:
        return Observation(None, "the speed never changes")
    return Observation(value, label=found.of, rate_hz=found.rate_hz)


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Mean LDLJ; None where rates differ."""
    return pooled("smoothness_ldlj", observations, mean_of_numbers)


def measure(trials: Sequence[Episode]) -> Estimate:
    """Mean LDLJ of trials, at the rate of the slowest of them that can be judged."""
    rows = rows_of(trials, observe)
    rates = [row.rate_hz for row in rows if row.rate_hz is not None]
    if rates and max(rates) > 1.02 * min(rates):
        rows = rows_of(trials, lambda trial: observe(trial, rate_hz=min(rates)))
    return summarise(rows)
