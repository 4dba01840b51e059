"""The statistics that LeRobot datasets declare: per episode and over all, quantiles included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.values import Pictures

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
KEPT_ROWS = 8192
"""Rows per level of the quantile summary: quantiles are exact up to twice as many rows, and after that their rank is
off by less than (levels / 16,384), 0.1 % for ten million rows. 44 channels then take 30 MB."""
PICTURES_SAMPLED = 5
"""Pictures per camera and episode that enter the picture statistics: each costs a seek, and 100 episodes give 500."""
_SIDE_PX = 64
"""Pictures are thinned to at most this many pixels a side before they are counted: five of them give 20,000 samples,
whose mean is known to 0.7 % of the spread, and counting all pixels takes longer than copying the video."""


@dataclass
class Quantiles:
    """Quantiles of each channel of a table of any length, in bounded memory (after Karnin, Lang, Liberty 2016).

    A level that overflows is sorted per channel, and every second row moves up with twice the weight. Which of the two
    halves moves alternates, so the same rows always give the same numbers.
    """

    levels: list[list[NDArray[np.float64]]] = field(default_factory=lambda: [[]])
    """Blocks of rows by weight, each channel of a block sorted."""
    moves: int = 0

    def add(self, rows: NDArray[np.float64]) -> None:
        """Take in rows, each channel of them sorted."""
        # Every n-th row, not one stretch after the other: so that each block is a sample of all.
        blocks = -(-len(rows) // KEPT_ROWS)
        for start in range(blocks):
            self._put(0, rows[start::blocks])

    def join(self, other: Quantiles) -> None:
        """Take in the rows of another summary."""
        for number, level in enumerate(other.levels):
            for rows in level:
                self._put(number, rows)

    def at(self, shares: Sequence[float]) -> NDArray[np.float64]:
        """Values below which these shares of the rows lie, (len(shares), D)."""
        blocks = [block for level in self.levels for block in level]
        if len(blocks) == 1:
            return _interpolated(blocks[0], np.asarray(shares))
        rows = np.concatenate(blocks)
        if len(self.levels) == 1:
            return _interpolated(np.sort(rows, axis=0), np.asarray(shares))
        weights = np.concatenate([np.full(sum(map(len, level)), 2.0**n) for n, level in enumerate(self.levels)])
        order = np.argsort(rows, axis=0, kind="stable")
        reached = np.cumsum(weights[order], axis=0) / weights.sum()
        wanted = [np.argmax(reached >= share, axis=0) for share in shares]
        return np.stack([np.take_along_axis(rows, np.take_along_axis(order, w[None], 0), 0)[0] for w in wanted])

    def _put(self, number: int, rows: NDArray[np.float64]) -> None:
        if number == len(self.levels):
            self.levels.append([])
        level = self.levels[number]
        level.append(rows)
        if sum(map(len, level)) < 2 * KEPT_ROWS:
            return
        whole = np.sort(np.concatenate(level), axis=0)
        # An odd row stays: what moves up must stand for exactly two rows each.
        self.levels[number] = [whole[-1:]] if len(whole) % 2 else []
        even = whole[: len(whole) // 2 * 2]
        self.moves += 1
        self._put(number + 1, even[self.moves % 2 :: 2])


def _interpolated(rows: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles of sorted rows as numpy.quantile computes them by default, ten times as fast on an episode."""
    at = shares * (len(rows) - 1)
    low = np.floor(at).astype(np.int64)
    part = (at - low)[:, np.newaxis]
    below, above = rows[low], rows[np.minimum(low + 1, len(rows) - 1)]
    step = above - below
    return np.where(part < 0.5, below + step * part, above - step * (1 - part))


@dataclass
class Moments:
    """Count, mean, squared deviations, range and quantiles of each channel (Chan et al. 1979, formula 1.5)."""

    count: int = 0
    """Rows that entered: those without NaN or infinity."""
    rows: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    deviation: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    quantiles: Quantiles = field(default_factory=Quantiles)

    def add(self, table: NDArray[Any]) -> None:
        """Take in rows, (R, D); those with a NaN or an infinity are only counted."""
        self.join(_moments_of(table))

    def join(self, other: Moments) -> None:
        """Take in the sums of other rows."""
        self.rows += other.rows
        self.quantiles.join(other.quantiles)
        if not other.count or not self.count:
            if other.count:
                self.count, self.mean, self.deviation = other.count, other.mean, other.deviation
                self.low, self.high = other.low, other.high
            return
        total = self.count + other.count
        difference = other.mean - self.mean
        self.deviation = self.deviation + other.deviation + difference**2 * self.count * other.count / total
        self.mean = self.mean + difference * other.count / total
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.count = total

    def of_channels(self, channels: slice) -> Moments:
        """Those of some channels of the same rows."""
        part = Moments(self.count, self.rows, self.mean[channels], self.deviation[channels])
        part.low, part.high = self.low[channels], self.high[channels]
        blocks = [[block[:, channels] for block in level] for level in self.quantiles.levels]
        part.quantiles = Quantiles(blocks, self.quantiles.moves)
        return part

    def stated(self, shape: tuple[int, ...], *, count: int | None = None) -> dict[str, Any]:
        """As LeRobot writes it: each quantity in the shape of the feature."""
        spread = np.sqrt(self.deviation / max(1, self.count))
        parts = {"min": self.low, "max": self.high, "mean": self.mean, "std": spread}
        parts |= dict(zip(QUANTILES, self.quantiles.at(list(QUANTILES.values())), strict=True))
        said = {name: value.reshape(shape).tolist() for name, value in parts.items()}
        return {**said, "count": [self.rows if count is None else count]}


