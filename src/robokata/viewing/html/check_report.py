"""One self-contained HTML file: the dataset first, then every finding with its evidence."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from html import escape
from pathlib import Path

from robokata.core.finding import Finding
from robokata.core.shelf import shelf
from robokata.inspection.run import Judgement, Report
from robokata.survey.dataset_survey import Survey
from robokata.viewing import text
from robokata.viewing.html.episode_map import episode_map
from robokata.viewing.html.evidence import evidence_html
from robokata.viewing.html.page import write_page

_EVIDENCE_PER_GROUP = 3
"""Findings of one check that are shown with pictures: the third of the same kind convinces nobody more."""
_LISTED_PER_GROUP = 200
"""Findings of one check that are listed; `--json` has all."""


def write_html(reports: Sequence[Report], path: Path) -> None:
    """Write the report of one or several datasets as one file that needs nothing else."""
    title = ", ".join(Path(report.dataset.path).name for report in reports)
    body = "".join(_dataset(report, number) for number, report in enumerate(reports))
    made = datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    footer = f"<footer>Robokata, {escape(made)}. Nothing was copied, nothing was changed.</footer>"
    write_page(path, title=f"kata check: {title}", body=body + footer)


def _dataset(report: Report, number: int) -> str:
    groups = text.groups(report.findings)
    counts = {level: sum(f.level == level for f in report.findings) for level in ("error", "warning", "info")}
    verdict = report.judgement.value
    badges = "".join(
        f'<span class="badge {level}">{count} {level}{"s" if count != 1 and level != "info" else ""}</span>'
        for level, count in counts.items()
    )
    return (
        f'<h1>{escape(Path(report.dataset.path).name)} <span class="verdict {"ok" if report.is_sound else "bad"}">'
        f"{verdict}</span></h1><p>{badges} in {report.episodes_checked} of {report.dataset.episodes} episodes, "
        f"{len(report.decided)} of {len(report.checks)} checks could decide</p>{_unjudged(report)}"
        + _overview(report.dataset)
        + _summary(groups, number)
        + episode_map(report.findings, report.keys, anchor=f"d{number}-")
        + "".join(_group(report, group, number) for group in groups)
        + _silences(report)
        + _waived(report)
    )


def _unjudged(report: Report) -> str:
    """What nobody looked at: a dataset without anything to judge, files that were not recognised."""
    words = []
    if report.judgement is Judgement.NOTHING_TO_JUDGE:
        words.append(f"Nothing to judge: {report.why_unjudged}.")
    names = report.dataset.unrecognised
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        files = f"{len(names)} files are" if len(names) > 1 else "1 file is"
        words.append(f"{files} not recognised, and not looked at: {', '.join(names[:8])}{more}")
    return "".join(f'<p class="note">{escape(line)}</p>' for line in words)


def _overview(view: Survey) -> str:
    rows = {
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
    pairs = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in rows.items())
    texts = "".join(
        f"<li>{escape(repr(instruction))} <small>{count} episode{'s' if count != 1 else ''}</small></li>"
        for instruction, count in list(view.instructions.items())[:12]
    )
    more = f"<li>and {len(view.instructions) - 12} more</li>" if len(view.instructions) > 12 else ""
    is_partial = view.instructions_read_from < view.selected_episodes
    seen = f" <small>in the {view.instructions_read_from} episodes that were opened</small>" if is_partial else ""
    instructions = f"<h3>Instructions{seen}</h3><ul>{texts}{more}</ul>" if texts else ""
    wrong = "".join(
        f"<tr><td>{escape(c.subject)}</td><td>{escape(c.declared)}</td><td>{escape(c.found)}</td>"
        f"<td>{escape(c.where)}{': ' + escape(c.hint) if c.hint else ''}</td></tr>"
        for c in view.contradictions
    )
    contradictions = (
        "<h3>Declared, but the bytes say otherwise</h3><table><tr><th>what</th><th>declared</th><th>found</th>"
        f"<th>where</th></tr>{wrong}</table>"
        if wrong
        else ""
    )
    return f"<section><h2>Dataset</h2><dl>{pairs}</dl>{instructions}{_streams(view)}{contradictions}</section>"


def _streams(view: Survey) -> str:
    head = "".join(
        f"<th>{name}</th>"
        for name in ("stream", "role", "kind", "shape", "type", "unit", "rate", "clock", "encoding", "on disk")
    )
    rows = ""
    for stream in view.streams:
        cells = (
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
        rows += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
    return f"<h3>Streams</h3><table><tr>{head}</tr>{rows}</table>"


def _summary(groups: Sequence[text.FindingGroup], number: int) -> str:
    if not groups:
        return "<section><h2>Findings</h2><p>None.</p></section>"
    rows = "".join(
        f'<tr><td><span class="badge {g.level}">{g.level}</span></td>'
        f'<td><a href="#{_anchor(g, number)}">{g.check}</a></td>'
        f'<td class="number">{len(g.findings)}</td><td class="number">{g.episodes or "–"}</td>'
        f"<td>{escape(_first_line(g.check))}</td></tr>"
        for g in groups
    )
    return (
        '<section><h2>Findings</h2><table class="summary">'
        "<tr><th>level</th><th>check</th><th>findings</th><th>episodes</th>"
        f"<th>what it is</th></tr>{rows}</table></section>"
    )


def _group(report: Report, group: text.FindingGroup, number: int) -> str:
    shown = "".join(_finding(report, finding) for finding in group.findings[:_EVIDENCE_PER_GROUP])
    rest = group.findings[_EVIDENCE_PER_GROUP:]
    listed = "".join(
        f"<li>{escape(text.place(finding))}: {escape(_said(report, finding))}</li>"
        for finding in rest[:_LISTED_PER_GROUP]
    )
    if len(rest) > _LISTED_PER_GROUP:
        listed += f"<li>and {len(rest) - _LISTED_PER_GROUP} more: kata check --json has all</li>"
    more = f"<details><summary>{len(rest)} more</summary><ul>{listed}</ul></details>" if rest else ""
    return (
        f'<section id="{_anchor(group, number)}"><h2><span class="badge {group.level}">{group.level}</span> '
        f'{group.check}</h2><p class="note">{escape(_first_line(group.check))}</p>{shown}{more}'
        f"{_explanation(group.check)}</section>"
    )


def _finding(report: Report, finding: Finding) -> str:
    facts = []
    if finding.measured is not None:
        facts.append(f"measured <b>{escape(text.value(finding, finding.measured))}</b>")
    if finding.expected is not None:
        facts.append(f"expected <b>{escape(text.value(finding, finding.expected))}</b>")
    if finding.repair:
        facts.append(f"repair: {escape(finding.repair)}")
    evidence = evidence_html(report.source, finding) if report.source is not None else ""
    return (
        f"<article><h3>{escape(text.place(finding))}</h3><p>{escape(_said(report, finding))}</p>"
        f'<p class="note">{" · ".join(facts)}</p>{evidence}</article>'
    )


def _said(report: Report, finding: Finding) -> str:
    return text.said(finding.message, report.dataset.path)


def _explanation(check: str) -> str:
    if check not in shelf("checks"):
        return ""
    documentation = (shelf("checks")[check].__doc__ or "").strip()
    return f"<details><summary>About this check</summary><pre>{escape(documentation)}</pre></details>"


def _silences(report: Report) -> str:
    rows = "".join(
        f'<tr><td>{escape(s.check)}</td><td class="number">{s.times}</td>'
        f"<td>{escape(text.said(s.reason, report.dataset.path))}</td></tr>"
        for s in text.silences(report.abstentions)[:_LISTED_PER_GROUP]
    )
    if not rows:
        return ""
    return (
        "<section><h2>Could not decide</h2><p class='note'>A check that abstains has not passed.</p>"
        f"<table><tr><th>check</th><th>times</th><th>reason</th></tr>{rows}</table></section>"
    )


def _waived(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(w.finding.check)}</td><td>{escape(text.place(w.finding))}</td>"
        f"<td>{escape(w.waiver.reason)}</td><td>{w.waiver.expires}</td></tr>"
        for w in report.waived[:_LISTED_PER_GROUP]
    )
    if not rows:
        return ""
    return (
        "<section><h2>Waived</h2><table><tr><th>check</th><th>where</th><th>reason</th><th>until</th></tr>"
        f"{rows}</table></section>"
    )


def _anchor(group: text.FindingGroup, number: int) -> str:
    return f"d{number}-{group.level}-{group.check}"


def _first_line(check: str) -> str:
    if check not in shelf("checks"):
        return ""
    return (shelf("checks")[check].__doc__ or "").strip().splitlines()[0]
