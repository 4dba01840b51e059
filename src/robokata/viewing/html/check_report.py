"""The report of checks as one HTML file: the dataset first, then every finding with its evidence."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from robokata.core.finding import Finding
from robokata.core.shelf import shelf
from robokata.inspection.run import Judgement, Report
from robokata.survey.dataset_survey import StreamSummary, Survey
from robokata.viewing import text
from robokata.viewing.html.episode_map import episode_map
from robokata.viewing.html.evidence import evidence_html
from robokata.viewing.html.page import write_page

if TYPE_CHECKING:
    from markupsafe import Markup

_EVIDENCE_PER_GROUP = 3
"""Findings of one check that are shown with pictures: a third of the same kind convinces, a tenth adds nothing."""
_LISTED_PER_GROUP = 200
"""Findings of one check that are listed; `--json` has all."""


def write_html(reports: Sequence[Report], path: Path) -> None:
    """Write the report of one or several datasets as one file that needs nothing else."""
    write_page(
        path,
        "check_report",
        title=f"kata check: {', '.join(_name(report) for report in reports)}",
        reports=reports,
        written_at=datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        text=text,
        name=_name,
        repr=repr,
        level_counts=_level_counts,
        unjudged=_unjudged,
        overview=_overview,
        stream_cells=_stream_cells,
        episode_map=episode_map,
        evidence=_evidence,
        message=_message,
        documentation=_documentation,
        first_line=lambda check: (_documentation(check).splitlines() or [""])[0],
        anchor=lambda group, number: f"d{number}-{group.level}-{group.check}",
        evidence_per_group=_EVIDENCE_PER_GROUP,
        listed_per_group=_LISTED_PER_GROUP,
    )


def _name(report: Report) -> str:
    return Path(report.dataset.path).name


def _level_counts(report: Report) -> dict[str, int]:
    return {level: sum(f.level == level for f in report.findings) for level in ("error", "warning", "info")}


def _unjudged(report: Report) -> list[str]:
    """What was not looked at: a dataset without anything to judge, files that were not recognised."""
    lines = []
    if report.judgement is Judgement.NOTHING_TO_JUDGE:
        lines.append(f"Nothing to judge: {report.why_unjudged}.")
    names = report.dataset.unrecognised
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        files = f"{len(names)} files are" if len(names) > 1 else "1 file is"
        lines.append(f"{files} not recognised, and not looked at: {', '.join(names[:8])}{more}")
    return lines


def _overview(view: Survey) -> dict[str, str]:
    return {
        "path": view.path,
        "format": f"{view.format}, version {view.version or text.UNKNOWN}",
        "robot": ", ".join(view.robots) or text.UNKNOWN,
        "episodes": f"{view.episodes:,}",
        "steps": text.UNKNOWN if view.steps is None else f"{view.steps:,}",
        "recorded": text.hours(view.hours),
        "declared rate": text.rate(view.declared_rate_hz),
        "splits": ", ".join(f"{name} {count}" for name, count in view.splits.items()) or text.UNKNOWN,
        "licence": view.licence or text.UNKNOWN,
        "on disk": text.size(view.total_bytes),
    }


def _stream_cells(stream: StreamSummary) -> tuple[str, ...]:
    return (
        stream.name,
        stream.role,
        stream.kind,
        text.shape(stream),
        stream.dtype or text.UNKNOWN,
        text.unit(stream),
        text.rate(stream.rate_hz),
        stream.clock,
        stream.encoding or text.UNKNOWN,
        ("~" if stream.is_size_estimate else "") + text.size(stream.size_bytes),
    )


def _evidence(report: Report, finding: Finding) -> Markup | str:
    return evidence_html(report.source, finding) if report.source is not None else ""


def _message(report: Report, message: str) -> str:
    return text.said(message, report.dataset.path)


def _documentation(check: str) -> str:
    return (shelf("checks")[check].__doc__ or "").strip() if check in shelf("checks") else ""
