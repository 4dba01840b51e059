"""ROS 2 bags: a folder with metadata.yaml and one or more SQLite or MCAP files is one recording.

Clocks, instructions and messages that stay bytes: as in `rosbag1`. The files of one bag are one recording, in the
order of metadata.yaml; where that is absent, all files of the folder in the order of their numbers. What rosbag2
packed with zstd, whole files or single messages, is unpacked on reading. Messages in an SQLite file's write-ahead log
are read where their transaction was finished; nothing beside the bag is written, moved or deleted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from robokata.containers.logs.bag_folder import MARK, METADATA, STORED, BagFolder
from robokata.containers.logs.sqlite_log import HEADER
from robokata.core.source import Source
from robokata.formats._logs.episode import episode_of, steps_of
from robokata.formats._logs.source import LogSource

LOOKS_FOR = "a folder with the metadata.yaml of rosbag2 or *.db3 files, a folder of such folders, or one *.db3 file"


def sniff(path: Path) -> float:
    """Confidence that `path` is a ROS 2 bag, a folder of them, or a single SQLite file of one."""
    try:
        if path.is_file():
            return _sniff_file(path)
        own = _sniff_folder(path) if path.is_dir() else 0.0
        if own or not path.is_dir():
            return own
        # A folder that holds nothing but bags is a dataset with one episode each.
        below = [p for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
        return 0.85 if below and all(_sniff_folder(p) for p in below) else 0.0
    except OSError:
        return 0.0


def read(path: Path) -> Source:
    """Open a bag, a folder of bags, or one SQLite file.

    Raises:
        DamagedData: a single bag whose metadata or files cannot be read.
    """
    if path.is_file() or _sniff_folder(path):
        source = _source(path, {path.name if path.is_dir() else re.split(r"\.(?:db3|mcap)", path.name)[0]: path})
        source.episode_log(source.keys()[0])
        return source
    below = sorted(p for p in path.iterdir() if p.is_dir() and _sniff_folder(p))
    return _source(path, {p.name: p for p in below})


def _source(path: Path, files: Mapping[str, Path]) -> LogSource:
    return LogSource(path, format="rosbag2", files=files, open_log=BagFolder, episode_of=episode_of, steps_of=steps_of)


def _sniff_file(path: Path) -> float:
    if path.name.endswith((".db3", ".db3.zstd")):
        with path.open("rb") as file:
            head = file.read(16_384)
        return 1.0 if head.startswith(HEADER) and b"topics" in head else 0.5
    return 0.9 if path.name.endswith(".mcap.zstd") else 0.0


def _sniff_folder(path: Path) -> float:
    metadata = path / METADATA
    stored = [p for p in path.iterdir() if p.name.endswith(STORED)]
    if metadata.is_file():
        with metadata.open("rb") as file:
            if MARK.encode() in file.read(4096):
                return 1.0
        return 0.6 if stored else 0.0
    return 0.95 if any(".db3" in p.name or p.suffix == ".zstd" for p in stored) else 0.0
