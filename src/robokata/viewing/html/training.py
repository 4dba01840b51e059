"""The report of a training as one HTML file: loss, speed, and the data it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robokata.viewing.html.page import write_page
from robokata.viewing.svg.line_plot import PlotLine, line_plot
from robokata.viewing.terminal.training import absent_of, size_of, validation_of

if TYPE_CHECKING:
    from markupsafe import Markup

    from robokata.training.fit import Trained

_LISTED = 200
"""Episodes left out that the page names."""
_SMOOTHED_STEPS = 50
"""Steps over which the smooth line averages: single batches scatter by a third of the loss."""


def write_training_html(trained: Trained, path: Path) -> None:
    """Write the report of one training as one file that needs nothing else."""
    write_page(
        path,
        "training",
        title=f"kata train: {trained.folder.name}",
        name=trained.folder.name,
        values=_facts(trained),
        plots=_plots(trained),
        notes=trained.notes,
        left_out=trained.left_out[:_LISTED],
    )


def _plots(trained: Trained) -> list[Markup | str]:
    table = trained.curve.table()
    watched = trained.curve.validation()
    steps = np.arange(len(table), dtype=np.float64)
    loss = np.log10(np.maximum(table[:, 0], 1e-12)) if len(table) else np.empty(0)
    speed = 1 / np.maximum(table[:, 3], 1e-9) if len(table) else np.empty(0)
    return [
        line_plot(
            [
                PlotLine("every step", steps, loss),
                PlotLine("smoothed", steps, _smoothed(loss)),
                *(
                    [PlotLine("validation", watched[:, 0], np.log10(np.maximum(watched[:, 1], 1e-12)))]
                    if len(watched)
                    else []
                ),
            ],
            y_label="log10 loss",
            x_unit="",
        ),
        line_plot([PlotLine("steps/s", steps, _smoothed(speed))], y_label="steps per second", x_unit=""),
        line_plot([PlotLine("rate", steps, table[:, 2])], y_label="learning rate", x_unit=""),
    ]


def _facts(trained: Trained) -> dict[str, str]:
    summary = trained.curve.summary()
    wait, rate = summary["wait_share"], summary["steps_per_s"]
    return {
        "policy": f"{trained.policy}, {size_of(trained)}",
        "learnt from": f"{trained.samples:,} samples of {trained.episodes:,} episodes",
        "absent": absent_of(trained) or "nothing",
        "left out": f"{len(trained.left_out)} episodes",
        "steps": f"{summary['steps']:,} of {trained.settings.batch_size} samples",
        "loss": "unknown" if summary["loss"] is None else f"{summary['loss']:.4g} (mean of the last 5 %)",
        "validation": validation_of(trained),
        "speed": "unknown" if rate is None else f"{rate:.3g} steps/s",
        "wait for data": "unknown" if wait is None else f"{100 * wait:.2g} % of the time",
        "seed": str(trained.settings.seed),
        "device": f"{trained.settings.device}, {trained.settings.threads} threads, {trained.settings.precision}",
        **{f"weights of {part}": origin for part, origin in trained.provenance.items()},
    }


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the last steps at every step."""
    if not len(values):
        return values
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - _SMOOTHED_STEPS, 0)
    return np.asarray((total[end] - total[start]) / (end - start))
