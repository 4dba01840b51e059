"""Check results as JUnit XML, one test case per check, for CI servers."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from robokata.core.finding import Finding
from robokata.inspection.run import Judgement, Report
from robokata.runtime.atomic import replacing
from robokata.runtime.safe_text import visible
from robokata.viewing import text

_FORBIDDEN = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
_SHOWN = 50
"""Findings written out per check: a CI page of ten thousand lines helps no one."""


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
        if name not in report.decided:
            skipped += 1
            reasons = text.silences([a for a in report.abstentions if a.check == name])
            why = reasons[0].reason if reasons else report.why_unjudged or "it decided on no episode"
            ElementTree.SubElement(case, "skipped", message=_clean(why))
    suite.set("failures", str(failures))
    suite.set("skipped", str(skipped))
    _add_error(suite, report)
    return suite


def _add_error(suite: ElementTree.Element, report: Report) -> None:
    """A case that ends in an error where nothing was judged: servers take skipped cases alone for a success."""
    if report.judgement is Judgement.NOTHING_TO_JUDGE:
        case = ElementTree.SubElement(suite, "testcase", classname="robokata", name="judgement")
        message = f"nothing to judge: {report.why_unjudged}"
        ElementTree.SubElement(case, "error", message=_clean(message), type=report.judgement.value)
        suite.set("tests", str(len(report.checks) + 1))
    suite.set("errors", str(int(report.judgement is Judgement.NOTHING_TO_JUDGE)))


def _lines(findings: Sequence[Finding]) -> str:
    lines = [f"{f.level.value}: {text.place(f)}: {f.message}" for f in findings[:_SHOWN]]
    if len(findings) > _SHOWN:
        lines.append(f"and {len(findings) - _SHOWN} more")
    return _clean("\n".join(lines))


def _clean(line: str) -> str:
    """Control characters spelled out, and without what XML 1.0 forbids: halves of pairs, two that are none."""
    return "".join(c for c in visible(line) if c in "\n\t" or (ord(c) >= 32 and not _FORBIDDEN.match(c)))
