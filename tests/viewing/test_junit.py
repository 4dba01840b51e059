"""The JUnit file."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

from reports import a_finding, report_of

from robokata.core.finding import Abstention, Level
from robokata.viewing.junit import write_junit


def written(path: Path, *reports: object) -> ElementTree.Element:
    write_junit(reports, path / "kata.xml")  # type: ignore[arg-type]  # reports
    return ElementTree.parse(path / "kata.xml").getroot()


def test_a_check_below_the_level_that_fails_passes_and_is_told(tmp_path: Path) -> None:
    warning = a_finding(level=Level.WARNING)
    (suite,) = written(tmp_path, report_of([warning]))
    assert suite.get("failures") == "0"
    case = suite.find("testcase[@name='not_finite']")
    assert case is not None
    assert "warning: episode 0 observation.state: observation.state holds 3 NaN" in (case.findtext("system-out") or "")
    (suite,) = written(tmp_path, replace(report_of([warning]), fail_on=Level.WARNING))
    assert suite.get("failures") == "1"


def test_a_check_that_abstained_everywhere_is_skipped_with_its_reason(tmp_path: Path) -> None:
    silent = [Abstention("no stamps", str(n), check="stamp_lag") for n in range(2)]
    (suite,) = written(tmp_path, report_of([], abstentions=[*silent, Abstention("short", "0", check="clock_gap")]))
    assert suite.get("skipped") == "1"
    skipped = suite.find("testcase[@name='stamp_lag']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "no stamps"


def test_what_xml_forbids_does_not_get_in(tmp_path: Path) -> None:
    nasty = a_finding(message="a\x00b\x1b[31m<c>&\ud800\ufffe]]>", episode="\x01<id>")
    (suite,) = written(tmp_path, report_of([nasty]))
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "1 finding; first: a\\u0000b\\u001b[31m<c>&\\ud800]]>"


def test_ten_thousand_findings_are_counted_and_not_all_written(tmp_path: Path) -> None:
    (suite,) = written(tmp_path, report_of([a_finding()] * 10_000))
    text = suite.findtext("testcase/failure") or ""
    assert text.endswith("and 9950 more")
    assert (tmp_path / "kata.xml").stat().st_size < 20_000


def test_each_dataset_is_a_suite(tmp_path: Path) -> None:
    root = written(tmp_path, report_of([]), report_of([a_finding()]))
    assert [suite.get("failures") for suite in root] == ["0", "1"]
