"""Every writable format: a writer that is killed, raced or out of disk never leaves half a dataset."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from robokata.core.leaf_kinds import writable_formats

WRITER = Path(__file__).with_name("killed_writer.py")
FULL = ("No space left on device", "Disk quota exceeded", "File too large")


def ask(verb: str, name: str, folder: Path, attempts: int) -> dict[str, Any]:
    folder = folder / "place"
    folder.mkdir()
    words = [sys.executable, str(WRITER), verb, name, str(folder), str(attempts)]
    # Twelve seconds an attempt: 300 of HDF5 took longer than a quarter of an hour on a machine with a load of 20.
    done = subprocess.run(words, capture_output=True, text=True, timeout=max(900, 12 * attempts), check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("name", writable_formats())
def test_a_writer_killed_at_any_moment_leaves_its_target_absent_or_complete(name: str, tmp_path: Path) -> None:
    seen = ask("kill", name, tmp_path, 20)
    assert sum(seen.values()) == 20
    assert seen.get("unfinished", 0) > 0, f"no kill hit the middle of a write: {seen}"


@pytest.mark.slow
@pytest.mark.parametrize("name", writable_formats())
def test_hundreds_of_killed_writers_leave_their_target_absent_or_complete(name: str, tmp_path: Path) -> None:
    seen = ask("kill", name, tmp_path, 300)
    assert sum(seen.values()) == 300
    assert min(seen.get("unfinished", 0), seen.get("complete", 0)) > 0, seen


@pytest.mark.parametrize("name", writable_formats())
def test_of_two_writers_to_one_target_one_wins_and_the_other_is_refused(name: str, tmp_path: Path) -> None:
    assert ask("race", name, tmp_path, 3) == {"1 wrote": 3}


@pytest.mark.parametrize("name", writable_formats())
def test_a_full_disk_is_a_clear_refusal_that_leaves_nothing(name: str, tmp_path: Path) -> None:
    said = ask("full", name, tmp_path, 6)
    assert len(said) == 6
    for message in said.values():
        assert any(
            message == f"OUT: {reason}. Nothing was left there; make room or choose another disk." for reason in FULL
        )
