"""Metrics of the shelf: what each trial says, and one estimate of all, under the metric's name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace

from robokata.core.contracts import SummarisingMetricLeaf
from robokata.core.episode import Episode
from robokata.core.estimate import Estimate, Observation
from robokata.core.shelf import shelf
from robokata.metrics._trial import trial_facts
from robokata.statistics.pooling import pooled

_RATES_DIFFER_RATIO = 1.02


def summarise(metric: str, observations: Sequence[Observation]) -> Estimate:
    """The estimate from all trials' rows; their order does not matter."""
    leaf = shelf("metrics")[metric]
    if isinstance(leaf, SummarisingMetricLeaf):
        return replace(leaf.summarise(observations), quantity=metric, unit=leaf.UNIT)
    return pooled(metric, observations, leaf.MEAN, unit=leaf.UNIT, parts=leaf.PARTS)


def measure_trials(metric: str, trials: Sequence[Episode]) -> Estimate:
    """The estimate of a metric from trials of a policy, or from demonstrations.

    A metric whose value depends on the rate (`observe` takes `rate_hz`) is observed at the rate of the slowest trial
    that it can judge.
    """
    observe = shelf("metrics")[metric].observe
    rows = observe_each(trials, observe)
    rates = [row.rate_hz for row in rows if row.rate_hz is not None]
    takes_rate = "rate_hz" in inspect.signature(observe).parameters
    if takes_rate and rates and max(rates) > _RATES_DIFFER_RATIO * min(rates):
        rows = observe_each(trials, lambda trial: observe(trial, rate_hz=min(rates)))
    return summarise(metric, rows)


def observe_each(trials: Sequence[Episode], observe: Callable[[Episode], Observation]) -> list[Observation]:
    """One observation per trial; a trial of the infrastructure is not looked at."""
    return [
        observe(trial)
        if infrastructure_failure(trial) is None
        else Observation(None, infrastructure_failure(trial), is_infrastructure=True)
        for trial in trials
    ]


def infrastructure_failure(trial: Episode) -> str | None:
    """Why a trial does not count (a dead policy server, a crashed simulator), None where it does."""
    failure = trial_facts(trial).get("infrastructure")
    return str(failure) if failure else None
