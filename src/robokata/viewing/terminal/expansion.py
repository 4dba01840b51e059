"""Terminal output of expansions."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from robokata.core.estimate import Estimate
from robokata.expansion.expansion import Expansion
from robokata.viewing.terminal.jobs import show_production
from robokata.viewing.terminal.tables import console


def show_expansion(report: Expansion) -> None:
    """Print what was made, why attempts failed, and how accepted resets differ from tried ones."""
    show_production(report.production)
    out = console()
    if not report.may_fall_short:
        out.print(f"acceptance of {report.attempt}: {_share(report.acceptance)}")
    elif report.production.kept < report.asked:
        out.print(f"{report.production.kept} of {report.asked} that were asked for: the sources give no more")
    verb = "refused" if report.may_fall_short else "failed"
    for reason, count in list(report.reasons.items())[:5]:
        out.print(f"  {count:>5} {verb}: {escape(reason)}", soft_wrap=True)
    if not report.biases or report.acceptance.value == 1.0:
        return
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name in ("reset", "tried mean", "accepted mean", "distance"):
        table.add_column(name, justify="left" if name == "reset" else "right")
    for name in ("low third", "middle", "high third"):
        table.add_column(name)
    for bias in report.biases:
        shares = [_share(each) for each in bias.acceptance]
        numbers = (f"{bias.tried_mean:+.3f}", f"{bias.accepted_mean:+.3f}", f"{bias.distance:.3f}")
        table.add_row(f"{bias.prop} {bias.axis}", *numbers, *shares)
    out.print("how accepted resets differ from tried ones (the bias that generation adds):")
    out.print(table)


def _share(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"unknown ({estimate.reason})"
    return f"{estimate.value:.0%} [{estimate.low:.0%}, {estimate.high:.0%}]"
