"""Time until something happens, where it does not always happen: Kaplan-Meier, restricted mean, log-rank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, unknown
from robokata.core.require import require
from robokata.statistics.intervals import CONFIDENCE, student_quantile


class SurvivalCurve(NamedTuple):
    """Kaplan-Meier's curve: one entry for each moment at which something happened."""

    times_s: NDArray[np.float64]
    """(K,) moments, rising."""
    at_risk: NDArray[np.int64]
    """(K,) trials that still ran just before."""
    events: NDArray[np.int64]
    """(K,) trials in which it happened then."""
    survival: NDArray[np.float64]
    """(K,) probability that it has not happened up to and including then."""
    spread: NDArray[np.float64]
    """(K,) standard error of `survival` (Greenwood 1926)."""

    def happened_by(self, time_s: float) -> float:
        """Probability that it happens within a time: the success curve 1 - S."""
        at = int(np.searchsorted(self.times_s, time_s, side="right"))
        return 0.0 if at == 0 else 1.0 - float(self.survival[at - 1])


def kaplan_meier(times_s: Sequence[float], happened: Sequence[bool]) -> SurvivalCurve:
    """The curve from one time per trial, and whether the event came then or the trial only ended (censored).

    Kaplan and Meier, Journal of the American Statistical Association 53 (1958): S(t) is the product over event times up
    to t of 1 - d / n. A trial that ends at the very moment of an event counts as at risk.

    Raises:
        InvalidEstimate: the two have different lengths, or a time is negative or not finite.
    """
    times, events = _checked(times_s, happened)
    moments = np.unique(times[events])
    at_risk = np.asarray([(times >= moment).sum() for moment in moments], dtype=np.int64)
    died = np.asarray([((times == moment) & events).sum() for moment in moments], dtype=np.int64)
    survival = np.cumprod(1 - died / np.maximum(at_risk, 1)).astype(np.float64)
    left = at_risk - died
    # Where nobody is left the curve is 0 and Greenwood's sum has no finite term: its spread there is taken as 0.
    hazard = np.where(left > 0, died / np.maximum(at_risk * left, 1), 0.0)
    spread = np.asarray(survival * np.sqrt(np.cumsum(hazard)), dtype=np.float64)
    return SurvivalCurve(moments, at_risk, died, survival, spread)


def restricted_mean(
    quantity: str,
    times_s: Sequence[float],
    happened: Sequence[bool],
    *,
    horizon_s: float,
    confidence_level: float = CONFIDENCE,
) -> Estimate:
    """Mean of min(time, horizon): the area under the survival curve up to the horizon (RMST), with its interval.

    Variance as in Klein and Moeschberger, Survival Analysis (2003), equation 4.5.2, with Kaplan and Meier's factor
    n / (n - 1). A trial in which nothing happened by the horizon counts with the horizon: unlike "mean over successes",
    giving up on the hard scenes does not make a policy fast.

    Raises:
        InvalidEstimate: as for the curve, or the horizon lies beyond what the trials saw.
    """
    times, events = _checked(times_s, happened)
    n = len(times)
    if n == 0:
        return unknown(quantity, "no trials", unit="s")
    if not events.all() and times[~events].max() < horizon_s and times[~events].max() >= times[events].max(initial=0.0):
        raise InvalidEstimate(
            f"{quantity}: the longest trial without the event ends at {times.max():g} s, before the horizon "
            f"{horizon_s:g} s: nothing is known of the time between. Pass the horizon that every trial was given."
        )
    inside = events & (times <= horizon_s)
    curve = kaplan_meier(np.minimum(times, horizon_s).tolist(), inside.tolist())
    edges = np.concatenate(([0.0], curve.times_s, [horizon_s]))
    steps = np.concatenate(([1.0], curve.survival)) * np.diff(edges)
    left = curve.at_risk - curve.events
    tail = np.cumsum(steps[::-1])[::-1][1:]  # area under the curve from each event on
    variance = float(np.sum(np.where(left > 0, tail**2 * curve.events / np.maximum(curve.at_risk * left, 1), 0.0)))
    variance *= n / max(1, n - 1)
    half = student_quantile(0.5 + confidence_level / 2, max(1, n - 1)) * math.sqrt(variance)
    area = float(steps.sum())
    method = f"restricted mean to {horizon_s:g} s (Kaplan-Meier), {confidence_level:.0%}"
    if n == 1 or variance == 0:
        return Estimate(quantity, area, None, None, n, f"{method}: no spread between trials, no interval", "s")
    return Estimate(quantity, area, max(0.0, area - half), min(horizon_s, area + half), n, method, "s")


class LogRank(NamedTuple):
    """Are two curves the same?"""

    chi_square: float
    p_value: float


def log_rank(
    first_s: Sequence[float], first_happened: Sequence[bool], second_s: Sequence[float], second_happened: Sequence[bool]
) -> LogRank:
    """Two-sided log-rank test (Mantel, Cancer Chemotherapy Reports 50, 1966); 1 degree of freedom.

    Raises:
        InvalidEstimate: as for the curve.
    """
    stats = require("scipy.stats", extra="statistics")
    groups = [_checked(first_s, first_happened), _checked(second_s, second_happened)]
    if not all(len(times) for times, _ in groups) or not any(events.any() for _, events in groups):
        return LogRank(0.0, 1.0)  # Where nothing happened nothing differs.
    found = stats.logrank(*(stats.CensoredData(uncensored=t[happened], right=t[~happened]) for t, happened in groups))
    return LogRank(float(found.statistic) ** 2, float(found.pvalue))


def _checked(times_s: Sequence[float], happened: Sequence[bool]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    times, events = np.asarray(times_s, dtype=np.float64), np.asarray(happened, dtype=np.bool_)
    if len(times) != len(events):
        raise InvalidEstimate(f"{len(times)} times and {len(events)} outcomes: expected one of each per trial.")
    if len(times) and not (np.isfinite(times).all() and times.min() >= 0):
        raise InvalidEstimate("A time to an event is negative or not finite. A trial without the event is censored.")
    return times, events
