"""What happened at every step of a training: loss, rate, speed, and the wait for data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from robokata.runtime.atomic import replace_text


class Step(NamedTuple):
    """What happened at one step."""

    loss: float
    """Before the step."""
    gradient_norm: float
    """Before it is clipped."""
    learning_rate: float
    seconds: float
    """What the step took,"""
    waited_s: float
    """and how much of that it waited for data."""


COLUMNS = Step._fields


class Curve:
    """Rows of one number each per step, growing. A class, because it grows."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, ...]] = []
        self._validation: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, step: Step) -> None:
        """One step more."""
        self._rows.append(tuple(step))

    def add_validation(self, value: float) -> None:
        """The loss on the validation split after the last step."""
        self._validation[len(self) - 1] = value

    def validation(self) -> NDArray[np.float64]:
        """Steps and their validation losses, (points, 2); empty where nothing is held out."""
        return np.asarray(list(self._validation.items()), np.float64).reshape(-1, 2)

    @property
    def last(self) -> dict[str, float]:
        """The last step's numbers by name."""
        return dict(zip(COLUMNS, self._rows[-1], strict=True))

    @property
    def last_loss(self) -> float:
        """Loss of the last step."""
        return self._rows[-1][0]

    def table(self) -> NDArray[np.float64]:
        """All steps, (steps, 5), as `COLUMNS`."""
        return np.asarray(self._rows, np.float64).reshape(len(self._rows), len(COLUMNS))

    def load(self, table: NDArray[np.float64], validation: NDArray[np.float64]) -> None:
        """Start from the steps of another run."""
        self._rows = [tuple(row) for row in table.tolist()]
        self._validation = {int(step): float(loss) for step, loss in validation.tolist()}

    def column(self, name: str) -> NDArray[np.float64]:
        """One number of every step."""
        return np.asarray(self.table()[:, COLUMNS.index(name)])

    def summary(self) -> Mapping[str, Any]:
        """Last loss (mean of the last 5 % of the steps), last and least validation loss, steps per second, and the
        share of the time spent waiting.

        The first steps are left out of speed and wait: they build what later ones use.
        """
        table = self.table()
        if not len(table):
            return {"steps": 0, "loss": None, "validation": None, "steps_per_s": None, "wait_share": None}
        settled = table[min(len(table) - 1, 5) :]
        seconds = float(settled[:, 3].sum())
        last = table[-max(1, len(table) // 20) :, 0]
        return {
            "steps": len(table),
            "loss": float(last.mean()),
            "validation": self._validation_summary(),
            "steps_per_s": len(settled) / seconds if seconds > 0 else None,
            "wait_share": float(settled[:, 4].sum()) / seconds if seconds > 0 else None,
        }

    def _validation_summary(self) -> dict[str, float] | None:
        points = self.validation()
        if not len(points):
            return None
        best = int(np.argmin(points[:, 1]))
        return {
            "loss": float(points[-1, 1]),
            "least": float(points[best, 1]),
            "least_at_step": int(points[best, 0]) + 1,
        }

    def write_csv(self, path: Path) -> None:
        """One line per step; the numbers read back to the bit. Steps without a validation loss have none."""
        lines = [",".join(("step", *COLUMNS, "validation_loss"))]
        lines += [
            ",".join((str(step), *map(repr, row), repr(self._validation[step]) if step in self._validation else ""))
            for step, row in enumerate(self._rows)
        ]
        replace_text(path, "\n".join(lines) + "\n")
