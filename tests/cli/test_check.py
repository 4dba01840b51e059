"""`kata check`."""

from __future__ import annotations

import json
import re
import shutil
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.core.shelf import shelf

FINDING = {"check", "level", "message", "episode", "stream", "channel", "start_s", "end_s", "measured", "expected"}
FINDING |= {"unit", "repair", "also", "twin", "spans", "start_sample", "end_sample"}


def test_a_sound_dataset_is_code_0(kata: Kata, sound: Path) -> None:
    said = kata("check", sound)
    assert said.code == 0, said.out
    assert "sound (fails on error): 0 errors" in said.out
    assert said.err == ""


def test_findings_are_code_1_and_told_worst_first(kata: Kata, sample: Path) -> None:
    said = kata("check", sample, "--episode", "5", "--episode", "7")
    assert said.code == 1
    assert "2 of 12 episodes checked" in said.out
    assert "observation.state holds 3 NaN in 3 of 300 samples" in said.out
    levels = [line.split()[0] for line in said.out.splitlines() if re.match(r"(error|warning|info) +\w+ +\d+ f", line)]
    assert levels == sorted(levels, key=["error", "warning", "info"].index)
    assert set(levels) == {"error", "warning"}


def test_the_level_that_fails_can_be_chosen(kata: Kata, sample: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text("[checks.metadata_contradicts_data]\noff = true\n[checks.stale_statistics]\noff = true\n")
    words = ("check", sample, "--episode", "7", "--suite", suite)
    assert kata(*words).code == 0
    assert kata(*words, "--fail-on", "warning").code == 1
    refused = kata(*words, "--fail-on", "fatal")
    assert refused == (2, "", "kata: --fail-on is 'fatal'. It is one of error, warning, info.\n")


def test_json_is_one_object_with_the_findings(kata: Kata, sample: Path) -> None:
    said = kata("check", sample, "--json", "--episode", "5")
    assert said.code == 1
    report = json.loads(said.out)
    assert {"findings", "abstentions", "dataset", "checks", "waived", "is_sound"} <= set(report)
    assert all(set(finding) == FINDING for finding in report["findings"])
    assert all({"check", "episode", "reason"} <= set(a) for a in report["abstentions"])
    assert report["dataset"]["format"] == "lerobot_v3"
    (nan,) = [f for f in report["findings"] if f["check"] == "not_finite"]
    assert (nan["level"], nan["episode"], nan["stream"], nan["channel"]) == (
        "error",
        "5",
        "observation.state",
        "wrist_pitch",
    )
    assert nan["start_s"] == pytest.approx(3.98)
    assert report["is_sound"] is False


def test_numbers_that_json_lacks_become_null(capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    from robokata.cli.console import print_json_of

    class Answer:
        def to_json(self) -> dict[str, object]:
            return {"a": float("nan"), "b": [float("inf"), np.float32(1.5), np.int64(3)], "c": {"d": np.float64("nan")}}

    print_json_of([Answer()])
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [None, 1.5, 3], "c": {"d": None}}


def test_several_datasets_are_a_list_and_one_verdict(kata: Kata, sound: Path, sample: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "all" / "a")
    shutil.copytree(sound, tmp_path / "all" / "b")
    said = kata("check", tmp_path / "all", "--json")
    assert said.code == 0
    assert [Path(r["dataset"]["path"]).name for r in json.loads(said.out)["datasets"]] == ["a", "b"]


def test_one_unsound_dataset_among_several_fails_all(kata: Kata, sound: Path, tmp_path: Path) -> None:
    shutil.copytree(sound, tmp_path / "all" / "a")
    shutil.copytree(sound, tmp_path / "all" / "b")
    info = tmp_path / "all" / "b" / "meta" / "info.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "total_frames": 9000}))
    said = kata("check", tmp_path / "all")
    assert said.code == 1
    assert "total_frames: 400 in the data, 9000 in meta/info.json" in said.out


def test_junit_has_a_case_per_check_and_counts_failures(kata: Kata, sample: Path, tmp_path: Path) -> None:
    kata("check", sample, "--episode", "5", "--junit", tmp_path / "kata.xml")
    (suite,) = ElementTree.parse(tmp_path / "kata.xml").getroot()
    cases = suite.findall("testcase")
    assert [case.get("name") for case in cases] == list(shelf("checks").names())
    failed = [case.get("name") for case in cases if case.find("failure") is not None]
    assert suite.get("tests") == str(len(cases))
    assert suite.get("failures") == str(len(failed))
    assert "not_finite" in failed


def test_the_report_is_written_and_named_and_json_stays_clean(kata: Kata, sound: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    assert kata("check", sound, "--html", report).out.endswith(f"Report: {report}\n")
    said = kata("check", sound, "--html", report, "--json")
    json.loads(said.out)
    assert said.err == f"Report: {report}\n"


@pytest.mark.parametrize("option", ["--html", "--junit"])
def test_a_report_that_has_no_place_is_refused_before_the_work(
    kata: Kata, sound: Path, tmp_path: Path, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def worked(*args: object, **kwargs: object) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("robokata.inspection.run.check_dataset", worked)
    target = tmp_path / "no" / "report"
    said = kata("check", sound, option, target)
    assert said == (2, "", f"kata: {target}: the folder {target.parent} does not exist. Make it first.\n")
    assert kata("check", sound, option, tmp_path).err.startswith(f"kata: {tmp_path}: is a folder. Name a file in it")


def test_a_list_of_the_checks_needs_no_dataset(kata: Kata) -> None:
    said = kata("check", "--list")
    assert said.code == 0
    for name in shelf("checks").names():
        assert name in said.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "kata: name a dataset to check, or ask for --list.\n"),
        (["/nowhere/at/all"], "kata: /nowhere/at/all: no such file or directory. Check the path.\n"),
    ],
)
def test_without_a_dataset_it_is_code_2(kata: Kata, words: list[str], message: str) -> None:
    assert kata("check", *words) == (2, "", message)


