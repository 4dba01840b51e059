"""The order in which samples come: a pure function of seed and place, so that resuming is exact."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from robokata.core.errors import TrainingRefused


class Order:
    """Seeded epochs over samples with weights.

    An epoch draws as many samples as there are. With equal weights each comes exactly once; with others each comes
    floor or ceiling of its share (systematic resampling), so that a mixture holds in every epoch and not only on
    average. A class, because it keeps the permutation of the current epoch and its place.
    """

    def __init__(self, weights: NDArray[np.float64], *, seed: int) -> None:
        if not len(weights) or not np.isfinite(weights).all() or weights.min() < 0 or weights.sum() <= 0:
            raise ValueError("an order needs samples with finite weights >= 0 that are not all 0")
        self.shares = weights / weights.sum()
        self.seed, self.epoch, self.position = seed, 0, 0
        self._drawn_epoch, self._drawn = -1, np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.shares)

    def take(self, count: int) -> NDArray[np.int64]:
        """The next `count` sample numbers; an epoch's end is no seam."""
        parts: list[NDArray[np.int64]] = []
        while count:
            epoch = self._permutation(self.epoch)
            part = epoch[self.position : self.position + count]
            parts.append(part)
            count -= len(part)
            self.position += len(part)
            if self.position == len(epoch):
                self.epoch, self.position = self.epoch + 1, 0
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def state_dict(self) -> dict[str, int]:
        """Where it stands: `seed`, `epoch`, `position`, `samples`."""
        return {"seed": self.seed, "epoch": self.epoch, "position": self.position, "samples": len(self)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Stand where another order of the same samples and seed stood.

        Raises:
            TrainingRefused: it was an order of another seed or other samples.
        """
        if (state["seed"], state["samples"]) != (self.seed, len(self)):
            raise TrainingRefused(
                f"the order to resume has seed {state['seed']} and {state['samples']} samples; "
                f"this one has seed {self.seed} and {len(self)}. Resume with the same data and seed."
            )
        self.epoch, self.position = int(state["epoch"]), int(state["position"])

    def _permutation(self, epoch: int) -> NDArray[np.int64]:
        if epoch != self._drawn_epoch:
            rng = np.random.default_rng([self.seed, epoch])
            # Systematic resampling: one random offset, then every 1/n of the cumulated shares.
            shuffled = rng.permutation(len(self))
            edges = np.cumsum(self.shares[shuffled]) * len(self)
            edges[-1] = len(self)
            # Half an ulp of n: equal shares must give every sample once, whatever the rounding of the sum.
            points = np.arange(len(self)) + rng.uniform(0.25, 0.75)
            self._drawn = rng.permutation(shuffled[np.searchsorted(edges, points, side="right")])
            self._drawn_epoch = epoch
        return self._drawn
