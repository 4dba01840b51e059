"""What the rollouts themselves say of policies: mean success and progress, and pairs that met the same scenes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.arena.roboarena import Rollout
from robokata.core.estimate import Estimate, unknown
from robokata.statistics.bootstrap import percentile_interval, resampled

Score = Callable[[Rollout], float | None]


def success_of(rollout: Rollout) -> float | None:
    """1 or 0, None where nobody said."""
    return None if rollout.success is None else float(rollout.success)


def progress_of(rollout: Rollout) -> float | None:
    """Partial success in 0..1, None where nobody said."""
    return rollout.progress


def mean_score(rollouts: Sequence[Rollout], score: Score) -> dict[str, float]:
    """Mean of a score per policy, over the rollouts that have one."""
    values: dict[str, list[float]] = defaultdict(list)
    for rollout in rollouts:
        found = score(rollout)
        if found is not None:
            values[rollout.policy].append(found)
    return {policy: float(np.mean(found)) for policy, found in sorted(values.items())}


class _Shared(NamedTuple):
    sums: NDArray[np.float64]
    """(S, 2) sum of the score of first and second in each session."""
    counts: NDArray[np.float64]
    """(S, 2) rollouts behind it."""


def compare_on_shared_scenes(
    rollouts: Sequence[Rollout], first: str, second: str, *, score: Score, quantity: str, seed: int = 0
) -> Estimate:
    """Mean score of the second minus that of the first over the sessions that both ran in; bootstrap over sessions.

    For an A/A pair, one policy under two names, the interval must contain 0.
    """
    shared = _shared(rollouts, first, second, score)
    if len(shared.sums) < 2:
        return unknown(quantity, f"{len(shared.sums)} sessions in which {first} and {second} both ran")

    def gap(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        mean = shared.sums[rows].sum(axis=0) / shared.counts[rows].sum(axis=0)
        return np.asarray(mean[1] - mean[0])

    everything = np.arange(len(shared.sums))
    draws = resampled(gap, list(range(len(shared.sums))), rng=np.random.default_rng(seed))
    low, high = percentile_interval(draws)
    method = f"difference of means over {int(shared.counts.sum())} rollouts, bootstrap over sessions, 95%"
    return Estimate(quantity, float(gap(everything)), low, high, len(shared.sums), method)


def _shared(rollouts: Sequence[Rollout], first: str, second: str, score: Score) -> _Shared:
    at = {first: 0, second: 1}
    sums: dict[str, NDArray[np.float64]] = defaultdict(lambda: np.zeros((2, 2)))
    for rollout in rollouts:
        value = score(rollout)
        if rollout.policy in at and value is not None:
            sums[rollout.session][at[rollout.policy]] += (value, 1)
    both = [table for _, table in sorted(sums.items()) if (table[:, 1] > 0).all()]
    stacked = np.asarray(both) if both else np.zeros((0, 2, 2))
    return _Shared(stacked[..., 0], stacked[..., 1])
