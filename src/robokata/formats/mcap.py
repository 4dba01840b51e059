"""MCAP: one recording per file, every topic on its own clocks.

A sample has up to three times: when it was taken (the header in the message), published, and received. The
header is the stream's clock where there is one; the others stay beside it.
"""

from __future__ import annotations

from pathlib import Path

from robokata.core.source import Source
from robokata.formats._log import LogSource
from robokata.formats._log_episode import episode_of, steps_of
from robokata.formats._mcap_file import MAGIC, McapFile

LOOKS_FOR = "a *.mcap file, or a folder of them (one episode per file) without metadata.yaml"


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


def read(path: Path) -> Source:
    """Open an MCAP file, or a folder with one recording per file.

    Raises:
        DamagedData: a single file that is no MCAP.
    """
    files = {p.stem: p for p in sorted(path.glob("*.mcap"))} if path.is_dir() else {path.stem: path}
    source = LogSource(path, format="mcap", files=files, open_log=McapFile, episode_of=episode_of, steps_of=steps_of)
    if not path.is_dir():
        source.episode_log(path.stem)
    return source
