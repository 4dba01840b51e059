"""Terminal output of metrics with their intervals."""

from __future__ import annotations

from collections.abc import Mapping

from rich.markup import escape
from rich.table import Table

from robokata.core.estimate import Estimate
from robokata.evaluation.measure import Measured
from robokata.viewing.terminal.tables import console


def show_measured(found: Measured) -> None:
    """Print what the metrics say of a dataset."""
    out = console()
    out.print(f"[bold]{escape(found.path)}[/]: {found.episodes} episodes")
    if found.chosen is not None:
        out.print(f"  {escape(found.chosen)}", soft_wrap=True)
    out.print(metric_table(found.metrics))
    for key, why in found.unread.items():
        out.print(f"left out {escape(key)}: {escape(why)}", soft_wrap=True)


def metric_table(metrics: Mapping[str, Estimate]) -> Table:
    """One row per metric: value, interval, trials, and how the interval is made or why there is none."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("95 % interval")
    table.add_column("n", justify="right")
    table.add_column("how", overflow="fold")
    for name, estimate in metrics.items():
        how = (estimate.reason or estimate.method) if estimate.value is None else estimate.method
        table.add_row(name, value_of(estimate), interval_of(estimate), str(estimate.n), escape(how))
    return table


def value_of(estimate: Estimate) -> str:
    """The value with its unit, a dash where there is none."""
    return "–" if estimate.value is None else f"{estimate.value:.3g}{' ' + estimate.unit if estimate.unit else ''}"


def interval_of(estimate: Estimate) -> str:
    """The interval, escaped for rich; nothing where there is none."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{estimate.low:.3g}, {estimate.high:.3g}]".replace("[", "\\[")
