"""What every verb does alike: help, errors in words, exit codes, Ctrl-C, a reader that leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kata_command import Kata

from robokata.core.errors import DamagedData

COMMAND = [sys.executable, "-m", "robokata.cli.main"]


def test_without_words_the_help_is_shown(kata: Kata) -> None:
    said = kata()
    assert "Usage: kata" in said.out + said.err
    for verb in ("look", "check", "explain", "demo"):
        assert verb in said.out + said.err


@pytest.mark.parametrize("verb", ["look", "check", "explain", "demo"])
def test_each_verb_has_a_help_with_every_option_explained(kata: Kata, verb: str) -> None:
    said = kata(verb, "--help")
    assert said.code == 0
    assert f"Usage: kata {verb}" in said.out
    options = [line for line in said.out.splitlines() if line.startswith("  --")]
    assert options
    assert all(len(line.split()) > 2 for line in options)


def test_the_list_of_verbs_is_not_cut_off(kata: Kata) -> None:
    shown = kata("--help").out
    assert "..." not in shown.partition("Look")[2]
    for group in ("Look", "Keep", "Make data", "Learn", "Share"):
        assert f"\n{group}:\n" in shown


def test_the_version_is_the_packages(kata: Kata) -> None:
    from robokata import __version__

    assert kata("--version").out.strip() == __version__


@pytest.mark.parametrize("words", [["look"], ["explain"], ["look", ".", "--bogus"], ["bogus"]])
def test_words_that_make_no_sense_are_code_2_and_name_the_help(kata: Kata, words: list[str]) -> None:
    said = kata(*words)
    assert said.code == 2
    assert said.out == ""
    assert "--help" in said.err


def test_a_defect_of_ours_is_one_line_and_not_a_traceback(kata: Kata, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, format_name: str | None) -> None:
        raise ZeroDivisionError("of all things")

    monkeypatch.setattr("robokata.cli.console.datasets_at", broken)
    said = kata("look", ".")
    assert said.code == 2
    assert said.err == (
        "kata: this is a defect of Robokata, not of your data: ZeroDivisionError: of all things. "
        "Please report it, with what it prints when ROBOKATA_TRACEBACK=1 is set.\n"
    )


def test_an_error_of_the_system_names_the_file(kata: Kata, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path, format_name: str | None) -> None:
        raise PermissionError(13, "Permission denied", "/data/secret")

    monkeypatch.setattr("robokata.cli.console.datasets_at", refused)
    assert kata("look", ".") == (2, "", "kata: /data/secret: Permission denied\n")


def test_an_index_that_cannot_be_read_is_code_2_and_says_why(kata: Kata, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(path: Path, format_name: str | None) -> None:
        raise DamagedData("meta/info.json", "ends inside a text.", offset=12, next_move="Fetch it again.")

    monkeypatch.setattr("robokata.cli.console.datasets_at", damaged)
    assert kata("look", ".") == (2, "", "kata: meta/info.json at byte 12: ends inside a text. Fetch it again.\n")


def test_ctrl_c_is_code_130_and_leaves_nothing(kata: Kata, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupted(path: Path, format_name: str | None) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("robokata.cli.console.datasets_at", interrupted)
    said = kata("check", ".", "--html", tmp_path / "report.html")
    assert said == (130, "", "\nkata: interrupted. Nothing was changed.\n")
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_in_the_middle_of_a_real_run_leaves_whole_episodes_only(tmp_path: Path) -> None:
    # A shell starts its background jobs with Ctrl-C ignored, and so would everything below this test.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"{listening}; from robokata.cli.main import run; run()"
    out = tmp_path / "lift"
    words = ["collect", "sim", "lift", "--expert", "--size", "0", "--workers", "1", "--out", str(out), "--episodes"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words, "5000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        deadline_s = time.monotonic() + 60
        while len(list(out.glob("*.mcap"))) < 2 and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err == "\nkata: interrupted. What is finished is kept; run the same command again to go on.\n"
    kept = sorted(file.name for file in out.glob("*.mcap"))
    assert sorted(file.name for file in out.iterdir()) == ["attempts.jsonl", *kept]
    again = subprocess.run([*COMMAND, *words, str(len(kept))], capture_output=True, text=True, check=True)
    assert f"{len(kept)} episodes" in again.stdout


def test_a_reader_that_leaves_is_no_traceback(sound: Path) -> None:
    with subprocess.Popen([*COMMAND, "look", str(sound)], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_without_a_terminal_nothing_is_cut_at_80_columns(sample: Path) -> None:
    environment = {**os.environ, "COLUMNS": "80", "TERM": "dumb"}
    shown = subprocess.run([*COMMAND, "look", str(sample)], env=environment, capture_output=True, text=True, check=True)
    (row,) = [line for line in shown.stdout.splitlines() if line.startswith("observation.images.front")]
    assert row.split()[:5] == ["observation.images.front", "camera", "video", "96x128x3", "uint8"]
    assert len(row.rstrip()) > 80
    assert "\x1b" not in shown.stdout
    assert shown.stderr == ""
