"""How the resets that succeeded differ from those that were tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.estimate import Estimate
from robokata.runtime.jobs import Tried
from robokata.statistics.intervals import proportion

_AXES = ("x_m", "y_m", "yaw_rad")
_THIRDS = ("low", "middle", "high")


class Bias(NamedTuple):
    """What generation does to one axis of the reset distribution."""

    prop: str
    axis: str
    tried_mean: float
    accepted_mean: float
    distance: float
    """Largest difference of the two cumulative distributions (Kolmogorov-Smirnov), 0..1."""
    acceptance: tuple[Estimate, ...]
    """In the lower, middle and upper third of what was tried."""

    def to_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        parts = {name: each.to_json() for name, each in zip(_THIRDS, self.acceptance, strict=True)}
        return {**self._asdict(), "acceptance": parts}


def reset_biases(lines: Sequence[Tried]) -> list[Bias]:
    """What generation does to each axis of the reset distribution, the most biased first; rows say `reset`."""
    accepted = np.array([bool(tried.row["success"]) for tried in lines])
    if not accepted.any():
        return []
    out = []
    for prop in lines[0].row["reset"]:
        resets = np.array([tried.row["reset"][prop] for tried in lines])
        for axis, values in zip(_AXES, resets.T, strict=True):
            if np.ptp(values) < 1e-9:
                continue  # what never varies cannot be biased
            thirds = np.searchsorted(np.quantile(values, [1 / 3, 2 / 3]), values)
            shares = tuple(
                proportion(f"acceptance {name}", int(accepted[thirds == third].sum()), int((thirds == third).sum()))
                for third, name in enumerate(_THIRDS)
            )
            mean, kept = float(values.mean()), float(values[accepted].mean())
            out.append(Bias(prop, axis, mean, kept, _distance(values, values[accepted]), shares))
    return sorted(out, key=lambda bias: -bias.distance)


def _distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    points = np.sort(np.concatenate([one, other]))
    below_one = np.searchsorted(np.sort(one), points, side="right") / len(one)
    below_other = np.searchsorted(np.sort(other), points, side="right") / len(other)
    return float(np.abs(below_one - below_other).max())
