"""Tests of suite files: what is accepted, and the message of every refusal."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from robokata.core.errors import SuiteRefused
from robokata.core.finding import Level
from robokata.core.shelf import shelf
from robokata.core.suite import Suite, Waiver, read_suite, thresholds_of

KNOWN = sorted(thresholds_of(shelf("checks")["clock_gap"]))


def written(folder: Path, text: str) -> Path:
    path = folder / "suite.toml"
    path.write_text(text)
    return path


def test_a_suite_sets_thresholds_turns_checks_off_and_waives(tmp_path: Path) -> None:
    name = KNOWN[0]
    text = f'fail_on = "warning"\n[checks.clock_gap]\n{name} = 7\n[checks.idle_stretch]\noff = true\n'
    text += '[[waive]]\ncheck = "blank_*"\nepisode = "1*"\nreason = "calibration"\nexpires = 2027-01-31\n'
    suite = read_suite(written(tmp_path, text))
    assert suite.fail_on is Level.WARNING
    assert suite.arguments("clock_gap", "check") == {name: 7}
    assert suite.checks == tuple(n for n in shelf("checks").names() if n != "idle_stretch")
    assert suite.waivers == (Waiver("blank_*", "calibration", datetime.date(2027, 1, 31), "1*", "*"),)


def test_an_empty_suite_is_the_default(tmp_path: Path) -> None:
    assert read_suite(written(tmp_path, "")) == Suite()


WAIVE = '[[waive]]\ncheck = "clock_gap"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("typo = 1", "unknown key 'typo'. Known: checks, waive, fail_on."),
        ('fail_on = "fatal"', "fail_on is 'fatal'. It is one of error, warning, info."),
        ("checks.clock_gap = 3", "[checks.clock_gap] must be a table of thresholds."),
        ("[checks.clock_gap]\nx = 3", f"clock_gap has no threshold 'x'. It has: {', '.join(KNOWN)}."),
        ("waive = 3", "waivers are written as [[waive]], one table each."),
        ("waive = [3]", "waiver 1 is not a table."),
        (WAIVE + "until = 3", "waiver 1 has the unknown key 'until'. Known: check, episode, stream, reason, expires."),
        (WAIVE + "expires = 2027-01-31", "waiver 1 has no reason. Write why these findings are acceptable."),
        (
            WAIVE + 'reason = "r"\nexpires = "2027-01-31"',
            "waiver 1 has no expiry date. Write expires = 2027-01-31, without quotes.",
        ),
        (
            '[[waive]]\ncheck = "clokc"\nreason = "r"\nexpires = 2027-01-31',
            "waiver 1 matches no check: 'clokc'. `kata check --list` names them.",
        ),
    ],
)
def test_every_refusal_says_what_and_what_instead(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(SuiteRefused) as caught:
        read_suite(path)
    assert str(caught.value) == f"{path}: {said}"


def test_a_threshold_of_another_kind_is_refused_with_the_default(tmp_path: Path) -> None:
    default = thresholds_of(shelf("checks")["clock_gap"])[KNOWN[0]]
    path = written(tmp_path, f'[checks.clock_gap]\n{KNOWN[0]} = "many"')
    with pytest.raises(SuiteRefused) as caught:
        read_suite(path)
    assert str(caught.value) == (
        f"{path}: clock_gap.{KNOWN[0]} is 'many', and a {type(default).__name__} is needed (default {default!r})."
    )


def test_an_unknown_check_and_unreadable_files_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "[checks.clock_gapp]")
    with pytest.raises(SuiteRefused) as caught:
        read_suite(path)
    assert str(caught.value).startswith(f"{path}: No check is called 'clock_gapp'. Did you mean 'clock_gap'? Known: ")
    with pytest.raises(SuiteRefused) as caught:
        read_suite(tmp_path / "absent.toml")
    assert str(caught.value) == f"{tmp_path / 'absent.toml'}: cannot be read: No such file or directory."
    with pytest.raises(SuiteRefused) as caught:
        read_suite(written(tmp_path, "not toml"))
    assert str(caught.value).startswith(f"{path}: not a TOML file: ")
