"""How often generation succeeded, and how the resets that succeeded differ from those that were tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.core.estimate import Estimate
from robokata.runtime.jobs import Production, Tried
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

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        parts = {name: each.as_json() for name, each in zip(_THIRDS, self.acceptance, strict=True)}
        return {**self._asdict(), "acceptance": parts}


@dataclass(frozen=True)
class Expansion:
    """What an expansion made."""

    production: Production
    acceptance: Estimate
    task: str
    width: str
    reasons: Mapping[str, int]
    """Why attempts failed, most frequent first."""
    sources: Mapping[str, int]
    """Source demonstration -> accepted episodes that use it."""
    biases: tuple[Bias, ...]

    @property
    def most_common_reason(self) -> str:
        """The most frequent reason of a failure, with its count."""
        return next((f"{reason}: {count}" for reason, count in self.reasons.items()), "nothing failed")

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return {
            **self.production.as_json(),
            "task": self.task,
            "width": self.width,
            "acceptance": self.acceptance.as_json(),
            "reasons": dict(self.reasons),
            "sources": dict(self.sources),
            "biases": [bias.as_json() for bias in self.biases],
        }


def expansion_of(production: Production, lines: Sequence[Tried]) -> Expansion:
    """The report of a finished run, from its journal."""
    good = [tried for tried in lines if tried.row["success"]]
    reasons = Counter(str(tried.row["reason"]) for tried in lines if not tried.row["success"])
    used = Counter(source for tried in good for source in sorted(set(tried.row["told"].values())))
    scene = production.recipe["scene"]
    return Expansion(
        production=production,
        acceptance=proportion("acceptance", len(good), len(lines)),
        task=str(scene["task"]),
        width=str(production.recipe["width"]),
        reasons=dict(reasons.most_common()),
        sources=dict(used.most_common()),
        biases=tuple(_biases(lines)),
    )


def _biases(lines: Sequence[Tried]) -> list[Bias]:
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
