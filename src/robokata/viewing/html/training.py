"""A training as one HTML page: how the loss fell, how fast it went, and what was learnt from."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from robokata.runtime.atomic import replace_text
from robokata.runtime.safe_text import visible
from robokata.viewing.svg.line_plot import PlotLine, line_plot
from robokata.viewing.terminal.training import absent_of, size_of, validation_of

if TYPE_CHECKING:
    from robokata.training.train import Trained

_SMOOTHED_STEPS = 50
"""Steps over which the smooth line averages: single batches scatter by a third of the loss."""


def write_training_html(trained: Trained, path: Path) -> None:
    """Write the report of one training as one file that needs nothing else."""
    table = trained.curve.table()
    summary = trained.curve.summary()
    watched = trained.curve.validation()
    steps = np.arange(len(table), dtype=np.float64)
    loss = np.log10(np.maximum(table[:, 0], 1e-12)) if len(table) else np.empty(0)
    speed = 1 / np.maximum(table[:, 3], 1e-9) if len(table) else np.empty(0)
    plots = [
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
    wait, rate = summary["wait_share"], summary["steps_per_s"]
    facts = {
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
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    said = "".join(f"<li>{escape(note)}</li>" for note in trained.notes)
    lost = "".join(f"<li>{escape(each.key)}: {escape(each.reason)}</li>" for each in trained.left_out[:200])
    style = (files("robokata.viewing.html") / "report.css").read_text(encoding="utf-8")
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>kata train: {escape(trained.folder.name)}'
        f"</title><style>{style}</style></head><body><main><h1>{escape(trained.folder.name)}</h1><dl>{listed}</dl>"
        f"{''.join(f'<p>{plot}</p>' for plot in plots)}{said and f'<h2>Of the data</h2><ul>{said}</ul>'}"
        f"{lost and f'<h2>Left out</h2><ul>{lost}</ul>'}"
        f"</main></body></html>"
    )
    replace_text(path, visible(page))


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of the last steps at every step."""
    if not len(values):
        return values
    total = np.cumsum(np.concatenate([[0.0], values]))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - _SMOOTHED_STEPS, 0)
    return np.asarray((total[end] - total[start]) / (end - start))