def moments_by_name(columns: Mapping[str, NDArray[Any]]) -> dict[str, Moments]:
    """Moments of several columns of the same rows, each (R, ...): in one go, as every call has its price."""
    tables = [column.reshape(len(column), -1).astype(np.float64) for column in columns.values()]
    together = np.concatenate(tables, axis=1) if tables else np.zeros((0, 0))
    if not np.isfinite(together).all():
        return {name: _moments_of(table) for name, table in zip(columns, tables, strict=True)}
    whole, out, start = _moments_of(together), {}, 0
    for name, table in zip(columns, tables, strict=True):
        out[name] = whole.of_channels(slice(start, start := start + table.shape[1]))
    return out


def _moments_of(table: NDArray[Any]) -> Moments:
    numbers = table.astype(np.float64, copy=False)
    # Rows with NaN or infinity would make the whole statistic NaN, and NaN is no JSON.
    if not np.isfinite(numbers).all():
        numbers = numbers[np.isfinite(numbers).all(axis=1)]
    if not len(numbers):
        return Moments(rows=len(table))
    mean = numbers.mean(axis=0)
    ordered = np.sort(numbers, axis=0)
    found = Moments(
        len(numbers), len(table), mean, ((numbers - mean) ** 2).sum(axis=0), ordered[0].copy(), ordered[-1].copy()
    )
    found.quantiles.add(ordered)
    return found


def sampled_pictures(pictures: Pictures, picked: NDArray[np.int64]) -> Moments:
    """Statistics of the colours of a few pictures spread over an episode, each channel in 0..1."""
    moments = Moments()
    bits = pictures.media().bits
    rows = np.unique(np.linspace(0, len(picked) - 1, PICTURES_SAMPLED).astype(np.int64))
    for row in rows:
        picture = np.asarray(pictures[int(picked[row])])
        step = -(-max(picture.shape[:2]) // _SIDE_PX)
        thinned = picture[::step, ::step].reshape(-1, picture.shape[2] if picture.ndim == 3 else 1)
        held = 8 * picture.dtype.itemsize if picture.dtype.kind == "u" else 8
        # Codes of 12 bits in numbers of 16: their own range is 0..1.
        moments.add(thinned / float(2 ** min(held, bits or held) - 1))
    moments.rows = len(rows)
    return moments


def believable(declared: Mapping[str, Any], channels: int) -> bool:
    """True where statistics that a source declares of a camera are complete and do not contradict themselves."""
    quantities = ("min", "max", "mean", "std", *QUANTILES, "count")
    if any(name not in declared for name in quantities):
        return False
    flat = {name: np.asarray(declared[name], np.float64).ravel() for name in quantities}
    if any(len(flat[name]) != channels or not np.isfinite(flat[name]).all() for name in quantities[:-1]):
        return False
    # A camera that sees more than one brightness has a spread: LeRobot 0.4 declares 0 for all of them.
    moves = flat["max"] > flat["min"]
    return bool(np.all(flat["std"][moves] > 0) and len(flat["count"]) == 1 and flat["count"][0] >= 1)


@dataclass
class PictureTotals:
    """Statistics of a camera over all episodes, from those of each. A class, because they add up."""

    count: float = 0.0
    parts: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    def add(self, stated: Mapping[str, Any]) -> None:
        """Merge one episode's; quantiles are the average over episodes, as no values are kept of pictures."""
        new = {name: np.asarray(value, np.float64) for name, value in stated.items() if name != "count"}
        weight = float(np.asarray(stated["count"]).ravel()[0])
        if not self.count:
            self.count, self.parts = weight, new
            return
        old, total = self.parts, self.count + weight
        share = weight / total
        mean = old["mean"] + (new["mean"] - old["mean"]) * share
        squares = (1 - share) * (old["std"] ** 2 + (old["mean"] - mean) ** 2)
        squares = squares + share * (new["std"] ** 2 + (new["mean"] - mean) ** 2)
        merged = {name: old[name] + (new[name] - old[name]) * share for name in QUANTILES}
        merged |= {"min": np.minimum(old["min"], new["min"]), "max": np.maximum(old["max"], new["max"])}
        self.count, self.parts = total, {**merged, "mean": mean, "std": np.sqrt(squares)}

    def stated(self) -> dict[str, Any]:
        """As LeRobot writes it, in the order of the single episodes."""
        order = ("min", "max", "mean", "std", *QUANTILES)
        return {**{name: self.parts[name].tolist() for name in order}, "count": [int(self.count)]}
