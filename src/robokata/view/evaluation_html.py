"""An evaluation as one self-contained HTML file: metrics, probes worst first, filmstrips of failures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np

from robokata.core.errors import RobokataError
from robokata.core.estimate import Estimate
from robokata.core.source import open_source
from robokata.evaluate.evaluation import CONTROL, Evaluation
from robokata.evaluate.probes import ProbeResult
from robokata.produce import Tried
from robokata.view.bars import Bar, bar_chart
from robokata.view.page import write_page

_SHOWN_FAILURES = 6
_FRAMES = 6
"""Pictures of a strip: begin, end, and four between."""
_COLOURS = {"visual": "#2f6fde", "semantic": "#b5459c", "behavioural": "#2a9d6f", "physical": "#d9822b"}


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the report as one file that needs nothing else."""
    control = evaluation.control
    title = f"{Path(evaluation.policy).name} at {control.protocol.task}"
    body = (
        f"<h1>{escape(title)}</h1>{_headline(evaluation)}{_metrics(evaluation)}{_probes(evaluation)}"
        f"{_against(evaluation)}{_failures(evaluation)}{_protocol(evaluation)}"
    )
    write_page(path, title=f"kata evaluate: {title}", body=body)


def shown(estimate: Estimate) -> str:
    """Value and interval as text."""
    if estimate.value is None:
        return f"unknown: {estimate.reason}"
    unit = f" {estimate.unit}" if estimate.unit else ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3g}{unit}"
    return f"{estimate.value:.3g}{unit} [{estimate.low:.3g}, {estimate.high:.3g}]"


def _headline(evaluation: Evaluation) -> str:
    control = evaluation.control
    success = control.metrics["success_at_end"]
    broken = sum(bool(line.row["infrastructure"]) for line in control.lines)
    aside = f"; {broken} trials failed for reasons outside the policy and are not counted" if broken else ""
    return (
        f"<p>Success at the end: <b>{escape(shown(success))}</b> in {len(control.successes)} trials on "
        f"{escape(control.protocol.robot)}, resets {escape(control.protocol.width)}{aside}.</p>"
    )


def _metrics(evaluation: Evaluation) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(shown(each))}</td><td>{each.n}</td><td>{escape(each.method)}</td></tr>"
        for name, each in evaluation.control.metrics.items()
    )
    causes = evaluation.control.metrics["failure_cause"].parts
    bars = [Bar(part.quantity, part.value or 0, part.low, part.high) for part in causes]
    chart = f"<h3>Why trials failed</h3>{bar_chart(bars, span=(0.0, 1.0), x_label='share of failures')}" if bars else ""
    return (
        "<section><h2>Metrics</h2><table><tr><th>metric</th><th>value, 95 % interval</th><th>n</th><th>how</th></tr>"
        f"{rows}</table>{chart}</section>"
    )


def _probes(evaluation: Evaluation) -> str:
    if not evaluation.probes:
        return ""
    control = evaluation.control.metrics["success_at_end"].value
    bars = [_bar(result) for result in evaluation.probes]
    rows = "".join(_probe_row(result) for result in evaluation.probes)
    return (
        "<section><h2>Generalization probes, worst first</h2>"
        + bar_chart(bars, span=(0.0, 1.0), x_label="success at the end; dashed: the control arm", mark=control)
        + "<table><tr><th>probe</th><th>how far</th><th>success</th><th>minus control, paired</th><th>p (Holm)</th>"
        f"<th>manipulation check</th></tr>{rows}</table></section>"
    )


def _probe_row(result: ProbeResult) -> str:
    check = escape(result.manipulation.sentence())
    cells = (
        escape(result.probe.name),
        escape(result.probe.magnitude),
        escape(shown(result.success)),
        escape(shown(result.comparison.difference)),
        "–" if result.p_adjusted is None else f"{result.p_adjusted:.3g}",
        check if result.manipulation.holds else f"<b>{check}</b>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _bar(result: ProbeResult) -> Bar:
    success = result.success
    colour = _COLOURS.get(result.probe.axis, "#5a5a5a")
    note = "" if result.manipulation.holds else "check!"
    return Bar(result.probe.name, success.value or 0.0, success.low, success.high, colour, note)


def _against(evaluation: Evaluation) -> str:
    if evaluation.against is None:
        return ""
    return (
        f"<section><h2>Against {escape(evaluation.against.earlier.policy)}</h2>"
        f"<p>{escape(str(evaluation.against.comparison))}</p></section>"
    )


def _failures(evaluation: Evaluation) -> str:
    strips = []
    arms = [(CONTROL, evaluation.control), *((result.probe.name, result.trials) for result in evaluation.probes)]
    for name, trials in arms:
        failed = [line for line in trials.lines if line.file and line.counts and not line.row["success"]]
        strips += [
            _strip(Path(evaluation.out) / name, name, line)
            for line in failed[: _SHOWN_FAILURES if name == CONTROL else 2]
        ]
    found = "".join(strip for strip in strips if strip)
    return f"<section><h2>Failures</h2>{found}</section>" if found else ""


def _strip(folder: Path, arm: str, line: Tried) -> str:
    try:
        episode = open_source(folder / str(line.file)).episode(Path(str(line.file)).stem)
        camera = next(episode.pictures(), None)
        if camera is None:
            return ""
        at = np.unique(np.linspace(0, len(camera) - 1, _FRAMES).astype(int))
        pictures = [camera.pictures.encoded(int(index)) for index in at]
    except RobokataError as error:
        return f"<p>{escape(str(error))}</p>"
    cause = line.row["observed"]["failure_cause"]["label"] or "unknown"
    images = "".join(
        f'<figure><img alt="" src="data:image/jpeg;base64,{base64.b64encode(each.data).decode()}"></figure>'
        for each in pictures
        if each
    )
    told = f"{escape(arm)}, trial {line.number}: {escape(str(cause))}, {line.row['duration_s']:.1f} s"
    return f'<h3>{told}</h3><div class="strip">{images}</div>'


def _protocol(evaluation: Evaluation) -> str:
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in evaluation.control.protocol.as_json().items()
        if value not in ("", [], {})
    )
    receipts: Sequence[str] = [evaluation.control.production.receipt]
    return (
        f"<section><h2>Protocol {evaluation.control.protocol.hash}</h2><dl>{pairs}</dl><p>Every trial is an episode in "
        f"<code>{escape(evaluation.out)}</code>; receipt <code>{escape(receipts[0])}</code>.</p></section>"
    )
