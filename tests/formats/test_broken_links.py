"""What stands in the place of a file and is none: named as unreadable, never passed over, never waited for."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from robokata.core.detection import open_source
from robokata.core.errors import DamagedData
from robokata.inspection.run import check_dataset

BREAK: dict[str, Callable[[Path], None]] = {
    "a link that leads nowhere": lambda path: os.symlink("/nonexistent/blob", path),
    "a link to itself": lambda path: os.symlink(path.name, path),
    "a link to a folder": lambda path: os.symlink("/usr", path),
    "a pipe": lambda path: os.mkfifo(path),
}
FILES = {
    "aloha_hdf5": "episode_0.hdf5",
    "robomimic_hdf5": "*.hdf5",
    "mcap": "*.mcap",
    "rosbag1": "*.bag",
    "rlds": "*.tfrecord*",
    "lerobot_v3": "data/**/*.parquet",
    "lerobot_v2": "data/**/*.parquet",
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_file_is_an_episode_that_cannot_be_read(name: str, how: str, tmp_path: Path) -> None:
    made: Path = importlib.import_module(f"makers.{name}").make(tmp_path, episodes=3, steps=12)
    if made.is_file():
        (tmp_path / "folder").mkdir()
        made = made.rename(tmp_path / "folder" / made.name).parent
        (made / f"whole{next(made.iterdir()).suffix}").write_bytes(next(made.iterdir()).read_bytes())
    file = sorted(made.glob(FILES[name]))[0]
    file.unlink()
    BREAK[how](file)
    report = check_dataset(open_source(made, format=name), workers=1)
    assert not report.is_sound
    said = [finding.message for finding in report.findings]
    assert any(file.name in message or "episodes have no data file" in message for message in said), said


@pytest.mark.parametrize("how", ["a link that leads nowhere", "a link to itself", "a pipe"])
def test_a_chunk_of_zarr_that_is_lost_is_no_chunk_of_fill_values(how: str, tmp_path: Path) -> None:
    made = importlib.import_module("makers.zarr_replay").make(tmp_path, episodes=2, steps=12)
    chunk = sorted(file for file in (made / "data" / "action").rglob("*") if file.is_file() and file.name[0] != ".")[0]
    chunk.unlink()
    BREAK[how](chunk)
    source = open_source(made)
    action = source.episode(source.keys()[0]).stream("action")
    with pytest.raises(DamagedData, match=chunk.name):
        action.table  # noqa: B018
