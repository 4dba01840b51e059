"""The report of an evaluation as one HTML file: metrics, probes worst first, filmstrips of failures."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from robokata.core.estimate import Estimate
from robokata.evaluation.evaluation import CONTROL, Evaluation
from robokata.evaluation.probes import ProbeResult
from robokata.evaluation.trials import Trials
from robokata.statistics.intervals import as_shown
from robokata.viewing.html.failures import failures_html
from robokata.viewing.html.page import write_page
from robokata.viewing.svg.bars import ChartBar, bar_chart
from robokata.viewing.svg.radar import Ring, Spoke, radar_plot

if TYPE_CHECKING:
    from markupsafe import Markup

_COLOURS = {"visual": "#2f6fde", "semantic": "#b5459c", "behavioural": "#2a9d6f", "physical": "#d9822b"}
_MIXED = "#7a7f8a"


def write_evaluation(evaluation: Evaluation, path: Path) -> None:
    """Write the report as one file that needs nothing else."""
    control = evaluation.control
    heading = f"{Path(evaluation.policy).name} at {control.protocol.task}"
    write_page(
        path,
        "evaluation",
        title=f"kata evaluate: {heading}",
        heading=heading,
        evaluation=evaluation,
        control=control,
        shown=shown,
        answer_ms=_answer_ms(control),
        cause_chart=_cause_chart(control),
        axes=_axes(evaluation.probes),
        probe_chart=_probe_chart(evaluation),
        radar=_radar(evaluation),
        failures=failures_html(evaluation),
        broken=_broken_by_arm(evaluation),
        broken_of_control=len(_broken(control)),
        settings={k: v for k, v in control.protocol.to_json().items() if v not in ("", [], {})},
    )


def shown(estimate: Estimate) -> str:
    """Value and interval as text."""
    if estimate.value is None:
        return f"unknown: {estimate.reason}"
    unit = f" {estimate.unit}" if estimate.unit else ""
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:.3g}{unit}"
    return f"{estimate.value:.3g}{unit} [{estimate.low:.3g}, {estimate.high:.3g}]"


class _AnswerTime(NamedTuple):
    median: float
    most: float


def _answer_ms(control: Trials) -> _AnswerTime | None:
    answers = [line.row["act_s"] for line in control.lines if line.row["act_s"]]
    if not answers:
        return None
    return _AnswerTime(1000 * statistics.median(each[0] for each in answers), 1000 * max(each[1] for each in answers))


def _cause_chart(control: Trials) -> Markup | str:
    causes = control.metrics["failure_cause"].parts
    bars = [ChartBar(part.quantity, part.value or 0, part.low, part.high) for part in map(as_shown, causes)]
    return bar_chart(bars, span=(0.0, 1.0), x_label="share of failures, with Wilson's 95 %")


def _axes(probes: Sequence[ProbeResult]) -> list[tuple[str, str]]:
    """The axes of generalization that were probed, each with its colour."""
    found = {result.probe.axis for result in probes}
    return [(axis, _COLOURS.get(axis, _MIXED)) for axis in (*_COLOURS, "mixed") if axis in found]


def _probe_chart(evaluation: Evaluation) -> Markup | str:
    return bar_chart(
        [_bar(result) for result in evaluation.probes],
        span=(0.0, 1.0),
        x_label="success at the end, with Wilson's 95 %; dashed: the control arm",
        mark=evaluation.control.metrics["success_at_end"].value,
    )


def _radar(evaluation: Evaluation) -> Markup | str:
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


def _bar(result: ProbeResult) -> ChartBar:
    success = as_shown(result.success)
    note = "" if result.manipulation.holds else "check!" if result.manipulation.reaches else "not seen"
    return ChartBar(result.probe.name, success.value or 0.0, success.low, success.high, _colour(result), note)


def _broken(trials: Trials) -> list[str]:
    return [str(line.row["infrastructure"]) for line in trials.lines if line.row["infrastructure"]]


class _BrokenTrials(NamedTuple):
    arm: str
    trials: int
    reason: str


def _broken_by_arm(evaluation: Evaluation) -> list[_BrokenTrials]:
    """Trials that count nowhere, by arm and reason."""
    arms = [(CONTROL, evaluation.control), *((result.probe.name, result.trials) for result in evaluation.probes)]
    return [
        _BrokenTrials(name, count, reason)
        for name, trials in arms
        for reason, count in Counter(_broken(trials)).most_common()
    ]
