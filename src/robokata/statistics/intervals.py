"""Intervals for success rates, means and counts of trials."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, unknown
from robokata.core.require import require

CONFIDENCE = 0.95
"""Level of every interval that is not asked for by name: the field's own."""


class Interval(NamedTuple):
    """Both ends of an interval."""

    low: float
    high: float


def clopper_pearson(successes: int, trials: int, *, confidence_level: float = CONFIDENCE) -> Interval:
    """Exact interval of a success rate: covers at least `confidence_level`, whatever the rate. For claims.

    Clopper and Pearson, Biometrika 26 (1934): quantiles of Beta(k, n - k + 1) and Beta(k + 1, n - k).

    Raises:
        InvalidEstimate: the counts contradict each other.
    """
    _refuse_odd(successes, trials)
    beta, tail = require("scipy.stats", extra="statistics").beta, (1 - confidence_level) / 2
    # At the ends one of the two Beta distributions does not exist (scipy answers NaN): the end is the end.
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, trials - successes + 1))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, successes + 1, trials - successes))
    return Interval(low, high)


def wilson(successes: int, trials: int, *, confidence_level: float = CONFIDENCE) -> Interval:
    """Score interval of a success rate: covers `confidence_level` on average over rates. For display.

    Wilson, Journal of the American Statistical Association 22 (1927).

    Raises:
        InvalidEstimate: the counts contradict each other.
    """
    _refuse_odd(successes, trials)
    z = normal_quantile(0.5 + confidence_level / 2)
    share = successes / trials
    centre = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # Rounding would leave 1e-17 where the end is exactly 0 or 1.
    low = 0.0 if successes == 0 else (centre - half) / scale
    high = 1.0 if successes == trials else (centre + half) / scale
    return Interval(low, high)


def jeffreys(successes: int, trials: int, *, confidence_level: float = CONFIDENCE) -> Interval:
    """Equal-tailed interval of the posterior Beta(k + 1/2, n - k + 1/2), with the ends 0 and 1 where k is 0 or n.

    Brown, Cai and DasGupta, Statistical Science 16 (2001), section 3.1.3.

    Raises:
        InvalidEstimate: the counts contradict each other.
    """
    _refuse_odd(successes, trials)
    beta, tail = require("scipy.stats", extra="statistics").beta, (1 - confidence_level) / 2
    shape = (successes + 0.5, trials - successes + 0.5)
    low = 0.0 if successes == 0 else float(beta.ppf(tail, *shape))
    high = 1.0 if successes == trials else float(beta.ppf(1 - tail, *shape))
    return Interval(low, high)


METHODS: dict[str, Callable[..., Interval]] = {
    "Clopper-Pearson": clopper_pearson,
    "Wilson": wilson,
    "Jeffreys": jeffreys,
}


def proportion(
    quantity: str,
    successes: int,
    trials: int,
    *,
    # Claims need coverage that does not depend on luck; `wilson` is there for charts.
    method: str = "Clopper-Pearson",
    confidence_level: float = CONFIDENCE,
) -> Estimate:
    """A success rate with its interval.

    Raises:
        InvalidEstimate: the counts contradict each other.
    """
    if trials == 0:
        return unknown(quantity, "no trials")
    low, high = METHODS[method](successes, trials, confidence_level=confidence_level)
    return Estimate(quantity, successes / trials, low, high, trials, f"{method}, {confidence_level:.0%}")


def as_shown(estimate: Estimate) -> Estimate:
    """What a chart draws: Wilson's interval where the claim, in tables and sentences, is Clopper and Pearson's."""
    if estimate.value is None or not estimate.method.startswith("Clopper-Pearson"):
        return estimate
    level = float(estimate.method.rpartition(" ")[2].rstrip("%")) / 100
    low, high = wilson(round(estimate.value * estimate.n), estimate.n, confidence_level=level)
    return replace(estimate, low=low, high=high, method=f"Wilson, {level:.0%}")


def mean_of_numbers(
    quantity: str, values: Sequence[float], *, unit: str | None = None, confidence_level: float = CONFIDENCE
) -> Estimate:
    """Mean of numbers without bounds, with Student's interval; one number, or numbers that are all alike, have none.

    Raises:
        InvalidEstimate: a value is not finite.
    """
    table = _finite(quantity, values)
    if not len(table):
        return unknown(quantity, "no trials", unit=unit)
    mean = _mean(table)
    if len(table) == 1:
        return Estimate(quantity, mean, None, None, 1, "one trial: no interval", unit)
    half = student_quantile(0.5 + confidence_level / 2, len(table) - 1) * _deviation(table) / math.sqrt(len(table))
    if half == 0:
        # No spread seen is not no spread: an interval of no width would claim the mean exactly.
        return Estimate(quantity, mean, None, None, len(table), "all trials alike: no interval", unit)
    method = f"mean, Student's t, {confidence_level:.0%}"
    return Estimate(quantity, mean, mean - half, mean + half, len(table), method, unit)


