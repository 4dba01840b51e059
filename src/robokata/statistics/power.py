"""How many trials and seeds a claim needs, and which effect a budget can resolve."""

from __future__ import annotations

import math

from robokata.core.errors import ComparisonRefused, InvalidEstimate
from robokata.core.require import require
from robokata.statistics.intervals import normal_quantile
from robokata.statistics.sequential import ALPHA

POWER = 0.8
"""Probability of finding an effect that is there: the usual planning value (Cohen 1988)."""


def trials_needed(
    effect_share: float, *, rate_share: float, alpha_level: float = ALPHA, power_share: float = POWER
) -> int:
    """Trials per arm to tell `rate_share` from `rate_share + effect_share`, arms apart, two-sided.

    Cohen's arcsine distance h (Statistical Power Analysis, 1988, chapter 6): n = 2 ((z_alpha/2 + z_power) / h)^2.

    Raises:
        InvalidEstimate: no such pair of rates exists, or the two are equal.
    """
    other = rate_share + effect_share
    if not (0 <= rate_share <= 1 and 0 <= other <= 1) or effect_share == 0:
        raise InvalidEstimate(f"Rates {rate_share:g} and {other:g}: expected two different numbers in 0..1.")
    distance = 2 * math.asin(math.sqrt(other)) - 2 * math.asin(math.sqrt(rate_share))
    return math.ceil(2 * (_spread(alpha_level, power_share) / distance) ** 2)


def detectable_effect(
    trials: int, *, rate_share: float, alpha_level: float = ALPHA, power_share: float = POWER
) -> float | None:
    """Smallest rise of a success rate that `trials` per arm can resolve, arms apart, two-sided.

    None where even a rise to 1 could not be told.

    Raises:
        InvalidEstimate: no trials, or a rate outside 0..1.
    """
    if trials < 1 or not 0 <= rate_share <= 1:
        raise InvalidEstimate(f"{trials} trials at a rate of {rate_share:g}.")
    angle = 2 * math.asin(math.sqrt(rate_share)) + _spread(alpha_level, power_share) * math.sqrt(2 / trials)
    return None if angle > math.pi else math.sin(angle / 2) ** 2 - rate_share


def pairs_needed(
    effect_share: float,
    *,
    # Share of pairs that differ. Common scenes make many pairs agree; 0.3 is what two policies at 0.7 of which the
    # scene decides half would show. Measure it on a first batch.
    discordant_share: float = 0.3,
    alpha_level: float = ALPHA,
    power_share: float = POWER,
) -> int:
    """Pairs that McNemar's test needs to resolve a difference of success.

    Connor, Biometrics 43 (1987) 207, equation 3.

    Raises:
        InvalidEstimate: the effect is 0, or more than all pairs that differ.
    """
    if not 0 < abs(effect_share) <= discordant_share <= 1:
        raise InvalidEstimate(
            f"An effect of {effect_share:g} with {discordant_share:g} of the pairs different: "
            f"expected 0 < |effect| <= share of pairs that differ <= 1."
        )
    z_alpha, z_power = normal_quantile(1 - alpha_level / 2), normal_quantile(power_share)
    spread = z_alpha * math.sqrt(discordant_share) + z_power * math.sqrt(discordant_share - effect_share**2)
    return math.ceil((spread / effect_share) ** 2)


def effect_resolved_by_seeds(
    seeds: int,
    trials: int,
    *,
    # Spread of the paired effect between training seeds: a guess for planning, not a measurement. A study replaces it
    # by its own as soon as two seeds are done.
    seed_std: float = 0.08,
    # Variance of one pair's difference (-1, 0, 1): the share of pairs that differ, where the effect is small.
    discordant_share: float = 0.3,
    alpha_level: float = ALPHA,
    power_share: float = POWER,
) -> float:
    """Smallest effect on a success rate that `seeds` x `trials` common scenes resolve, the seed being the replicate.

    The standard error is sqrt(seed_std^2 / R + discordant / (R T)), and Student's t has R - 1 degrees of freedom. The
    effect solves "noncentral t exceeds the critical value with this power".

    Raises:
        ComparisonRefused: one seed shows no spread between seeds.
    """
    if seeds < 2 or trials < 1:
        raise ComparisonRefused(
            f"{seeds} training seed(s) x {trials} trials cannot carry a claim: the seed is the replicate. "
            f"Train at least 3 seeds per arm."
        )
    stats = require("scipy.stats", extra="statistics")
    error = math.sqrt(seed_std**2 / seeds + discordant_share / (seeds * trials))
    critical = float(stats.t.ppf(1 - alpha_level / 2, seeds - 1))

    def missing_power(distance_ratio: float) -> float:
        return float(stats.nct.sf(critical, seeds - 1, distance_ratio)) - power_share

    solve = require("scipy.optimize", extra="statistics").brentq
    # The needed distance exceeds neither bound: power is below 0.5 at 0, and nearly 1 at eight critical values.
    return float(solve(missing_power, 1e-6, 8 * critical + 8)) * error


def _spread(alpha_level: float, power_share: float) -> float:
    return normal_quantile(1 - alpha_level / 2) + normal_quantile(power_share)
