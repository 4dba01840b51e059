"""MCAP: one recording per file, every topic on its own clocks.

A topic is one stream (or one group of streams), however many channels, publishers and restarts it has; its messages are
read by log time, as MCAP's own readers give them. Fields that some messages leave out are streams of those that hold
them. A sample has up to three times: when it was taken (the header in the message), published, and received. The
header is the stream's clock where there is one; the others stay beside it. Depth of compressed_depth_image_transport
(PNG or RVL) reads as raw depth does: 16UC1 in millimetres, 32FC1 in metres, from codes of inverse depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from robokata.containers.logs.log import Log
from robokata.containers.mcap.file import McapFile
from robokata.containers.mcap.records import MAGIC
from robokata.core.episode import Episode
from robokata.core.errors import WriteRefused
from robokata.core.layout import Layout
from robokata.core.source import EpisodeRow, Source
from robokata.formats._logs.episode import steps_of
from robokata.formats._logs.source import LogSource
from robokata.formats._mcap.carried import restored_episode, told_row
from robokata.formats._mcap.episode import layout_of, write_episode
from robokata.runtime.atomic import appearing
from robokata.runtime.file_name import file_name

IS_FOLDER_OF_FILES = True
LOOKS_FOR = "a *.mcap file, or a folder of them (one episode per file) without metadata.yaml"

LOSES = (
    "what a stream is for (state, action, sensor): topics have names and types only, the rest is carried beside",
    "units and conventions (frames of numbers without a header, rotations, gripper polarity): carried beside",
    "numbers of changing shape, and numbers that ROS has no type for (complex, dates): carried beside",
    "video codecs other than H.264, H.265, AV1, VP9 and MPEG-4: decoded to raw pictures",
)

COPIES_MESSAGES = True
"""Messages of a log are copied as they lie, also those whose pictures cannot be decoded."""


def sniff(path: Path) -> float:
    """Confidence that `path` is an MCAP file, or a folder of them that no rosbag2 metadata binds together."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                if file.read(len(MAGIC)) == MAGIC:
                    return 1.0
            return 0.5 if path.suffix == ".mcap" else 0.0
        if path.is_dir() and not (path / "metadata.yaml").exists():
            names = [p for p in path.iterdir() if p.suffix == ".mcap"]
            return 0.9 if names else 0.0
    except OSError:
        return 0.0
    return 0.0


class _Files(LogSource):
    """Recordings as a dataset; those that Robokata wrote say in their metadata what the episode is."""

    def _row(self, key: str, log: Log, name: str | None) -> EpisodeRow:
        return told_row(super()._row(key, log, name), log.extra)


def read(path: Path) -> Source:
    """Open an MCAP file, or a folder with one recording per file.

    Raises:
        DamagedData: a single file that is no MCAP.
    """
    files = {p.stem: p for p in sorted(path.glob("*.mcap"), key=_natural)} if path.is_dir() else {path.stem: path}
    source = _Files(path, format="mcap", files=files, open_log=McapFile, episode_of=restored_episode, steps_of=steps_of)
    if not path.is_dir():
        source.episode_log(path.stem)
    return source


def layout(episode: Episode) -> Layout:
    """Which topic and which message type each stream becomes; every stream keeps its own clock.

    Raises:
        DamagedData: a stream cannot be read.
        WriteRefused: a stream has no times.
    """
    return layout_of(episode)


def write(path: Path, episodes: Iterable[Episode]) -> None:
    """Write a folder with one file per episode, or one file where `path` ends in `.mcap`.

    Raises:
        WriteRefused: the target is occupied, or one file is to hold several episodes, or there are none, or a
            stream has no times.
        DamagedData: an episode cannot be read.
    """
    is_file, taken = path.suffix == ".mcap", set[str]()
    with appearing(path, is_file=is_file) as place:
        for episode in episodes:
            if is_file and taken:
                raise WriteRefused(f"{path}: one MCAP file holds one episode. Name a folder to write several.")
            name = file_name(episode.id, taken=taken)
            taken.add(name.lower())
            write_episode(place if is_file else place / f"{name}.mcap", episode)
        if not taken:
            raise WriteRefused(f"{path}: there are no episodes to write.")


def _natural(path: Path) -> list[tuple[int, int, str]]:
    """Episode 2 comes before episode 10."""
    parts = re.split(r"(\d+)", path.name)
    return [(0, int(part), part) if part.isdecimal() else (1, 0, part) for part in parts if part]
