"""Share of trials that succeed at some moment.

Definition:
    Trials in which the task was done at any step, over all trials that count. Clopper and Pearson's interval.

Unit:
    Share of trials, 0..1.

Needs:
    `extra["simulation"]["success_once"]`, or a success column of which any sample is set, or success at the end.

Limits:
    Where only the outcome at the end is known, failures cannot tell and successes can: a rate over those that can
    would be 1 whatever the policy does. With such a trial in the set there is no value.

Source:
    As `success_at_end`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation, unknown
from robokata.metrics import _success
from robokata.metrics._scripted_trial import scripted_trial
from robokata.statistics.intervals import proportion
from robokata.statistics.pooling import known_values, with_counts

UNIT: str | None = None
MEAN = Mean.RATE
_ONLY_THE_END = "it failed at the end, and nobody says whether it had succeeded before"


def observe(trial: Episode) -> Observation:
    """1 where the trial succeeded at some moment, 0 where it never did."""
    success = _success.once(trial)
    if success is not None:
        return Observation(float(success))
    return Observation(None, _success.NOBODY_SAYS if trial.outcome.success is None else _ONLY_THE_END)


def summarise(observations: Sequence[Observation]) -> Estimate:
    """The rate of success at any moment."""
    values = known_values(observations)
    is_biased = any(o.reason == _ONLY_THE_END for o in observations)
    # Successes tell, failures do not: their rate would be 1 whatever the policy does.
    if is_biased:
        return with_counts(unknown("success_once", _ONLY_THE_END), observations)
    return with_counts(proportion("success_once", round(sum(values)), len(values)), observations)


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Successes and failures."""
    success = bool(rng.random() < 0.7)
    return PlantedTrial(scripted_trial(rng, success=success), float(success))
