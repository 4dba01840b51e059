"""Whether a choice of episodes is really a choice of something else: their length."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from robokata.core.estimate import Estimate
from robokata.statistics.intervals import CONFIDENCE, normal_quantile


def correlation_with_choice(
    quantity: str, is_chosen: Sequence[bool], numbers: Sequence[float], *, confidence_level: float = CONFIDENCE
) -> Estimate:
    """Correlation of being chosen with a number that each episode has: above 0 the chosen ones have more of it.

    The point-biserial correlation (Pearson's with 0 and 1), its interval by Fisher's transformation: sqrt(n - 3) times
    the difference of artanh r is about standard normal.
    """
    method = "point-biserial correlation, interval by Fisher's z"
    chosen, values = np.asarray(is_chosen, np.float64), np.asarray(numbers, np.float64)
    n = len(values)
    if n < 4 or not 0 < chosen.sum() < n or np.ptp(values) == 0:
        reason = "fewer than four episodes" if n < 4 else "all or none are chosen, or all are alike"
        return Estimate(quantity, None, None, None, n, method, reason=reason)
    r = float(np.corrcoef(chosen, values)[0, 1])
    # A correlation of exactly one has no finite transform; its interval ends there.
    z = math.atanh(min(max(r, -1 + 1e-12), 1 - 1e-12))
    half = normal_quantile(1 - (1 - confidence_level) / 2) / math.sqrt(n - 3)
    return Estimate(quantity, r, math.tanh(z - half), math.tanh(z + half), n, method)
