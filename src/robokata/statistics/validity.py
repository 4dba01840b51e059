"""Does a cheap measurement order policies as the real one does? MMRV, Pearson, Spearman."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, unknown
from robokata.statistics.bootstrap import RESAMPLES, percentile_interval
from robokata.statistics.intervals import CONFIDENCE

Numbers = NDArray[np.float64]


def mmrv(*, real: Numbers, simulated: Numbers) -> float:
    """Mean maximum rank violation: 0 where the order is the same; (K,) performances of K policies.

    Li et al. (SIMPLER, 2024): for each policy the largest real gap to another that the simulation orders the other way,
    averaged. The gaps are real ones, so exchanging the two changes the value (0.031 and 0.062 for SIMPLER's
    coke can): that is why both must be named.

    Raises:
        InvalidEstimate: fewer than two policies, or different numbers of them.
    """
    real, simulated = _checked(real, simulated)
    disagree = (simulated[:, np.newaxis] > simulated) != (real[:, np.newaxis] > real)
    return float(np.max(np.abs(real[:, np.newaxis] - real) * disagree, axis=1).mean())


def pearson(*, real: Numbers, simulated: Numbers) -> float | None:
    """Pearson's correlation of (K,) performances; None where one of them does not vary.

    Raises:
        InvalidEstimate: fewer than two policies, or different numbers of them.
    """
    real, simulated = _checked(real, simulated)
    one, two = real - real.mean(), simulated - simulated.mean()
    size = float(np.linalg.norm(one) * np.linalg.norm(two))
    # Rounding leaves 1e-17 of a mean that is not exact: that is no variation.
    if size <= 1e-12:
        return None
    return float(np.clip(one @ two / size, -1, 1))


def spearman(*, real: Numbers, simulated: Numbers) -> float | None:
    """Pearson's correlation of the ranks, ties sharing their mean rank; None where one of them does not vary.

    Raises:
        InvalidEstimate: fewer than two policies, or different numbers of them.
    """
    real, simulated = _checked(real, simulated)
    return pearson(real=_mean_ranks(real), simulated=_mean_ranks(simulated))


STATISTICS: dict[str, Callable[..., float | None]] = {"MMRV": mmrv, "Pearson": pearson, "Spearman": spearman}


@dataclass(frozen=True)
class Agreement:
    """How well a proxy orders policies: never one number alone."""

    mmrv: Estimate
    pearson: Estimate
    spearman: Estimate
    without: Mapping[str, Mapping[str, float | None]]
    """Policy left out -> statistic -> value: a correlation that hangs on one bad policy shows here."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            **{name: getattr(self, name).to_json() for name in ("mmrv", "pearson", "spearman")},
            "without": {name: dict(values) for name, values in self.without.items()},
        }


def agreement(
    *,
    real: Mapping[str, float],
    simulated: Mapping[str, float],
    real_draws: Mapping[str, Numbers] | None = None,
    simulated_draws: Mapping[str, Numbers] | None = None,
) -> Agreement:
    """Statistics over the policies that both name, with bootstrap intervals and leave-one-policy-out.

    `real_draws` and `simulated_draws` hold, per policy, resampled values of its performance, (B,), in step with
    each other (`binomial_draws` makes them from counts). Without them there is no interval: five points alone do not
    say how far each would move if its trials were run again.

    Raises:
        InvalidEstimate: fewer than three policies in common.
    """
    names = sorted(set(real) & set(simulated))
    if len(names) < 3:
        raise InvalidEstimate(f"{len(names)} policies measured both ways: a correlation needs three or more.")
    r, s = (np.asarray([values[name] for name in names], dtype=np.float64) for values in (real, simulated))
    found = {}
    for quantity, statistic in STATISTICS.items():
        found[quantity] = _estimate(quantity, statistic, names, r, s, real_draws, simulated_draws)
    without = {
        name: {
            quantity: statistic(real=np.delete(r, k), simulated=np.delete(s, k))
            for quantity, statistic in STATISTICS.items()
        }
        for k, name in enumerate(names)
    }
    return Agreement(found["MMRV"], found["Pearson"], found["Spearman"], without)


def binomial_draws(
    rates: Mapping[str, float], *, trials: int, rng: np.random.Generator, resamples: int = RESAMPLES
) -> dict[str, Numbers]:
    """Success rates that as many trials could have shown as well, (B,) per policy: Beta(k + 1/2, n - k + 1/2).

    The posterior, not a binomial at the rate seen: 0 of 24 would then be 0 in every draw.
    """
    return {
        name: rng.beta(rate * trials + 0.5, (1 - rate) * trials + 0.5, size=resamples) for name, rate in rates.items()
    }


def _estimate(
    quantity: str,
    statistic: Callable[..., float | None],
    names: list[str],
    real: Numbers,
    simulated: Numbers,
    real_draws: Mapping[str, Numbers] | None,
    simulated_draws: Mapping[str, Numbers] | None,
) -> Estimate:
    value = statistic(real=real, simulated=simulated)
    if value is None:
        return unknown(quantity, "one of the two measurements is the same for every policy", n=len(names))
    if real_draws is None and simulated_draws is None:
        return Estimate(quantity, value, None, None, len(names), "over policies; no trials given, so no interval")
    draws = next(iter((real_draws or simulated_draws or {}).values()))
    rows = []
    for b in range(len(draws)):
        r = real if real_draws is None else np.asarray([real_draws[name][b] for name in names])
        s = simulated if simulated_draws is None else np.asarray([simulated_draws[name][b] for name in names])
        drawn = statistic(real=r, simulated=s)
        rows.append(np.nan if drawn is None else drawn)
    low, high = percentile_interval(np.asarray(rows, dtype=np.float64))
    return Estimate(quantity, value, low, high, len(names), f"over policies, bootstrap of trials, {CONFIDENCE:.0%}")


def _mean_ranks(values: Numbers) -> Numbers:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray(((last - counts + 1 + last) / 2)[inverse], dtype=np.float64)


def _checked(real: Numbers, simulated: Numbers) -> tuple[Numbers, Numbers]:
    r, s = np.asarray(real, dtype=np.float64), np.asarray(simulated, dtype=np.float64)
    if r.shape != s.shape or r.ndim != 1 or len(r) < 2:
        raise InvalidEstimate(f"{r.shape} real and {s.shape} simulated performances: expected one of each per policy.")
    return r, s
