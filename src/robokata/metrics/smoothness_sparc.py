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

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.geometry.smoothness import sparc
from robokata.metrics._scripted_trial import scripted_trial
from robokata.metrics._speed import speed_of

UNIT: str | None = None
MEAN = Mean.OF_NUMBERS
IS_HEADLINE = True
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


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Empty closings and short rests."""
    return PlantedTrial(scripted_trial(rng, empties=int(rng.poisson(0.7)), stall_s=float(rng.uniform(0, 1))), None)
