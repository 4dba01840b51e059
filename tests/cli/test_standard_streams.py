"""Standard streams that are closed, full, or cannot show a name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from robokata.testing.sample import write_sample


def shell(words: str, *, folder: Path, **environment: str) -> subprocess.CompletedProcess[bytes]:
    kata = f"{sys.executable} -m robokata.cli.main"
    run = ["bash", "-c", f"set -o pipefail; {kata} {words}"]
    return subprocess.run(run, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("streams")
    write_sample(place / "data")
    return place


@pytest.mark.parametrize("words", ["look data", "look data --json", "check data", "convert data out --to mcap"])
def test_a_closed_output_ends_as_a_pipe_whose_reader_has_gone(folder: Path, words: str) -> None:
    closed = shell(f"{words} >&-", folder=folder)
    assert (closed.returncode, closed.stderr) == (141, b"")
    assert not (folder / "out").exists()
    assert shell(f"{words} | true", folder=folder).returncode == 141


def test_a_closed_error_stream_changes_nothing_and_no_dataset_gets_its_number(folder: Path) -> None:
    both = shell("convert data kept --to mcap --accept-loss 2>&- <&-", folder=folder)
    assert both.returncode == 0
    assert shell("look kept", folder=folder).returncode == 0


def test_a_full_disk_behind_the_output_is_named(folder: Path) -> None:
    full = shell("look data >/dev/full", folder=folder)
    assert (full.returncode, full.stderr) == (2, b"kata: standard output: No space left on device\n")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_name_that_is_not_utf_8_or_steers_the_terminal_is_spelled_out(folder: Path, encoding: str) -> None:
    name = os.fsdecode(b"caf\xe9 \x1b[2J")
    (folder / name).symlink_to("data") if not (folder / name).is_symlink() else None
    words = "look $'caf\\xe9 \\x1b[2J'"
    text = shell(words, folder=folder, PYTHONIOENCODING=encoding, LANG="C")
    assert text.returncode == 0, text.stderr
    assert rb"caf\udce9 \u001b[2J" in text.stdout
    said = json.loads(shell(f"{words} --json", folder=folder, PYTHONIOENCODING=encoding).stdout)
    assert said["path"].endswith(name)
    check = "check $'caf\\xe9 \\x1b[2J' --html r.html --junit j.xml --fail-on error"
    assert shell(check, folder=folder).returncode in (0, 1)
    for report in ("r.html", "j.xml"):
        assert "\x1b" not in (folder / report).read_bytes().decode()
