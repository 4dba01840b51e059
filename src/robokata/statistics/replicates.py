"""What a data choice did to a policy: the training seed is the replicate, not the rollout."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import ComparisonRefused
from robokata.core.estimate import Estimate
from robokata.core.require import require
from robokata.statistics.intervals import CONFIDENCE, student_quantile
from robokata.statistics.power import POWER

Runs = Mapping[str, Mapping[str, float]]
"""Training seed -> trial seed -> value of the quantity in that trial."""


@dataclass(frozen=True)
class Effect:
    """What changed between two arms of a study, and what the budget can tell."""

    estimate: Estimate
    """Mean of changed minus baseline; `n` counts training seeds."""
    p_value: float
    seeds: int
    trials: int
    """Trials per training seed and arm that the estimate rests on."""
    is_paired: bool
    """True where both arms and all seeds met the same trial seeds (common random numbers)."""
    standard_error: float
    freedom: float
    """Degrees of freedom of Student's t behind interval and p-value."""
    seed_std: float
    """Spread of the effect between training seeds, chance of the trials taken off."""
    scene_std: float
    """Spread of the effect between trial seeds (0 where trials are not shared), chance taken off."""
    residual_std: float
    """What is left: chance within one trial of one seed."""
    detectable: float
    """Smallest effect that this many seeds and trials would have found with power 0.8."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**self.__dict__, "estimate": self.estimate.to_json()}

    @property
    def is_resolved(self) -> bool:
        """True where the interval excludes 0."""
        low, high = self.estimate.low, self.estimate.high
        return low is not None and high is not None and (low > 0 or high < 0)

    def seeds_needed(self, *, most: int = 1000) -> int | None:
        """Training seeds with which the effect that was seen would be found with power 0.8; None beyond `most`."""
        size = abs(self.estimate.value or 0.0)
        if size == 0:
            return None
        for seeds in range(2, most + 1):
            variance = self.seed_std**2 / seeds + self.scene_std**2 / self.trials
            variance += self.residual_std**2 / (seeds * self.trials)
            if _detectable(math.sqrt(variance), seeds - 1) <= size:
                return seeds
        return None

    def sentence(self) -> str:
        """The answer in words, with the interval, or that it cannot be resolved and what it would take."""
        estimate = self.estimate
        shown = f"{estimate.value:+.3g} [{estimate.low:+.3g}, {estimate.high:+.3g}]"
        base = f"{estimate.quantity}: {shown}, {self.seeds} training seeds x {self.trials} trials"
        if self.is_resolved:
            return f"{base}, p = {self.p_value:.3g}"
        needed = self.seeds_needed()
        more = (
            "it would take more than 1,000 training seeds, or more trials"
            if needed is None
            else f"needs {needed} seeds"
        )
        return f"{base}: not resolvable with this budget (smallest effect it finds: {self.detectable:.3g}; {more})"


def effect_of(
    quantity: str, *, baseline: Runs, changed: Runs, unit: str | None = None, confidence_level: float = CONFIDENCE
) -> Effect:
    """Changed minus baseline, from the value of every trial of every training seed of both arms.

    Training seeds are paired by name, and so are trial seeds where all runs met the same ones. The differences then
    form a table (seeds R, trials T) with two crossed causes of chance, and the variance of its mean is
    (MS_seed + MS_trial - MS_rest) / (R T), never less than that of either cause alone, with Satterthwaite's degrees
    of freedom, never fewer than R - 1. Where trials are not shared, Student's t over the seeds' mean differences.
    2 span^2 / (R T + 2)^2 is added, the span being 1 for successes and else the range of the values: the variance
    of two more trials that went one each way (Agresti and Min, Biometrics 61, 2005), so that arms which never
    differ do not claim an effect of exactly 0.

    Raises:
        ComparisonRefused: fewer than two training seeds in common, or no trials.
    """
    seeds = sorted(set(baseline) & set(changed))
    if len(seeds) < 2:
        raise ComparisonRefused(
            f"{quantity}: {len(seeds)} training seed(s) in both arms. The training seed is the replicate: any number "
            f"of rollouts of one checkpoint says nothing of how another seed would have turned out. Train at least "
            f"3 seeds per arm."
        )
    shared = sorted(set.intersection(*(set(runs[s]) for runs in (baseline, changed) for s in seeds)))
    lost = sum(len(runs[s]) for runs in (baseline, changed) for s in seeds) - 2 * len(seeds) * len(shared)
    note = _what_was_left_out(baseline, changed, seeds, lost if len(shared) >= 2 else 0)
    said = _Said(quantity, unit, note, confidence_level)
    span = _span([value for runs in (baseline, changed) for s in seeds for value in runs[s].values()])
    if len(shared) >= 2:
        table = np.asarray([[changed[s][t] - baseline[s][t] for t in shared] for s in seeds], dtype=np.float64)
        return _crossed(table, span, said)
    return _apart([[np.asarray(list(runs[s].values())) for runs in (baseline, changed)] for s in seeds], span, said)


class _Said(NamedTuple):
    quantity: str
    unit: str | None
    note: str | None
    confidence_level: float


class _Spreads(NamedTuple):
    seed: float
    scene: float
    residual: float


def _crossed(table: NDArray[np.float64], span: float, said: _Said) -> Effect:
    seeds, trials = table.shape
    mean = float(table.mean())
    by_seed, by_trial = table.mean(axis=1), table.mean(axis=0)
    rest = table - by_seed[:, np.newaxis] - by_trial + mean
    ms_seed = trials * float(((by_seed - mean) ** 2).sum()) / (seeds - 1)
    ms_trial = seeds * float(((by_trial - mean) ** 2).sum()) / (trials - 1)
    ms_rest = float((rest**2).sum()) / ((seeds - 1) * (trials - 1))
    joint = max(ms_seed + ms_trial - ms_rest, ms_seed, ms_trial)
    parts = ms_seed**2 / (seeds - 1) + ms_trial**2 / (trials - 1) + ms_rest**2 / ((seeds - 1) * (trials - 1))
    freedom = seeds - 1 if parts == 0 else max(seeds - 1.0, joint**2 / parts)
    error = math.sqrt(joint / (seeds * trials) + _floor(seeds * trials, span))
    spreads = _Spreads(
        math.sqrt(max(0.0, ms_seed - ms_rest) / trials),
        math.sqrt(max(0.0, ms_trial - ms_rest) / seeds),
        math.sqrt(ms_rest),
    )
    method = "mean over training seeds of paired differences, seeds and trials crossed"
    return _effect(mean, error, freedom, (seeds, trials), spreads, True, method, said)


def _apart(rows: list[list[NDArray[np.float64]]], span: float, said: _Said) -> Effect:
    if any(not len(values) for row in rows for values in row):
        raise ComparisonRefused(
            f"{said.quantity}: a training seed has no trial that could be measured. Evaluate it, or leave it out."
        )
    gaps = np.asarray([two.mean() - one.mean() for one, two in rows])
    seeds, trials = len(rows), min(len(values) for row in rows for values in row)
    within = 2 * float(np.mean([v.var(ddof=1) if len(v) > 1 else 0.0 for row in rows for v in row]))
    between = float(gaps.var(ddof=1))
    error = math.sqrt(between / seeds + _floor(seeds * trials, span))
    spreads = _Spreads(math.sqrt(max(0.0, between - within / trials)), 0.0, math.sqrt(within))
    method = "mean over training seeds of differences of means, trials not shared, Student's t over seeds"
    return _effect(float(gaps.mean()), error, seeds - 1.0, (seeds, trials), spreads, False, method, said)


def _effect(
    mean: float,
    error: float,
    freedom: float,
    size: tuple[int, int],
    spreads: _Spreads,
    is_paired: bool,
    method: str,
    said: _Said,
) -> Effect:
    half = student_quantile(0.5 + said.confidence_level / 2, freedom) * error
    stdtr = require("scipy.special", extra="statistics").stdtr
    p_value = 1.0 if error == 0 else 2 * float(stdtr(freedom, -abs(mean) / error))
    shown = f"{method}, {said.confidence_level:.0%}"
    estimate = Estimate(said.quantity, mean, mean - half, mean + half, size[0], shown, said.unit, note=said.note)
    detectable = _detectable(error, freedom)
    return Effect(estimate, p_value, *size, is_paired, error, freedom, *spreads, detectable)


def _detectable(standard_error: float, freedom: float) -> float:
    # The usual planning sum: the critical value, and as much again as power asks for.
    return (student_quantile(0.975, freedom) + student_quantile(POWER, freedom)) * standard_error


def _floor(differences: int, span: float) -> float:
    return 2 * (span / (differences + 2)) ** 2


def _span(values: list[float]) -> float:
    # Successes: that all were alike says that both are near 0 or 1, not that no trial could have gone otherwise.
    return 1.0 if set(values) <= {0.0, 1.0} else max(values) - min(values)


def _what_was_left_out(baseline: Runs, changed: Runs, seeds: list[str], lost: int) -> str | None:
    alone = sorted((set(baseline) | set(changed)) - set(seeds))
    said = []
    if alone:
        said.append(f"training seeds of one arm only were left out: {', '.join(alone)}")
    if lost:
        said.append(f"{lost} trials had no partner on the same trial seed in every run and were left out")
    return "; ".join(said) or None
