"""Terminal output of evaluations."""

from __future__ import annotations

import shlex

from rich.markup import escape
from rich.table import Table

from robokata.evaluation.evaluation import CONTROL, Evaluation
from robokata.viewing.terminal.metrics import interval_of, metric_table, value_of
from robokata.viewing.terminal.tables import console


def show_evaluation(evaluation: Evaluation) -> None:
    """Print metrics with intervals, probes worst first, and the comparison."""
    out = console()
    control = evaluation.control
    broken = sum(bool(line.row["infrastructure"]) for line in control.lines)
    aside = f", {broken} more failed for reasons outside the policy" if broken else ""
    protocol = control.protocol
    out.print(
        f"[bold]{escape(evaluation.policy)}[/] at {protocol.task} {protocol.width} on {protocol.robot}: "
        f"{len(control.successes)} trials{aside}; protocol {protocol.hash}"
    )
    out.print(metric_table(control.metrics))
    _show_probes(evaluation)
    if evaluation.against is not None:
        first, *more = evaluation.against.sentences()
        out.print(f"against {escape(evaluation.against.earlier.place)}: {escape(first)}")
        for sentence in more:
            out.print(f"  {escape(sentence)}")
    out.print(f"every trial is an episode: kata look {escape(shlex.quote(f'{evaluation.out}/{CONTROL}'))}")


def _show_probes(evaluation: Evaluation) -> None:
    for skipped in evaluation.skipped:
        console().print(f"probe {skipped.probe.name} was not run: {escape(skipped.reason)}", soft_wrap=True)
    if not evaluation.probes:
        return
    if evaluation.floor is not None:
        console().print(f"[bold red]{escape(evaluation.floor)}[/]", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in (
        "probe",
        "axis",
        "how far",
        "success",
        "minus control (95 %, unadjusted)",
        "p (Holm)",
        "manipulation check",
    ):
        table.add_column(name, overflow="fold")
    for result in evaluation.probes:
        difference = result.comparison.difference
        colour = "green" if result.manipulation.holds else "bold red"
        table.add_row(
            result.probe.name,
            result.probe.axis,
            result.probe.magnitude,
            f"{value_of(result.success)} {interval_of(result.success)}",
            f"{value_of(difference)} {interval_of(difference)}",
            "–" if result.p_adjusted is None else f"{result.p_adjusted:.3g}",
            f"[{colour}]{escape(result.manipulation.sentence())}[/]",
        )
    console().print(table)
