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

from collections.abc import Sequence
from dataclasses import replace

from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.metrics._events import stalls_of
from robokata.metrics._trial import parts_of, pooled, rows_of
from robokata.statistics.intervals import mean_of_counts, mean_of_numbers

UNIT: str | None = None


def observe(trial: Episode) -> Observation:
    """Number of standstills."""
    stalls = stalls_of(trial)
    if stalls is None:
        return Observation(None, "no stream shows motion over time")
    return Observation(float(len(stalls)), parts=(("time_still", sum(s.end_s - s.start_s for s in stalls)),))


def summarise(observations: Sequence[Observation]) -> Estimate:
    """Mean number of standstills."""
    parts = parts_of(observations, ("time_still",), mean_of_numbers, {"time_still": "s"})
    return replace(pooled("stalls", observations, mean_of_counts), parts=parts)


def measure(trials: Sequence[Episode]) -> Estimate:
    """Mean number of standstills in trials."""
    return summarise(rows_of(trials, observe))
