"""Text from a dataset must not steer the terminal, the report or the CI page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from robokata.cli.console import print_json_of
from robokata.core.episode import Episode
from robokata.core.source import EpisodeList
from robokata.inspection.run import check_dataset
from robokata.runtime.safe_text import visible
from robokata.survey.dataset_survey import survey
from robokata.testing import tiny_episode
from robokata.viewing.html.check_report import write_html
from robokata.viewing.junit import write_junit
from robokata.viewing.terminal.tables import show_report, show_survey

EVIL = "a\x1b[2J\x1b]0;own\x07\x9b31m\u202egnp.exe\r<script>alert(1)</script>[red]b[/red]"
STEERING = "\x1b\x07\x9b\u202e\r"


def test_steering_characters_are_spelled_out_and_lines_stay() -> None:
    assert visible("a\x1b[2J\tb\nc\u202e") == "a\\u001b[2J\tb\nc\\u202e"


def test_no_output_carries_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = tiny_episode(0, duration_s=1.0)
    state = tiny.streams["observation.state"].with_values(tiny.streams["observation.state"].values)
    source = EpisodeList([Episode(EVIL, {EVIL: state.__class__(**{**state.__dict__, "name": EVIL})}), tiny])
    report = check_dataset(source)
    show_survey(survey(source))
    show_report(report)
    print_json_of([report])
    write_html([report], tmp_path / "a.html")
    write_junit([report], tmp_path / "a.xml")
    written = [capsys.readouterr().out, *((tmp_path / name).read_text("utf-8") for name in ("a.html", "a.xml"))]
    for text in written:
        assert not set(text) & set(STEERING)
    assert "<script>alert" not in written[1]
    assert json.loads(json.dumps(report.to_json())) is not None
