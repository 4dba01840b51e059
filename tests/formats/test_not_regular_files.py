"""A pipe where a file should be costs one message: opening it would wait for ever."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from robokata.containers.hdf5.open_files import opened
from robokata.containers.logs.blocks import FileBytes
from robokata.containers.logs.sqlite_log import SqliteFile
from robokata.containers.parquet import ParquetRows
from robokata.core.errors import DamagedData
from robokata.formats._lerobot.facts import bounded_bytes, sniff_version
from robokata.formats._lerobot.lines import StatisticsLines
from robokata.formats._lerobot.streams import picture_file

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes in folders")

READERS = {
    "hdf5": opened,
    "log": FileBytes,
    "parquet": lambda path: ParquetRows().file(path),
    "sqlite": SqliteFile,
    "json": bounded_bytes,
    "lines": lambda path: StatisticsLines(path).places,
    "picture": lambda path: picture_file(path.parent, path.name, where="a table"),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_refused_and_not_waited_for(reader: str, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(DamagedData, match="pipe"):
        READERS[reader](pipe)


def test_a_pipe_as_info_json_is_no_lerobot_dataset(tmp_path: Path) -> None:
    (tmp_path / "meta").mkdir()
    os.mkfifo(tmp_path / "meta" / "info.json")
    assert sniff_version(tmp_path, "v3", structure="data") == 0.0
