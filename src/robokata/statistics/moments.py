"""Mean, spread and extremes of numbers, exact and mergeable."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Moments(NamedTuple):
    """Moments of samples of D channels, each (D,) float64; those of two sets of samples give those of both."""

    samples: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    """Sum of the squared deviations from the mean."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @property
    def spread(self) -> NDArray[np.float64]:
        """Standard deviation, divided by the number of samples, (D,)."""
        return np.asarray(np.sqrt(self.squares / self.samples))


def moments_of(table: NDArray[Any]) -> Moments:
    """Moments of a table (T, D) with at least one row; a number that is not finite spoils its own channel only."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = table.mean(axis=0, dtype=np.float64)
        apart = table - mean
        squares = np.einsum("td,td->d", apart, apart, dtype=np.float64)
    low, high = table.min(axis=0), table.max(axis=0)
    return Moments(len(table), mean, squares, low.astype(np.float64), high.astype(np.float64))


def merged(first: Moments, second: Moments) -> Moments:
    """Moments of two sets of samples together (Chan, Golub and LeVeque 1979, equation 2.1)."""
    samples = first.samples + second.samples
    with np.errstate(over="ignore", invalid="ignore"):
        step = second.mean - first.mean
        mean = first.mean + step * (second.samples / samples)
        squares = first.squares + second.squares + step**2 * (first.samples * second.samples / samples)
    return Moments(samples, mean, squares, np.minimum(first.low, second.low), np.maximum(first.high, second.high))
