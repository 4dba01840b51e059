"""An evaluation as one self-contained HTML file: metrics, probes worst first, filmstrips of failures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from robokata.core.estimate import Estimate
from robokata.evaluation.evaluation import CONTROL, Evaluation
from robokata.evaluation.probes import ProbeResult
from robokata.evaluation.trials import Trials
from robokata.statistics.intervals import as_shown
from robokata.viewing.html.failures import failures_html
from robokata.viewing.html.page import with_contents, write_page
from robokata.viewing.svg.bars import ChartBar, bar_chart
from robokata.viewing.svg.radar import Ring, Spoke, radar_plot

_COLOURS = {"visual": "#2f6fde", "semantic": "#b5459c", "behavioural": "#2a9d6f", "physical": "#d9822b"}
_MIXED = "#7a7f8a"


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the report as one file that needs nothing else."""
    control = evaluation.control
    title = f"{Path(evaluation.policy).name} at {control.protocol.task}"
    sections = (
        f"{_metrics(evaluation)}{_probes(evaluation)}{_against(evaluation)}{failures_html(evaluation)}"
        f"{_infrastructure(evaluation)}{_protocol(evaluation)}"
    )
    body = f"<h1>{escape(title)}</h1>{_headline(evaluation)}{with_contents(sections)}"
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
    broken = len(_broken(control))
    aside = f"; {broken} trials failed for reasons outside the policy and are not counted" if broken else ""
    return (
        f"<p>Success at the end: <b>{escape(shown(success))}</b> in {len(control.successes)} trials on "
        f"{escape(control.protocol.robot)}, resets {escape(control.protocol.width)}{aside}.</p>{_latency(control)}"
    )


def _latency(control: Trials) -> str:
    answers = [line.row["act_s"] for line in control.lines if line.row["act_s"]]
    if not answers:
        return ""
    usual, most = statistics.median(each[0] for each in answers), max(each[1] for each in answers)
    return (
        f'<p class="note">The policy answered within {1000 * usual:.3g} ms (median), at most {1000 * most:.3g} ms; '
        "the world waited for it.</p>"
    )


def _metrics(evaluation: Evaluation) -> str:
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(shown(each))}</td><td>{each.n}</td><td>{escape(each.method)}</td></tr>"
        for name, each in evaluation.control.metrics.items()
    )
    causes = evaluation.control.metrics["failure_cause"].parts
    bars = [ChartBar(part.quantity, part.value or 0, part.low, part.high) for part in map(as_shown, causes)]
    chart = bar_chart(bars, span=(0.0, 1.0), x_label="share of failures, with Wilson's 95 %")
    why = f"<h3>Why trials failed</h3>{chart}" if bars else ""
    return (
        "<section><h2>Metrics</h2><table><tr><th>metric</th><th>value, 95 % interval</th><th>n</th><th>how</th></tr>"
        f"{rows}</table>{why}</section>"
    )


def _probes(evaluation: Evaluation) -> str:
    skipped = "".join(f"<li>{escape(each.probe.name)}: {escape(each.reason)}</li>" for each in evaluation.skipped)
    not_run = skipped and f"<details><summary>{len(evaluation.skipped)} not run</summary><ul>{skipped}</ul></details>"
    if not evaluation.probes:
        return not_run and f"<section><h2>Generalization probes</h2>{not_run}</section>"
    control = evaluation.control.metrics["success_at_end"].value
    bars = [_bar(result) for result in evaluation.probes]
    rows = "".join(_probe_row(result) for result in evaluation.probes)
    return (
        "<section><h2>Generalization probes, worst first</h2>"
        + (f"<p><b>{escape(evaluation.floor)}</b></p>" if evaluation.floor else "")
        + _legend(evaluation.probes)
        + bar_chart(
            bars,
            span=(0.0, 1.0),
            x_label="success at the end, with Wilson's 95 %; dashed: the control arm",
            mark=control,
        )
        + _radar(evaluation)
        + "<table><tr><th>probe</th><th>how far</th><th>success</th><th>n</th><th>minus control, paired "
        f"(95 %, unadjusted)</th><th>p (Holm)</th><th>manipulation check</th></tr>{rows}</table>{not_run}</section>"
    )


