"""Distances as a depth video holds them: whole numbers of a few bits, and the mapping that makes metres of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class DepthCodes(NamedTuple):
    """How LeRobot 0.6 turns metres into codes: linear, or by the logarithm of the shifted distance."""

    nearest_m: float
    farthest_m: float
    shift_m: float
    is_log: bool
    levels: int = 4096
    """Codes of 12 bits; 0 is the nearest distance and the last one the farthest, beyond which all is clipped."""

    def metres(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Distances of codes, of the same shape."""
        share = codes.astype(np.float64) / (self.levels - 1)
        if not self.is_log:
            return np.asarray(self.nearest_m + share * (self.farthest_m - self.nearest_m), np.float32)
        low, high = math.log(self.nearest_m + self.shift_m), math.log(self.farthest_m + self.shift_m)
        return np.asarray(np.exp(low + share * (high - low)) - self.shift_m, np.float32)

    def __str__(self) -> str:
        scale = f"logarithmic with shift {self.shift_m:g} m" if self.is_log else "linear"
        return f"0..{self.levels - 1} for {self.nearest_m:g}..{self.farthest_m:g} m, {scale}"


def depth_codes(info: Mapping[str, Any]) -> DepthCodes | None:
    """The mapping that LeRobot's info of a depth video declares, None where it declares none to compute with."""
    info = {str(name).removeprefix("video."): value for name, value in info.items()}
    numbers = [info.get(name) for name in ("depth_min", "depth_max", "shift")]
    if not all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in numbers[:2]):
        return None
    low, high = float(numbers[0] or 0.0), float(numbers[1] or 0.0)
    shift = float(numbers[2]) if isinstance(numbers[2], (int, float)) and math.isfinite(numbers[2]) else 0.0
    is_log = bool(info.get("use_log"))
    if not low < high or (is_log and low + shift <= 0):
        return None
    return DepthCodes(low, high, shift, is_log)
