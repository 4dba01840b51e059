"""The report of a study as one HTML file: the answer first, then effects, arms, curves and runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robokata.studies.effects import (
    INTERVAL,
    PRIMARY,
    Answer,
    ArmResult,
    is_headline,
    p_of,
    p_shown,
    studied_metrics,
)
from robokata.studies.run import Run
from robokata.studies.study import Findings
from robokata.viewing.html.evaluation import shown
from robokata.viewing.html.page import write_page
from robokata.viewing.svg.bars import ChartBar, bar_chart
from robokata.viewing.svg.line_plot import PlotLine, line_plot

if TYPE_CHECKING:
    from markupsafe import Markup

_GOOD, _OPEN, _BAD = "#2a9d6f", "#9aa3b2", "#c92a2a"


def write_study(findings: Findings, path: Path) -> None:
    """Write the report as one file that needs nothing else."""
    names = studied_metrics()
    write_page(
        path,
        "study",
        title=f"kata study: {findings.study.name}",
        findings=findings,
        study=findings.study,
        interval=INTERVAL,
        headline=[name for name in names if is_headline(name)],
        others=[name for name in names if not is_headline(name)],
        effect_chart=_effect_chart(findings),
        effect_cells=_effect_cells,
        arm_chart=_arm_chart(findings),
        scaling_plots=_scaling_plots(findings),
        run_cells=_run_cells,
    )


def _effect_chart(findings: Findings) -> Markup | str:
    bars, span = [], 0.1
    for answer in findings.answers:
        effect = answer.primary
        if effect is None or effect.estimate.value is None:
            continue
        estimate = effect.estimate
        span = max(span, *(abs(end or 0.0) for end in (estimate.low, estimate.high)))
        label = f"{answer.contrast.level} vs {answer.contrast.baseline}"
        note = p_of(answer.p_adjusted) if answer.p_adjusted is not None else ""
        bars.append(ChartBar(label, estimate.value or 0.0, estimate.low, estimate.high, _colour(answer), note))
    span = min(1.0, math.ceil(span * 10) / 10)
    label = f"change of success at the end (share), interval {INTERVAL}; right: p after Holm; grey: not resolvable"
    return bar_chart(bars, span=(-span, span), x_label=label, mark=0.0)


def _colour(answer: Answer) -> str:
    if not answer.is_resolved or answer.primary is None:
        return _OPEN
    return _GOOD if (answer.primary.estimate.value or 0.0) > 0 else _BAD


def _effect_cells(answer: Answer, quantity: str) -> tuple[str, ...]:
    effect = answer.effects[quantity]
    numbers = (
        quantity,
        shown(effect.estimate),
        p_shown(effect.p_value),
        p_shown(answer.adjusted[quantity]),
        f"{effect.detectable:.2g}",
        f"{answer.episodes[0]} → {answer.episodes[1]}",
    )
    # Numbers stay on one line; the choice may take two.
    choice = f"{answer.contrast.factor}: {answer.contrast.level} vs {answer.contrast.baseline}"
    return (choice, *(cell.replace(" ", "\u00a0") for cell in numbers))


def _arm_chart(findings: Findings) -> Markup | str:
    bars = [_arm_bar(result) for result in findings.results]
    return bar_chart(bars, span=(0.0, 1.0), x_label="success at the end, mean over training seeds")


def _arm_bar(result: ArmResult) -> ChartBar:
    success = result.metrics[PRIMARY]
    colour = "#9aa3b2" if result.arm.control_of else "#2f6fde"
    return ChartBar(
        result.arm.name, success.value or 0.0, success.low, success.high, colour, f"{result.data.episodes} ep."
    )


def _scaling_plots(findings: Findings) -> dict[str, Markup | str]:
    plots = {}
    for name, points in findings.scaling.items():
        sizes = np.array([point.size for point in points], dtype=float)
        lines = []
        for label, field, dashed in (("mean", "value", False), ("low", "low", True), ("high", "high", True)):
            values = [getattr(point.success, field) for point in points]
            heights = np.array([np.nan if value is None else value for value in values])
            lines.append(PlotLine(label, np.log10(sizes), heights, dashed))
        marks = {float(np.log10(size)): f"{size:,g}" for size in sizes}
        plots[name] = line_plot(lines, y_label="success", x_marks=marks)
    return plots


def _run_cells(result: ArmResult, run: Run) -> tuple[str, ...]:
    """All but the folder of the trials."""
    values = list(run.observed.get(PRIMARY, {}).values())
    return (
        result.arm.name,
        str(run.seed),
        f"{np.mean(values):.0%}" if values else "–",
        f"{run.final_loss:.4g}",
        f"{run.train_s:.0f} s",
        str(run.infrastructure),
    )
