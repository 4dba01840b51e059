"""Mean, spread and quantiles of what is really learnt from: of any subset, counted where values are there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import DamagedData

KEPT_ROWS = 50_000
"""Rows from which quantiles are read: the 1 % quantile of 50,000 has a standard error of 0.04 %."""


@dataclass(frozen=True)
class Statistics:
    """Of each number, (...): `count` values, `mean`, `std`, and the quantiles 1 % and 99 %."""

    count: NDArray[np.int64]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    q01: NDArray[np.float64]
    q99: NDArray[np.float64]

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {name: getattr(self, name).tolist() for name in self.__dataclass_fields__}


def statistics_from(data: Any, *, where: str, shape: tuple[int, ...]) -> Statistics:
    """Statistics from what `to_json` gave.

    Raises:
        DamagedData: a field is missing, of another shape, not finite, or a negative spread.
    """
    try:
        count = np.asarray(data["count"], np.int64)
        mean, std, q01, q99 = (np.asarray(data[name], np.float64) for name in ("mean", "std", "q01", "q99"))
    except (TypeError, KeyError, ValueError) as error:
        raise DamagedData(where, f"the statistics are damaged: {error}.") from None
    if any(array.shape != shape or not np.isfinite(array).all() for array in (count, mean, std, q01, q99)):
        raise DamagedData(where, f"the statistics are not finite numbers of the shape {shape}.")
    if (std < 0).any():
        raise DamagedData(where, "the statistics have a negative spread.")
    return Statistics(count, mean, std, q01, q99)


def statistics_of(blocks: Iterable[NDArray[np.floating[Any]]]) -> Statistics:
    """Statistics over the first axis of all blocks together; NaN is an absent value and is not counted.

    Mean and spread are exact, whatever the cut into blocks (Chan, Golub and LeVeque 1983); quantiles are of every k-th
    row where there are more than `KEPT_ROWS`.

    Raises:
        ValueError: there is no block.
    """
    count = mean = squares = None
    kept: list[NDArray[np.float64]] = []
    total = 0
    for block in blocks:
        rows = np.asarray(block, np.float64)
        there = ~np.isnan(rows)
        n = there.sum(0)
        own_mean = np.where(there, rows, 0.0).sum(0) / np.maximum(n, 1)
        own_squares = np.where(there, (rows - own_mean) ** 2, 0.0).sum(0)
        kept.append(rows)
        total += len(rows)
        if count is None or mean is None or squares is None:
            count, mean, squares = n, own_mean, own_squares
            continue
        both = np.maximum(count + n, 1)
        step = own_mean - mean
        squares = squares + own_squares + step**2 * count * n / both
        mean = mean + step * n / both
        count = count + n
    if count is None or mean is None or squares is None:
        raise ValueError("statistics of no block")
    sampled = np.concatenate([rows[:: max(1, total // KEPT_ROWS)] for rows in kept])
    q01, q99 = _quantiles(sampled, 0.01), _quantiles(sampled, 0.99)
    std = np.sqrt(squares / np.maximum(count, 1))
    return Statistics(count.astype(np.int64), mean, std, q01, q99)


def _quantiles(rows: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Quantile of each column without its NaN, 0 where a column has no value."""
    flat = np.sort(rows.reshape(len(rows), -1), axis=0)  # NaN sorts last
    count = (~np.isnan(flat)).sum(0)
    place = np.maximum(count - 1, 0) * share
    low = np.floor(place).astype(int)
    high = np.minimum(low + 1, np.maximum(count - 1, 0))
    columns = np.arange(flat.shape[1])
    value = flat[low, columns] + (place - low) * (flat[high, columns] - flat[low, columns])
    return np.where(count > 0, value, 0.0).reshape(rows.shape[1:])
