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

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.geometry.smoothness import ldlj, low_passed
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._speed import speed_of

UNIT: str | None = None
MEAN = Mean.OF_NUMBERS
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


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Empty closings and short rests."""
    return PlantedTrial(scripted_trial(rng, empties=int(rng.poisson(0.7)), stall_s=float(rng.uniform(0, 1))), None)
