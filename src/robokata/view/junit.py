"""A check's result as JUnit XML: one test case per check, for CI servers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from robokata.checkup import Report
from robokata.core.atomic import replacing
from robokata.core.finding import Finding
from robokata.core.visible import visible
from robokata.view import text

_FORBIDDEN = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
_SHOWN = 50
"""Findings written out per check; a CI page with ten thousand lines is read by nobody."""


def write_junit(reports: Sequence[Report], path: Path) -> None:
    """Write one test suite per dataset; a check fails where it has findings at or above the level that fails."""
    root = ElementTree.Element("testsuites", name="kata check")
    for report in reports:
        root.append(_suite(report))
    ElementTree.indent(root)
    with replacing(path) as file:
        ElementTree.ElementTree(root).write(file, encoding="utf-8", xml_declaration=True)


def _suite(report: Report) -> ElementTree.Element:
    failures, skipped = 0, 0
    suite = ElementTree.Element("testsuite", name=_clean(report.dataset.path), tests=str(len(report.checks)))
    for name in report.checks:
        case = ElementTree.SubElement(suite, "testcase", classname="robokata.checks", name=name)
        mine = [f for f in report.findings if f.check == name]
        failing = [f for f in mine if f.level.rank <= report.fail_on.rank]
        if failing:
            failures += 1
            summary = f"{len(failing)} finding{'s' if len(failing) != 1 else ''}; first: {failing[0].message}"
            failure = ElementTree.SubElement(case, "failure", message=_clean(summary), type=failing[0].level.value)
            failure.text = _lines(failing)
            continue
        if mine:
            ElementTree.SubElement(case, "system-out").text = _lines(mine)
        reasons = text.silences([a for a in report.abstentions if a.check == name])
        abstained = sum(reason.times for reason in reasons)
        if not mine and reasons and abstained >= report.episodes_checked:
            skipped += 1
            ElementTree.SubElement(case, "skipped", message=_clean(reasons[0].reason))
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    return suite


def _lines(findings: Sequence[Finding]) -> str:
    lines = [f"{f.level.value}: {text.place(f)}: {f.message}" for f in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        lines.append(f"and {len(findings) - _SHOWN} more")
    return _clean("\n".join(lines))


def _clean(line: str) -> str:
    """Control characters spelled out, and without what XML 1.0 forbids: halves of pairs, two that are none."""
    return "".join(c for c in visible(line) if c in "\n\t" or (ord(c) >= 32 and not _FORBIDDEN.match(c)))
