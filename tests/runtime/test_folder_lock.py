"""One run at a time in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from robokata.core.errors import WriteRefused
from robokata.runtime.atomic import appearing
from robokata.runtime.folder_lock import hold

_HOLDS = (
    "import sys, time; from pathlib import Path; from robokata.runtime.folder_lock import hold\n"
    "with hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


def test_a_second_run_is_refused_and_told_who_is_at_work_and_a_kill_lets_go(tmp_path: Path) -> None:
    first = subprocess.Popen([sys.executable, "-c", _HOLDS, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    try:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        said = rf"another run is at work in this folder \(process {first.pid} on .*, since 20\d\d-.*\)\. Wait for it"
        with pytest.raises(WriteRefused, match=said), hold(tmp_path / "out"):
            pass
        (tmp_path / "link").symlink_to("out")
        with pytest.raises(WriteRefused, match="another run is at work"), hold(tmp_path / "link"):
            pass
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    with hold(tmp_path / "out"):
        pass
    assert os.listdir(tmp_path) == ["link"], "the file of the lock goes with it"


def test_nothing_is_left_of_a_lock_where_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path / "out"):
        1 / 0  # noqa: B018
    assert os.listdir(tmp_path) == []


def test_of_two_writers_to_one_target_the_second_is_refused_at_once(tmp_path: Path) -> None:
    with appearing(tmp_path / "out.mcap", is_file=True) as place:
        with pytest.raises(WriteRefused, match="another run is at work"), appearing(tmp_path / "out.mcap"):
            pass
        place.write_bytes(b"first")
    assert (tmp_path / "out.mcap").read_bytes() == b"first"


def test_a_folder_that_cannot_be_locked_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(WriteRefused, match=r"out: cannot be locked"),
        hold(tmp_path / "file" / "out"),
    ):
        pass