@pytest.mark.parametrize("words", [["--episode", "x"], ["--where", "nonsense ="], ["--format", "x"], ["--suite", "x"]])
def test_what_cannot_be_done_is_code_2_and_a_message(kata: Kata, sound: Path, words: list[str]) -> None:
    said = kata("check", sound, *words)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith("kata: ")
    assert "defect of Robokata" not in said.err


def test_where_chooses_the_episodes(kata: Kata, sample: Path) -> None:
    said = kata("check", sample, "--where", "instruction = 'asdf'", "--json")
    report = json.loads(said.out)
    assert report["episodes_checked"] == 1
    assert {f["episode"] for f in report["findings"]} == {"7", None}


def test_a_gate_that_looked_at_no_episode_does_not_open(kata: Kata, sound: Path) -> None:
    said = kata("check", sound, "--where", "steps > 1000000")
    assert said.code == 2
    assert said.err.startswith(f"kata: {sound}: none of 2 episodes meets --where 'steps > 1000000'.")


SUITE = """
fail_on = "warning"
[checks.metadata_contradicts_data]
off = true
[checks.stale_statistics]
off = true
[checks.duplicate_episode]
off = true
[[waive]]
check = "blank_*"
episode = "7"
reason = "typed by the cat"
expires = {expires}
"""


def test_a_waiver_accepts_until_its_day_and_is_told_when_it_expired(kata: Kata, sample: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE.format(expires="2999-12-31"))
    said = kata("check", sample, "--episode", "7", "--suite", suite)
    assert said.code == 0, said.out
    assert "waived: blank_instruction (typed by the cat)" in said.out
    suite.write_text(SUITE.format(expires="2001-01-01"))
    said = kata("check", sample, "--episode", "7", "--suite", suite)
    assert said.code == 1
    assert "waiver for blank_* expired on 2001-01-01: it accepts nothing any more" in said.out
    report = json.loads(kata("check", sample, "--episode", "7", "--suite", suite, "--json").out)
    assert report["expired_waivers"] == [{"check": "blank_*", "reason": "typed by the cat", "expires": "2001-01-01"}]
    assert "metadata_contradicts_data" not in report["checks"]


