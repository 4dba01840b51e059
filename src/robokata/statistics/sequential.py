"""Stop as soon as the trials suffice: an e-process that may be looked at after every pair."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.statistics.comparison import Alternative

ALPHA = 0.05
"""Probability of claiming a difference where there is none: the field's own."""


class Verdict(NamedTuple):
    """What the pairs so far allow one to say."""

    pairs: int
    p_value: float
    """Anytime-valid: may be read after every pair. Two-sided: twice the smaller of the two directions."""
    winner: Alternative | None
    """GREATER where the second policy is better, LESS where the first is; None while it is open."""
    evidence_greater: float
    """The e-value for "the second is better": the factor by which a bet against equality would have grown."""
    evidence_less: float


@dataclass
class EProcess:
    """One bet: that the second policy succeeds more often. A class, because it keeps the counts.

    Turner and Gruenwald, "Safe anytime-valid inference for 2x2 tables" (Statistics and Probability Letters, 2023): each
    pair is predicted from those before it, with priors Beta(1, 2) and Beta(2, 1); the wealth is the likelihood of the
    prediction over that of the nearest pair of equal rates. Under equality (or worse) it is a supermartingale,
    so the chance that it ever exceeds 1 / alpha is at most alpha, at whatever moment one stops.
    """

    pairs: int = 0
    successes_first: int = 0
    successes_second: int = 0
    log_wealth: float = 0.0
    log_largest: float = 0.0
    """Largest wealth so far (log): what the anytime p-value goes by."""

    def observe(self, first: bool, second: bool) -> None:
        """One more trial of each policy."""
        rate_1 = (1 + self.successes_first) / (3 + self.pairs)
        rate_2 = (2 + self.successes_second) / (3 + self.pairs)
        null_1, null_2 = (rate_1, rate_2) if rate_1 >= rate_2 else ((rate_1 + rate_2) / 2,) * 2
        self.log_wealth += _log_bernoulli(first, rate_1) + _log_bernoulli(second, rate_2)
        self.log_wealth -= _log_bernoulli(first, null_1) + _log_bernoulli(second, null_2)
        self.log_largest = max(self.log_largest, self.log_wealth)
        self.pairs += 1
        self.successes_first += first
        self.successes_second += second

    @property
    def p_value(self) -> float:
        """Smallest 1 / wealth so far, at most 1."""
        return math.exp(-self.log_largest)


class SequentialTest:
    """Feed pairs until `verdict().winner` is not None, or until patience ends. A class, because it keeps the pairs.

    Two-sided, each direction gets half of alpha; no number of trials need be fixed before.
    """

    def __init__(self, *, alpha_level: float = ALPHA, alternative: Alternative = Alternative.TWO_SIDED) -> None:
        self.alpha_level, self.alternative = alpha_level, alternative
        self._greater, self._less = EProcess(), EProcess()

    def observe(self, first: bool, second: bool) -> Verdict:
        """One more trial of each policy, and what may be said now."""
        self._greater.observe(first, second)
        self._less.observe(second, first)
        return self.verdict()

    def verdict(self) -> Verdict:
        """What the pairs so far allow one to say."""
        greater, less = self._greater.p_value, self._less.p_value
        if self.alternative is Alternative.TWO_SIDED:
            p_value, level = min(1.0, 2 * min(greater, less)), self.alpha_level / 2
        else:
            p_value, level = (greater if self.alternative is Alternative.GREATER else less), self.alpha_level
        winner = None
        if self.alternative is not Alternative.LESS and greater <= level and greater <= less:
            winner = Alternative.GREATER
        elif self.alternative is not Alternative.GREATER and less <= level:
            winner = Alternative.LESS
        return Verdict(
            self._greater.pairs, p_value, winner, math.exp(self._greater.log_wealth), math.exp(self._less.log_wealth)
        )


def stop_at(
    pairs: Iterable[tuple[bool, bool]],
    *,
    alpha_level: float = ALPHA,
    alternative: Alternative = Alternative.TWO_SIDED,
) -> Verdict:
    """The verdict at the first pair that decides, or after the last one."""
    test = SequentialTest(alpha_level=alpha_level, alternative=alternative)
    for first, second in pairs:
        verdict = test.observe(first, second)
        if verdict.winner is not None:
            return verdict
    return test.verdict()


def log_wealth_paths(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log-wealth of the bet that the second is better, after each pair: (..., N) from (..., N) outcomes of each.

    The same numbers as `EProcess`, for thousands of streams at once: power is found by simulation.
    """
    pairs = np.arange(first.shape[-1])
    rate_1 = (1 + np.cumsum(first, axis=-1) - first) / (3 + pairs)
    rate_2 = (2 + np.cumsum(second, axis=-1) - second) / (3 + pairs)
    middle = (rate_1 + rate_2) / 2
    null_1, null_2 = (np.where(rate_1 >= rate_2, rate, middle) for rate in (rate_1, rate_2))
    gain_1 = np.log(np.where(first, rate_1, 1 - rate_1)) - np.log(np.where(first, null_1, 1 - null_1))
    gain_2 = np.log(np.where(second, rate_2, 1 - rate_2)) - np.log(np.where(second, null_2, 1 - null_2))
    return np.asarray(np.cumsum(gain_1 + gain_2, axis=-1), dtype=np.float64)


def _log_bernoulli(outcome: bool, rate_share: float) -> float:
    return math.log(rate_share if outcome else 1 - rate_share)
