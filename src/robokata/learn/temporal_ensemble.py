"""Chunks that overlap in time become one: what was decided a moment ago still counts, and fades."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.loading.layout import groups_of

Array = NDArray[np.float64]


class Blend:
    """Keeps the last chunks of an attempt and blends each new one with them. A class, because it remembers.

    After Zhao et al. 2023 (ACT, temporal ensembling), but newer chunks weigh more: weight exp(-age / `fades_s`).
    Quaternions are averaged on the side of the newest; a gripper's numbers are never averaged, the newest decides.
    """

    def __init__(self, channels: tuple[str, ...], *, rate_hz: float, fades_s: float) -> None:
        self.rate_hz, self.fades_s = rate_hz, fades_s
        groups = groups_of(channels)
        self._quats = [list(group.columns[3:]) for group in groups if group.kind == "pose"]
        self._decisions = [c for g in groups if g.kind == "plain" and g.is_decision for c in g.columns]
        self._kept: deque[tuple[float, Array]] = deque(maxlen=8)

    def reset(self) -> None:
        """A new attempt: nothing is remembered."""
        self._kept.clear()

    def __call__(self, chunk: Array, time_s: float | None) -> Array:
        """A new chunk (H, D) that starts at `time_s`, blended; without a time it is returned as it is."""
        if time_s is None or self.fades_s <= 0:
            return chunk
        total, weight = chunk.copy(), np.ones((len(chunk), 1))
        for began_s, old in self._kept:
            age_s = time_s - began_s
            place = age_s * self.rate_hz + np.arange(len(chunk), dtype=np.float64)
            inside = (place >= 0) & (place <= len(old) - 1)
            if age_s < 0 or not inside.any():
                continue
            at = self._interpolated(old, place[inside])
            for columns in self._quats:
                flip = np.sum(at[:, columns] * chunk[inside][:, columns], axis=-1, keepdims=True) < 0
                at[:, columns] = np.where(flip, -at[:, columns], at[:, columns])
            share = float(np.exp(-age_s / self.fades_s))
            total[inside] += share * at
            weight[inside] += share
        self._kept.append((time_s, chunk))
        blended = total / weight
        blended[:, self._decisions] = chunk[:, self._decisions]
        for columns in self._quats:
            blended[:, columns] /= np.maximum(np.linalg.norm(blended[:, columns], axis=-1, keepdims=True), 1e-9)
        return blended

    @staticmethod
    def _interpolated(chunk: Array, place: NDArray[Any]) -> Array:
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, len(chunk) - 1)
        share = (place - low)[:, None]
        return np.asarray((1 - share) * chunk[low] + share * chunk[high])