def test_a_threshold_of_the_suite_decides(kata: Kata, sample: Path, tmp_path: Path) -> None:
    suite = tmp_path / "suite.toml"
    words = ("check", sample, "--episode", "2", "--json", "--suite", suite)
    suite.write_text("[checks.frozen_camera]\n")
    assert "frozen_camera" in {f["check"] for f in json.loads(kata(*words).out)["findings"]}
    suite.write_text("[checks.frozen_camera]\nat_least_s = 5.0\n")
    assert "frozen_camera" not in {f["check"] for f in json.loads(kata(*words).out)["findings"]}


BAD_SUITES = {
    "x = = 1": "not a TOML file",
    "colour = 1": "unknown key 'colour'. Known: checks, waive, fail_on.",
    "checks = 3": "checks must be tables: [checks.clock_gap].",
    "fail_on = 'fatal'": "fail_on is 'fatal'. It is one of error, warning, info.",
    "fail_on = ['error']": "fail_on is ['error']. It is one of error, warning, info.",
    "[checks.clock_gab]": "No check is called 'clock_gab'. Did you mean 'clock_gap'?",
    "[checks]\nclock_gap = 3": "[checks.clock_gap] must be a table of thresholds.",
    "[checks.clock_gap]\noff = 'yes'": "clock_gap.off is 'yes', and true or false is needed.",
    "[checks.clock_gap]\nbogus = 1": "clock_gap has no threshold 'bogus'. It has: ",
    "[checks.clock_gap]\nlonger_than_periods = 'a'": "clock_gap.longer_than_periods is 'a', and a float is needed",
    "[checks.clock_gap]\nlonger_than_periods = nan": "clock_gap.longer_than_periods is nan",
    "waive = 3": "waivers are written as [[waive]], one table each.",
    "waive = [3]": "waiver 1 is not a table.",
    "[[waive]]\ncheck = 'x'\nwho = 1": "waiver 1 has the unknown key 'who'.",
    "[[waive]]\ncheck = 'clock_gap'": "waiver 1 has no reason. Write why these findings are acceptable.",
    "[[waive]]\ncheck = 'clock_gap'\nreason = 'r'\nexpires = '2027-01-31'": "waiver 1 has no expiry date.",
    "[[waive]]\ncheck = 'zzz'\nreason = 'r'\nexpires = 2027-01-31": "waiver 1 matches no check: 'zzz'.",
}


@pytest.mark.parametrize(("toml", "message"), BAD_SUITES.items(), ids=BAD_SUITES)
def test_a_suite_that_cannot_be_obeyed_is_refused(
    kata: Kata, sound: Path, tmp_path: Path, toml: str, message: str
) -> None:
    suite = tmp_path / "suite.toml"
    suite.write_text(toml)
    said = kata("check", sound, "--suite", suite)
    assert said.code == 2
    assert said.out == ""
    assert said.err.startswith(f"kata: {suite}: ")
    assert message in said.err


def test_the_answer_does_not_depend_on_the_number_of_workers(kata: Kata, sound: Path) -> None:
    one, two = (kata("check", sound, "--json", "--workers", n) for n in (1, 2))
    assert one == two


def test_the_command_ends_with_two_where_nothing_was_judged(kata: Kata, shared_data: Path) -> None:
    said = kata("check", shared_data / "lidar-ouster")
    assert said.code == 2
    assert re.fullmatch(
        r"nothing to judge \(fails on error\): 0 errors, 0 warnings, 0 info; 6 of \d+ checks could decide",
        said.out.splitlines()[-1],
    )
    assert "10 files are not recognised, and not looked at: OS-0-128-U1_v2.3.0_1024x10.json" in said.out
    assert said.err == (
        f"kata: {shared_data / 'lidar-ouster'}: nothing to judge: no stream of the episode that was checked holds "
        "numbers or pictures. `kata look` shows what is there.\n"
    )
