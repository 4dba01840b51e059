"""How often the robot stands still in the middle of the work.

Definition:
    Standstills of at least 2 s per trial, before the first success: the robot makes less headway in 0.1 s than 2 %
    of what its fast motion makes. `parts` holds the seconds at a standstill per trial.

Unit:
    Standstills per trial.

Needs:
    Measured state (or actions) that changes, and times.

Limits:
    None where the format keeps no times. In a trial that did not fail, a standstill at the very start or end of the
    recording does not count: the operator's hand was on the button. Waiting on purpose looks the same.

Source:
    Stalls as in AutoEval and TRI's evaluation practices. Interval: Garwood, Biometrika 28 (1936).
"""

from __future__ import annotations

import numpy as np

from robokata.core.contracts import Mean, MetricPart, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Observation
from robokata.metrics._events import stalls_of
from robokata.metrics._scripted_trial import scripted_trial

UNIT: str | None = None
MEAN = Mean.OF_COUNTS
PARTS = {"time_still": MetricPart(Mean.OF_NUMBERS, "s")}


def observe(trial: Episode) -> Observation:
    """Number of standstills."""
    stalls = stalls_of(trial)
    if stalls is None:
        return Observation(None, "no stream shows motion over time")
    return Observation(float(len(stalls)), parts=(("time_still", sum(s.end_s - s.start_s for s in stalls)),))


def plant(rng: np.random.Generator) -> PlantedTrial:
    """A standstill of 3 s in two trials of five."""
    stalls = int(rng.random() < 0.4)
    return PlantedTrial(scripted_trial(rng, empties=1, stall_s=3.0 * stalls), float(stalls))