def mean_of_shares(quantity: str, values: Sequence[float], *, confidence_level: float = CONFIDENCE) -> Estimate:
    """Mean of numbers in 0..1 (progress): Student's interval after one 0 and one 1 were added, cut to 0..1.

    Without the two, ten trials with progress 1 would claim a mean of exactly 1; the same remedy for success rates is
    Agresti and Caffo, The American Statistician 54 (2000). The value is the plain mean.

    Raises:
        InvalidEstimate: a value lies outside 0..1.
    """
    table = _finite(quantity, values)
    if not len(table):
        return unknown(quantity, "no trials")
    if table.min() < 0 or table.max() > 1:
        raise InvalidEstimate(f"{quantity}: a share of {table.min():g} or {table.max():g} lies outside 0..1.")
    more = np.concatenate((table, (0.0, 1.0)))
    half = student_quantile(0.5 + confidence_level / 2, len(more) - 1) * _deviation(more) / math.sqrt(len(more))
    mean, centre = _mean(table), _mean(more)
    # The shrunken centre could leave a plain mean of 0 or 1 outside its own interval.
    low, high = min(mean, max(0.0, centre - half)), max(mean, min(1.0, centre + half))
    method = f"mean, Student's t with one 0 and one 1 added, {confidence_level:.0%}"
    return Estimate(quantity, mean, low, high, len(table), method)


def mean_of_counts(
    quantity: str, values: Sequence[float], *, unit: str | None = None, confidence_level: float = CONFIDENCE
) -> Estimate:
    """Mean count per trial: the exact Poisson interval of the total, widened by the dispersion that the trials show.

    Garwood, Biometrika 28 (1936), on total / phi with phi = max(1, variance / mean) (quasi-Poisson): no events in
    n trials give [0, 3.69 / n], where Student's interval would claim exactly 0.

    Raises:
        InvalidEstimate: a count is negative or not finite.
    """
    table = _finite(quantity, values)
    if not len(table):
        return unknown(quantity, "no trials", unit=unit)
    if table.min() < 0:
        raise InvalidEstimate(f"{quantity}: a count of {table.min():g}.")
    mean, n = _mean(table), len(table)
    dispersion = max(1.0, float(np.var(table, ddof=1)) / mean) if n > 1 and mean > 0 else 1.0
    chi2, tail = require("scipy.stats", extra="statistics").chi2, (1 - confidence_level) / 2
    total = math.fsum(table) / dispersion
    low = 0.0 if total == 0 else float(chi2.ppf(tail, 2 * total)) / 2
    high = float(chi2.ppf(1 - tail, 2 * (total + 1))) / 2
    method = f"mean count, Garwood with their dispersion, {confidence_level:.0%}"
    return Estimate(quantity, mean, low * dispersion / n, high * dispersion / n, n, method, unit)


def normal_quantile(below_share: float) -> float:
    """The number that a standard normal variable stays below with this probability."""
    return float(require("scipy.special", extra="statistics").ndtri(below_share))


def student_quantile(below_share: float, freedom: float) -> float:
    """The number that Student's t of so many degrees of freedom stays below with this probability."""
    return float(require("scipy.special", extra="statistics").stdtrit(freedom, below_share))


def _mean(table: NDArray[np.float64]) -> float:
    # fsum is exact, so the mean does not depend on the order of the trials.
    return math.fsum(table) / len(table)


def _deviation(table: NDArray[np.float64]) -> float:
    mean = _mean(table)
    return math.sqrt(math.fsum((table - mean) ** 2) / (len(table) - 1))


def _finite(quantity: str, values: Sequence[float]) -> NDArray[np.float64]:
    # Sorted: every sum below is then the same to the last bit in whatever order the trials came.
    table = np.sort(np.asarray(values, dtype=np.float64))
    if not np.isfinite(table).all():
        raise InvalidEstimate(
            f"{quantity}: one of {len(table)} values is not finite. Leave the trial out, and say why."
        )
    return table


def _refuse_odd(successes: int, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidEstimate(
            f"{successes} successes in {trials} trials: expected 0 <= successes <= trials, trials >= 1."
        )
