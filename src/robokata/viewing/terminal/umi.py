"""Terminal output of collected handheld clips."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.markup import escape
from rich.table import Table

from robokata.collection.umi.collect_clips import ClipResult, UmiReport
from robokata.viewing.terminal.tables import console

_COLOURS = {"collected": "green", "there already": "yellow", "rejected": "bold red"}


def show_report(report: UmiReport) -> None:
    """Print a line per clip with its numbers, and under it why it was rejected or what its latency is."""
    out = console()
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for name, justify in (("clip", "left"), ("", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for name in ("frames", "lost", "filled in", "with width", "error px", "tip +- mm", "latency"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in report.judged:
        hands = [(hand, one.facts[hand]) for hand in ("left", "right") if hand in one.facts] or [("", one.facts)]
        for place, (hand, facts) in enumerate(hands):
            names = " + ".join(one.videos) if not hand else one.videos[place]
            status = f"[{_COLOURS[one.status]}]{one.status}[/]" if place == 0 else ""
            table.add_row(escape(names), status, *_numbers(facts))
    out.print(table)
    for one in report.judged:
        for line in _said(one):
            out.print(line, soft_wrap=True)
    for note in report.notes:
        out.print(f"  {escape(note)}", soft_wrap=True)
    kept = sum(one.status != "rejected" for one in report.judged)
    where = f" in {escape(report.out)} ({report.format})" if kept else ""
    out.print(f"{kept} of {len(report.judged)} kept{where}.", soft_wrap=True)


def _numbers(facts: Mapping[str, Any]) -> list[str]:
    error, spread, latency = (facts.get(name) for name in ("median_error_px", "median_tip_spread_m", "latency"))
    late = "" if latency is None else "–" if latency["latency_s"] is None else f"{latency['latency_s'] * 1000:.1f} ms"
    counts = [str(facts.get(name, "")) for name in ("frames", "lost", "interpolated", "with_width")]
    shown = ["" if error is None else f"{error:.2f}", "" if spread is None else f"{spread * 1000:.2f}", late]
    return [*counts, *shown]


def _said(one: ClipResult) -> list[str]:
    lines = []
    name = escape(" + ".join(one.videos))
    if one.rejection is not None:
        lines.append(f"[bold red]{one.rejection.gate}[/] {name}: {escape(one.rejection.message)}")
    if one.status == "there already":
        lines.append(f"{name}: {escape(one.file or '')} was there, and is kept as it is. Delete it to collect it anew.")
    for hand, facts in [("", one.facts), *((h, one.facts[h]) for h in ("left", "right") if h in one.facts)]:
        latency = facts.get("latency")
        if latency is not None:
            lag = "no estimate" if latency["latency_s"] is None else f"{latency['latency_s'] * 1000:.1f} ms later"
            lines.append(f"latency {hand} {name}: {lag} ({escape(latency['reason'])})".replace("  ", " "))
        if facts.get("strangers"):
            lines.append(
                f"{name}: also sees markers {', '.join(map(str, facts['strangers'][:12]))}, which nothing names."
            )
    return lines
