"""What the terminal shows."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from reports import a_finding, episodes, report_of

from robokata.core.finding import Level
from robokata.core.source import EpisodeList
from robokata.survey.dataset_survey import survey
from robokata.viewing.terminal import tables as terminal

Narrow = Callable[[int], None]


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> Narrow:
    def choose(columns: int) -> None:
        monkeypatch.setattr(terminal, "console", lambda: terminal._Output(width=columns, highlight=False))

    return choose


LONG = a_finding(message="wrist_roll of observation.state stands still while it is told to move, " * 5)


@pytest.mark.parametrize("columns", [80, 100, 150])
def test_long_messages_fold_below_their_own_start(
    width: Narrow, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    width(columns)
    terminal.show_report(report_of([LONG, LONG, a_finding(check="clock_gap", level=Level.INFO, episode=None)]))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    at = lines.index(next(line for line in lines if line.startswith("error")))
    assert re.fullmatch(r"error +not_finite +2 findings in 1 episode", lines[at])
    example = lines[at + 1 : at + 1 + 300 // columns]
    assert len(example) > 1
    assert all(line.startswith("         ") and len(line) <= columns for line in example)
    assert any(re.fullmatch(r"info +clock_gap +1 finding", line) for line in lines)
    assert lines[-1] == "not sound (fails on error): 2 errors, 0 warnings, 1 info; 3 of 3 checks could decide"


@pytest.mark.parametrize("columns", [100, 150])
def test_a_stream_is_one_line(width: Narrow, capsys: pytest.CaptureFixture[str], columns: int) -> None:
    width(columns)
    view = survey(EpisodeList(episodes(2)))
    terminal.show_survey(view)
    lines = capsys.readouterr().out.splitlines()
    for stream in view.streams:
        (row,) = [line for line in lines if line.startswith(f"{stream.name} ")]
        assert stream.role in row
        assert stream.clock in row
        assert len(row) <= columns


def test_words_of_the_dataset_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.show_report(report_of([a_finding(message="[bold]x[/] [/red] [", episode="[/]", channel="[red]")]))
    out = capsys.readouterr().out
    assert "episode [/] observation.state [[red]]: [bold]x[/] [/red] [" in out
    assert "\x1b" not in out
