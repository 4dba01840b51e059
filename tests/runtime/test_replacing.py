"""A file that is written anew is what it was, or whole: on a full disk, after an error, after a kill."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from robokata.core.errors import WriteRefused
from robokata.runtime.atomic import replace_json, replace_text, replacing


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """As a full disk is: what goes beyond is refused (Python turns the signal off)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_earlier_file_and_names_it_with_the_reason(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    replace_text(report, "earlier")
    with largest_file(4096), pytest.raises(WriteRefused) as refused:
        replace_text(report, "x" * 100_000)
    assert str(refused.value) == f"{report}: File too large. What was there before is unchanged."
    assert report.read_text() == "earlier"
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_full_disk_is_named_although_the_library_that_writes_says_something_else(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    refused = pytest.raises(WriteRefused, match=r"state.pt: File too large. Nothing was left there.")
    with largest_file(4096), refused, replacing(tmp_path / "state.pt") as file:
        torch.save({"weights": torch.zeros(100_000)}, file)
    assert os.listdir(tmp_path) == []


def test_an_error_of_the_writer_leaves_the_earlier_file(tmp_path: Path) -> None:
    replace_text(tmp_path / "card.json", "{}")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "card.json") as file:
        file.write(b"half" * (1 // 0))
    assert (tmp_path / "card.json").read_text() == "{}"
    assert os.listdir(tmp_path) == ["card.json"]


def test_what_a_killed_writer_left_is_removed_by_the_next_and_a_living_one_is_left_alone(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from robokata.runtime.atomic import replacing\n"
        "with replacing(Path(sys.argv[1])) as f: f.write(b'half'); f.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    target = tmp_path / "study.json"
    ended = subprocess.run([sys.executable, "-c", code, str(target)], check=False)
    assert ended.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    alive = tmp_path / f".study.json.unfinished-{os.getppid()}-00"
    alive.touch()
    replace_text(target, "whole")
    assert target.read_text() == "whole"
    assert not left.exists()
    assert alive.exists()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real.html").write_text("earlier")
    (tmp_path / "real.html").chmod(0o640)
    (tmp_path / "link.html").symlink_to("real.html")
    replace_text(tmp_path / "link.html", "new")
    assert (tmp_path / "link.html").is_symlink()
    assert (tmp_path / "real.html").read_text() == "new"
    assert (tmp_path / "real.html").stat().st_mode & 0o777 == 0o640


def test_a_pipe_is_written_to_as_it_comes() -> None:
    code = "import pathlib; from robokata.runtime.atomic import replace_text as r; r(pathlib.Path('/dev/stdout'), 'x')"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"x"


def test_a_name_of_255_bytes_and_one_that_is_not_utf_8_are_written(tmp_path: Path) -> None:
    for name in (b"n" * 255, b"caf\xe9.json"):
        path = tmp_path / os.fsdecode(name)
        replace_json(path, {"n": np.int64(3), "place": str(path)})
        assert json.loads(path.read_text()) == {"n": 3, "place": str(path)}


@pytest.mark.skipif(not os.path.isdir("/dev/shm"), reason="there is no folder in memory")
def test_a_file_in_memory_is_replaced_as_on_a_disk() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        report = Path(folder) / "report.html"
        replace_text(report, "earlier")
        with largest_file(4096), pytest.raises(WriteRefused):
            replace_text(report, "x" * 100_000)
        assert report.read_text() == "earlier"