def _legend(probes: Sequence[ProbeResult]) -> str:
    axes = [axis for axis in (*_COLOURS, "mixed") if any(result.probe.axis == axis for result in probes)]
    dots = (f'<span style="color:{_COLOURS.get(axis, _MIXED)}">●</span> {axis}' for axis in axes)
    return f'<p class="note">{" &nbsp; ".join(dots)}</p>'


def _radar(evaluation: Evaluation) -> str:
    """Factors of one kind side by side, so that the outlines of two reports can be compared."""
    order = (*_COLOURS, "mixed")
    found = sorted(evaluation.probes, key=lambda result: (order.index(result.probe.axis), result.probe.name))
    spokes = [_spoke(each) for each in found]
    success = as_shown(evaluation.control.metrics["success_at_end"])
    ring = Ring(success.value, success.low, success.high)
    return radar_plot(spokes, control=ring, label="success at the end; dashed: the control arm; bands: Wilson's 95 %")


def _spoke(result: ProbeResult) -> Spoke:
    if not result.manipulation.reaches:
        return Spoke(f"{result.probe.name} (not seen)", None, None, None, _colour(result))
    success = as_shown(result.success)
    return Spoke(result.probe.name, success.value, success.low, success.high, _colour(result))


def _colour(result: ProbeResult) -> str:
    return _COLOURS.get(result.probe.axis, _MIXED)


def _probe_row(result: ProbeResult) -> str:
    check = escape(result.manipulation.sentence())
    cells = (
        escape(result.probe.name),
        escape(result.probe.magnitude),
        escape(shown(result.success)),
        str(len(result.trials.successes)),
        escape(shown(result.comparison.difference)),
        "–" if result.p_adjusted is None else f"{result.p_adjusted:.3g}",
        check if result.manipulation.holds else f"<b>{check}</b>",
    )
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _bar(result: ProbeResult) -> ChartBar:
    success = as_shown(result.success)
    note = "" if result.manipulation.holds else "check!" if result.manipulation.reaches else "not seen"
    return ChartBar(result.probe.name, success.value or 0.0, success.low, success.high, _colour(result), note)


def _against(evaluation: Evaluation) -> str:
    if evaluation.against is None:
        return ""
    said = "".join(f"<p>{escape(sentence)}</p>" for sentence in evaluation.against.sentences())
    return f"<section><h2>Against {escape(evaluation.against.earlier.policy)}</h2>{said}</section>"


def _broken(trials: Trials) -> list[str]:
    return [str(line.row["infrastructure"]) for line in trials.lines if line.row["infrastructure"]]


def _infrastructure(evaluation: Evaluation) -> str:
    """Trials that count nowhere, by arm and reason."""
    arms = [(CONTROL, evaluation.control), *((result.probe.name, result.trials) for result in evaluation.probes)]
    rows = "".join(
        f'<tr><td>{escape(name)}</td><td class="number">{count}</td><td>{escape(reason)}</td></tr>'
        for name, trials in arms
        for reason, count in Counter(_broken(trials)).most_common()
    )
    if not rows:
        return ""
    return (
        "<section><h2>Failed for reasons outside the policy</h2><p class='note'>In no denominator.</p>"
        f"<table><tr><th>arm</th><th>trials</th><th>reason</th></tr>{rows}</table></section>"
    )


def _protocol(evaluation: Evaluation) -> str:
    pairs = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>"
        for name, value in evaluation.control.protocol.to_json().items()
        if value not in ("", [], {})
    )
    receipts: Sequence[str] = [evaluation.control.production.receipt]
    return (
        f"<section><h2>Protocol {evaluation.control.protocol.hash}</h2><details><summary>all settings</summary>"
        f"<dl>{pairs}</dl></details><p>Every trial is an episode in "
        f"<code>{escape(evaluation.out)}</code>; receipt <code>{escape(receipts[0])}</code>.</p></section>"
    )
