"""Is one policy better than another? Exact tests for trials in pairs and for trials apart."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from robokata.core.errors import InvalidEstimate
from robokata.core.estimate import Estimate, unknown
from robokata.core.require import require
from robokata.statistics.intervals import CONFIDENCE, Interval, wilson


class Alternative(enum.StrEnum):
    """What a test looks for."""

    TWO_SIDED = "two-sided"
    GREATER = "greater"
    """The second policy succeeds more often."""
    LESS = "less"
    """The second policy succeeds less often."""


@dataclass(frozen=True)
class Comparison:
    """Success of a second policy against that of a first."""

    difference: Estimate
    """Success rate of the second minus that of the first."""
    p_value: float | None
    """Probability of data at least as extreme where both are equally good; None without data."""
    second_is_better_share: float | None
    """Posterior probability that the second is better, from uniform priors; for prose, not for claims."""
    test: str
    alternative: Alternative
    is_paired: bool
    discordant: tuple[int, int] | None = None
    """Pairs that only the first solved, and that only the second solved; None where trials are not paired."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {**asdict(self), "difference": self.difference.to_json(), "alternative": self.alternative.value}

    def __str__(self) -> str:
        if self.difference.value is None or self.p_value is None:
            return str(self.difference)
        return f"{self.difference}, p = {self.p_value:.3g} ({self.test})"


def compare_pairs(
    first: Sequence[bool],
    second: Sequence[bool],
    *,
    # Which of the two is better is rarely known before.
    alternative: Alternative = Alternative.TWO_SIDED,
    confidence_level: float = CONFIDENCE,
) -> Comparison:
    """Trials in pairs, entry by entry on the same scene (common seeds): McNemar's exact test.

    Only pairs that differ tell anything; under equality each goes either way with probability 1/2 (McNemar,
    Psychometrika 12, 1947). The interval is Newcombe's for paired rates.

    Raises:
        InvalidEstimate: the two have different lengths.
    """
    if len(first) != len(second):
        raise InvalidEstimate(
            f"{len(first)} trials of the first and {len(second)} of the second are no pairs. "
            f"Pair them by seed, or compare them with compare_apart."
        )
    one, two = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((one & ~two).sum()), int((~one & two).sum())
    n, quantity = len(one), "difference of success"
    if n == 0:
        return Comparison(unknown(quantity, "no pairs"), None, None, "McNemar exact", alternative, True, (0, 0))
    low, high = paired_difference_interval(
        int((one & two).sum()), only_first, only_second, n, confidence_level=confidence_level
    )
    method = f"paired difference, Newcombe's hybrid score interval, {confidence_level:.0%}"
    return Comparison(
        Estimate(quantity, (only_second - only_first) / n, low, high, n, method),
        mcnemar(only_first, only_second, alternative=alternative),
        posterior_better(only_first, only_first + only_second, only_second, only_first + only_second),
        "McNemar exact",
        alternative,
        True,
        (only_first, only_second),
    )


def compare_apart(
    successes_first: int,
    trials_first: int,
    successes_second: int,
    trials_second: int,
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
    confidence_level: float = CONFIDENCE,
) -> Comparison:
    """Trials that share nothing: Barnard's exact test, and Newcombe's interval of the difference.

    Barnard, Nature 156 (1945): the unknown common rate is the one that makes the data least surprising.

    Raises:
        InvalidEstimate: counts contradict each other.
    """
    quantity = "difference of success"
    if trials_first == 0 or trials_second == 0:
        return Comparison(unknown(quantity, "no trials"), None, None, "Barnard exact", alternative, False)
    low, high = difference_interval(
        successes_first, trials_first, successes_second, trials_second, confidence_level=confidence_level
    )
    value = successes_second / trials_second - successes_first / trials_first
    method = f"difference, Newcombe's hybrid score interval, {confidence_level:.0%}"
    return Comparison(
        Estimate(quantity, value, low, high, trials_first + trials_second, method),
        barnard(successes_first, trials_first, successes_second, trials_second, alternative=alternative),
        posterior_better(successes_first, trials_first, successes_second, trials_second),
        "Barnard exact",
        alternative,
        False,
    )


def mcnemar(only_first: int, only_second: int, *, alternative: Alternative = Alternative.TWO_SIDED) -> float:
    """p-value of McNemar's exact test from the two counts of pairs that differ."""
    n = only_first + only_second
    if n == 0:
        return 1.0
    binom = require("scipy.stats", extra="statistics").binom
    at_least, at_most = float(binom.sf(only_second - 1, n, 0.5)), float(binom.cdf(only_second, n, 0.5))
    if alternative is Alternative.GREATER:
        return at_least
    if alternative is Alternative.LESS:
        return at_most
    return min(1.0, 2 * min(at_least, at_most))


