"""Numbered jobs: the same folder for any number of workers, and what is finished is never lost or done again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from robokata.core.detection import open_source
from robokata.core.errors import DamagedData, WriteRefused
from robokata.runtime.jobs import JOURNAL, Made, produce
from robokata.testing.tiny import tiny_episode


@dataclass(frozen=True)
class Tiny:
    """Every third job fails."""

    slow_s: float = 0.0

    def __call__(self, number: int) -> Made:
        time.sleep(self.slow_s)
        if number % 3 == 2:
            return Made({"success": False})
        episode = tiny_episode(number, duration_s=1.0)
        return Made({"success": True, "duration_s": 1.0}, episode)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir())}


def test_the_folder_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    for workers in (1, 2, 3):
        produce(Tiny(), tmp_path / str(workers), wanted=5, at_most=20, same_as={"a": 1}, workers=workers)
    first = contents(tmp_path / "1")
    assert len(first) == 6
    assert contents(tmp_path / "2") == first
    assert contents(tmp_path / "3") == first
    assert len(open_source(tmp_path / "1").keys()) == 5


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    produce(Tiny(), whole, wanted=6, at_most=20, same_as={}, workers=1)
    produce(Tiny(), parts, wanted=2, at_most=20, same_as={}, workers=1)
    # The line that was being written when the power went.
    with (parts / JOURNAL).open("a") as file:
        file.write('{"number": 2, "fi')
    produce(Tiny(), parts, wanted=6, at_most=20, same_as={}, workers=1)
    assert contents(parts) == contents(whole)


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    produce(Tiny(), tmp_path / "out", wanted=1, at_most=2, same_as={"seed": 1}, workers=1)
    with pytest.raises(WriteRefused, match=r"was begun with other settings: seed: 1, now 2\. Choose"):
        produce(Tiny(), tmp_path / "out", wanted=1, at_most=2, same_as={"seed": 2}, workers=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(WriteRefused, match="exists and is not empty"):
        produce(Tiny(), tmp_path / "mine", wanted=1, at_most=2, same_as={}, workers=1)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda lines: [b"garbage", *lines[1:]], "its first line does not say how the run was begun"),
        (lambda lines: [lines[0], b"\xff\xfe", *lines[1:]], "it is no text"),
        (lambda lines: [lines[0], b"garbage", *lines[1:]], r"line 2 cannot be read \('garbage'\)"),
        (lambda lines: [lines[0], b"[]", *lines[1:]], r"line 2 cannot be read"),
    ],
)
def test_a_damaged_journal_is_named_and_nothing_is_lost(harm: Any, said: str, tmp_path: Path) -> None:
    produce(Tiny(), tmp_path / "out", wanted=2, at_most=4, same_as={}, workers=1)
    journal = tmp_path / "out" / JOURNAL
    journal.write_bytes(b"\n".join(harm(journal.read_bytes().splitlines())) + b"\n")
    before = contents(tmp_path / "out")
    with pytest.raises(DamagedData, match=f"attempts.jsonl: the journal of this folder is damaged: {said}.*Restore it"):
        produce(Tiny(), tmp_path / "out", wanted=3, at_most=4, same_as={}, workers=1)
    assert contents(tmp_path / "out") == before


_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from runtime.test_jobs import Tiny
from robokata.runtime.jobs import produce
if __name__ == "__main__":
    produce(Tiny(0.03), Path(sys.argv[1]), wanted=12, at_most=40, same_as={{}}, workers=int(sys.argv[2]))
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_killed_at_any_moment_it_loses_and_repeats_nothing(tmp_path: Path, workers: int) -> None:
    script = tmp_path / "run.py"
    script.write_text(_SCRIPT.format(tests=str(Path(__file__).parent)))
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    produce(Tiny(0.0), whole, wanted=12, at_most=40, same_as={}, workers=1)
    for tries in range(12):
        process = subprocess.Popen([sys.executable, str(script), str(killed), str(workers)], start_new_session=True)
        try:
            process.wait(timeout=1.0 + 0.13 * tries)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for line in (killed / JOURNAL).read_text().splitlines()[1:-1] if (killed / JOURNAL).exists() else []:
            told = json.loads(line)
            assert told["file"] is None or (killed / told["file"]).stat().st_size > 0
        if process.returncode == 0:
            break
    produce(Tiny(0.0), killed, wanted=12, at_most=40, same_as={}, workers=1)
    assert contents(killed) == contents(whole)


def test_what_a_killed_writer_left_is_cleared_away_files_and_folders(tmp_path: Path) -> None:
    produce(Tiny(), tmp_path / "out", wanted=2, at_most=4, same_as={}, workers=1)
    (tmp_path / "out" / ".pending" / ".a.mcap.unfinished-1-00").mkdir(parents=True)
    (tmp_path / "out" / ".pending" / "b.mcap").write_text("half")
    produce(Tiny(), tmp_path / "out", wanted=3, at_most=6, same_as={}, workers=1)
    assert not (tmp_path / "out" / ".pending").exists()


def test_two_runs_in_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    class Meddling(Tiny):
        def __call__(self, number: int) -> Made:
            with pytest.raises(WriteRefused, match="another run is at work in this folder"):
                produce(Tiny(), tmp_path / "out", wanted=1, at_most=2, same_as={}, workers=1)
            return super().__call__(number)

    produce(Meddling(), tmp_path / "out", wanted=2, at_most=4, same_as={}, workers=1)
    assert len(produce(Tiny(), tmp_path / "out", wanted=2, at_most=4, same_as={}, workers=1)) >= 2
