"""How long trials take to succeed, failures counted with the time they were given.

Definition:
    Restricted mean time to first success: the area under Kaplan and Meier's curve up to the horizon. A trial
    without success is censored at the horizon that it was given (`horizon_s` of the trial), or else when it ends.
    The horizon is the longest that a trial without success was given, or the longest time to success where none
    failed.

Unit:
    s

Needs:
    The moment of first success (`extra["simulation"]["first_success_s"]`, or the first set sample of a success
    column), and times.

Limits:
    Where no horizon is known, a trial that was cut short counts as one that might have gone on like the others:
    give the horizon where the policy itself stopped. The value depends on the horizon, which the method names:
    compare only equal horizons. It is not the mean over successes, which falls when a policy gives up on the slow
    scenes. `parts` holds the median where half succeed.

Source:
    Kaplan and Meier, JASA 53 (1958); Royston and Parmar, BMC Medical Research Methodology 13 (2013) for the
    restricted mean. The log-rank test between two sets: `robokata.statistics.survival.log_rank`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from robokata.core.contracts import Mean, PlantedTrial
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation, unknown
from robokata.metrics import _success
from robokata.metrics._scripted_trial import scripted_trial
from robokata.statistics.pooling import with_counts
from robokata.statistics.survival import kaplan_meier, restricted_mean

UNIT: str | None = "s"
MEAN = Mean.OF_NUMBERS
IS_HEADLINE = True


def observe(trial: Episode) -> Observation:
    """Seconds to first success; censored at the end of the trial where there was none."""
    first = _success.first_success(trial)
    if not first.is_known:
        return Observation(None, first.reason)
    if first.time_s is not None:
        return Observation(first.time_s)
    given_s = _success.horizon_s(trial)
    return Observation(trial.duration_s if given_s is None else given_s, is_censored=True)


def summarise(observations: Sequence[Observation]) -> Estimate:
    """The restricted mean, to the horizon that the failures were given."""
    rows = sorted((o.value, o.is_censored) for o in observations if o.value is not None and not o.is_infrastructure)
    if not rows:
        return with_counts(unknown("time_to_success", "no trials", unit=UNIT), observations)
    times_s, happened = [time_s for time_s, _ in rows], [not censored for _, censored in rows]
    waited = [time_s for time_s, censored in rows if censored]
    horizon_s = max(waited) if waited else max(times_s)
    if horizon_s <= 0:
        return with_counts(
            unknown("time_to_success", "a trial without success lasted no time", unit=UNIT), observations
        )
    estimate = restricted_mean("time_to_success", times_s, happened, horizon_s=horizon_s)
    curve = kaplan_meier(times_s, happened)
    half = np.flatnonzero(curve.survival <= 0.5)
    if len(half):
        median_s = float(curve.times_s[half[0]])
        part = Estimate("median", median_s, None, None, estimate.n, "Kaplan-Meier; no interval", UNIT)
        estimate = replace(estimate, parts=(part,))
    return with_counts(estimate, observations)


def plant(rng: np.random.Generator) -> PlantedTrial:
    """Successes after standstills, and failures."""
    success = bool(rng.random() < 0.75)
    made = scripted_trial(rng, success=success, stall_s=float(rng.integers(0, 8)) / 4)
    done_s = made.extra["simulation"]["first_success_s"]
    return PlantedTrial(made, 30.0 if done_s is None else done_s)