def barnard(
    successes_first: int,
    trials_first: int,
    successes_second: int,
    trials_second: int,
    *,
    alternative: Alternative = Alternative.TWO_SIDED,
) -> float:
    """p-value of Barnard's exact test.

    Raises:
        InvalidEstimate: counts contradict each other.
    """
    _refuse_odd(successes_first, trials_first)
    _refuse_odd(successes_second, trials_second)
    table = [
        [successes_second, successes_first],
        [trials_second - successes_second, trials_first - successes_first],
    ]
    if not any(table[0]) or not any(table[1]):
        return 1.0  # all failed, or all succeeded: scipy divides by zero, and nothing can be told apart
    stats = require("scipy.stats", extra="statistics")
    # Pooled variance where the arms are equal: the Wald statistic then orders tables as the score test does.
    found = stats.barnard_exact(table, alternative=alternative.value, pooled=trials_first == trials_second)
    return min(1.0, float(found.pvalue))


def posterior_better(successes_first: int, trials_first: int, successes_second: int, trials_second: int) -> float:
    """Posterior probability that the second rate is the larger, from independent uniform priors.

    The finite sum of Cook, "Exact calculation of Beta inequalities" (2005), over whole parameters.
    """
    betaln = require("scipy.special", extra="statistics").betaln
    a1, b1 = successes_first + 1, trials_first - successes_first + 1
    a2, b2 = successes_second + 1, trials_second - successes_second + 1
    i = np.arange(a2)
    terms = betaln(a1 + i, b1 + b2) - np.log(b2 + i) - betaln(1 + i, b2) - betaln(a1, b1)
    return float(min(1.0, math.fsum(np.exp(terms))))


def difference_interval(
    successes_first: int,
    trials_first: int,
    successes_second: int,
    trials_second: int,
    *,
    confidence_level: float = CONFIDENCE,
) -> Interval:
    """Interval of rate 2 - rate 1 from independent trials.

    Newcombe, Statistics in Medicine 17 (1998) 873, method 10: the two Wilson intervals, squared and added.

    Raises:
        InvalidEstimate: counts contradict each other.
    """
    one = wilson(successes_first, trials_first, confidence_level=confidence_level)
    two = wilson(successes_second, trials_second, confidence_level=confidence_level)
    share_one, share_two = successes_first / trials_first, successes_second / trials_second
    gap = share_two - share_one
    low = gap - math.hypot(share_two - two.low, one.high - share_one)
    high = gap + math.hypot(two.high - share_two, share_one - one.low)
    return Interval(low, high)


def paired_difference_interval(
    both: int, only_first: int, only_second: int, pairs: int, *, confidence_level: float = CONFIDENCE
) -> Interval:
    """Interval of rate 2 - rate 1 from pairs.

    Newcombe, Statistics in Medicine 17 (1998) 2635, method 10: Wilson intervals joined through the phi coefficient,
    with a continuity correction where phi is positive.

    Raises:
        InvalidEstimate: counts contradict each other.
    """
    neither = pairs - both - only_first - only_second
    if min(both, only_first, only_second, neither) < 0:
        raise InvalidEstimate(f"{both} + {only_first} + {only_second} of {pairs} pairs.")
    k1, k2 = both + only_first, both + only_second
    one = wilson(k1, pairs, confidence_level=confidence_level)
    two = wilson(k2, pairs, confidence_level=confidence_level)
    share_one, share_two = k1 / pairs, k2 / pairs
    below_two, above_two = share_two - two.low, two.high - share_two
    below_one, above_one = share_one - one.low, one.high - share_one
    phi = _phi(both, only_first, only_second, neither, pairs)
    gap = share_two - share_one
    low = gap - math.sqrt(max(0.0, below_two**2 - 2 * phi * below_two * above_one + above_one**2))
    high = gap + math.sqrt(max(0.0, above_two**2 - 2 * phi * above_two * below_one + below_one**2))
    return Interval(low, high)


def _phi(both: int, only_first: int, only_second: int, neither: int, pairs: int) -> float:
    k1, k2 = both + only_first, both + only_second
    margins = k1 * (pairs - k1) * k2 * (pairs - k2)
    if margins == 0:
        return 0.0
    cross = both * neither - only_first * only_second
    corrected = max(0.0, cross - pairs / 2) if cross > 0 else float(cross)
    return corrected / math.sqrt(margins)


def _refuse_odd(successes: int, trials: int) -> None:
    if trials < 1 or not 0 <= successes <= trials:
        raise InvalidEstimate(
            f"{successes} successes in {trials} trials: expected 0 <= successes <= trials, trials >= 1."
        )
