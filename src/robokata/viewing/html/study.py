"""A study's findings as one self-contained HTML file: the answer first, then effects, arms, curves and runs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from robokata.studies.effects import (
    INTERVAL,
    PRIMARY,
    Answer,
    ArmResult,
    Statement,
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

_GOOD, _OPEN, _BAD = "#2a9d6f", "#9aa3b2", "#c92a2a"


def write_study(findings: Findings, path: Path) -> None:
    """Write the report as one file that needs nothing else."""
    study = findings.study
    body = (
        f"<h1>{escape(study.name)}</h1><p>{escape(study.policy)} at {escape(study.task)} {escape(study.width)}; "
        f"{study.training_seeds} training seeds x {study.trials} trials per arm, {study.steps} steps each.</p>"
        + _answers(findings)
        + _effects(findings)
        + _arms(findings)
        + _scaling(findings)
        + _runs(findings)
    )
    write_page(path, title=f"kata study: {study.name}", body=body)


def _answers(findings: Findings) -> str:
    lines = "".join(
        f"<li>{' '.join(_statement(each) for each in answer.statements())}</li>" for answer in findings.answers
    )
    return f"<section><h2>Answers</h2><ul>{lines}</ul></section>"


def _statement(statement: Statement) -> str:
    text = escape(statement.text)
    return f"<b>{text}</b>" if statement.is_resolved else text


def _effects(findings: Findings) -> str:
    bars, span = [], 0.1
    for answer in findings.answers:
        effect = answer.primary
        if effect is None or effect.estimate.value is None:
            continue
        estimate = effect.estimate
        span = max(span, *(abs(end or 0.0) for end in (estimate.low, estimate.high)))
        bars.append(
            ChartBar(f"{answer.contrast.level} vs {answer.contrast.baseline}", estimate.value or 0.0, estimate.low,
                estimate.high, _colour(answer), p_of(answer.p_adjusted) if answer.p_adjusted is not None else "")
        )  # fmt: skip
    span = min(1.0, math.ceil(span * 10) / 10)
    label = f"change of success at the end (share), interval {INTERVAL}; right: p after Holm; grey: not resolvable"
    chart = bar_chart(bars, span=(-span, span), x_label=label, mark=0.0)
    names = studied_metrics()
    open_, rest = [n for n in names if is_headline(n)], [n for n in names if not is_headline(n)]
    return (
        f"<section><h2>Effects</h2>{chart}{_effect_table(findings, open_)}<details><summary>{len(rest)} more "
        f"quantities</summary>{_effect_table(findings, rest)}</details></section>"
    )


def _effect_table(findings: Findings, quantities: Sequence[str]) -> str:
    rows = "".join(_effect_rows(answer, quantities) for answer in findings.answers)
    return (
        f"<table><tr><th>choice</th><th>quantity</th><th>effect, interval ({INTERVAL})</th><th>p</th><th>p, Holm</th>"
        f"<th>smallest effect it finds</th><th>episodes</th></tr>{rows}</table>"
    )


def _colour(answer: Answer) -> str:
    if not answer.is_resolved or answer.primary is None:
        return _OPEN
    return _GOOD if (answer.primary.estimate.value or 0.0) > 0 else _BAD


def _effect_rows(answer: Answer, quantities: Sequence[str]) -> str:
    out = ""
    for quantity in quantities:
        effect = answer.effects.get(quantity)
        if effect is None:
            continue
        cells = (
            f"{answer.contrast.factor}: {answer.contrast.level} vs {answer.contrast.baseline}",
            quantity,
            shown(effect.estimate),
            p_shown(effect.p_value),
            p_shown(answer.adjusted[quantity]),
            f"{effect.detectable:.2g}",
            f"{answer.episodes[0]} → {answer.episodes[1]}",
        )
        # Numbers stay on one line; the choice may take two.
        whole = (cells[0], *(cell.replace(" ", "\u00a0") for cell in cells[1:]))
        out += f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in whole)}</tr>"
    return out


def _arms(findings: Findings) -> str:
    bars = [_arm_bar(result) for result in findings.results]
    chart = bar_chart(bars, span=(0.0, 1.0), x_label="success at the end, mean over training seeds")
    return f"<section><h2>Arms</h2>{chart}</section>"


def _arm_bar(result: ArmResult) -> ChartBar:
    success = result.metrics[PRIMARY]
    colour = "#9aa3b2" if result.arm.control_of else "#2f6fde"
    return ChartBar(
        result.arm.name, success.value or 0.0, success.low, success.high, colour, f"{result.data.episodes} ep."
    )


def _scaling(findings: Findings) -> str:
    out = ""
    for name, points in findings.scaling.items():
        sizes = np.array([point.size for point in points], dtype=float)
        lines = []
        for label, field, dashed in (("mean", "value", False), ("low", "low", True), ("high", "high", True)):
            values = [getattr(point.success, field) for point in points]
            lines.append(
                PlotLine(label, np.log10(sizes), np.array([np.nan if v is None else v for v in values]), dashed)
            )
        marks = {float(np.log10(size)): f"{size:,g}" for size in sizes}
        out += f"<h3>Success by {escape(name)}</h3>" + line_plot(lines, y_label="success", x_marks=marks)
    return f"<section><h2>Scaling</h2>{out}</section>" if out else ""


def _runs(findings: Findings) -> str:
    names = ("arm", "training seed", "success", "last loss", "training", "infrastructure", "trials, one episode each")
    head = "".join(f"<th>{name}</th>" for name in names)
    rows = "".join(_run_row(result, run) for result in findings.results for run in result.runs)
    cost = f"; {findings.cents:.0f} cents" if findings.cents is not None else ""
    told = (
        f"{findings.hours:.2f} hours of computing{cost}. Study {findings.study.hash}. Data, policies and trials lie in "
        f"<code>{escape(findings.out)}</code>; each has its receipt beside it."
    )
    return f"<section><h2>Runs</h2><table><tr>{head}</tr>{rows}</table><p>{told}</p></section>"


def _run_row(result: ArmResult, run: Run) -> str:
    values = list(run.observed.get(PRIMARY, {}).values())
    cells = (
        escape(result.arm.name),
        str(run.seed),
        f"{np.mean(values):.0%}" if values else "–",
        f"{run.final_loss:.4g}",
        f"{run.train_s:.0f} s",
        str(run.infrastructure),
        f"<code>{escape(run.trials)}</code>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
