"""ROS 1 bags: one recording per file, every topic on its own clocks.

A topic is one stream (or one group of streams), however many connections it has; its messages are read by receive time.
Joints that two publishers send on one topic are streams of their own, and so are fields that some messages leave empty.
The header stamp of the messages is a topic's clock where it is filled in and counts from the same zero as the bag; the
receive stamp stays beside it, and leads where there is no header. Topics of text that are named for language give the
instructions. Messages that cannot be taken apart stay bytes, and their stream says why.
"""

from __future__ import annotations

from pathlib import Path

from robokata.containers.logs.bag_file import MAGIC, BagFile
from robokata.core.source import Source
from robokata.formats._logs.episode import episode_of, steps_of
from robokata.formats._logs.source import LogSource

IS_FOLDER_OF_FILES = True
LOOKS_FOR = "a *.bag file of ROS 1 (#ROSBAG V2.0), or a folder of them (one episode per file)"


def sniff(path: Path) -> float:
    """Confidence that `path` is a ROS 1 bag, or a folder of them."""
    try:
        if path.is_file():
            with path.open("rb") as file:
                if file.read(8) == MAGIC[:8]:
                    return 1.0
            return 0.5 if path.suffix == ".bag" else 0.0
        if path.is_dir():
            return 0.9 if any(p.suffix == ".bag" for p in path.iterdir()) else 0.0
    except OSError:
        return 0.0
    return 0.0


def read(path: Path) -> Source:
    """Open a bag, or a folder with one recording per bag.

    Raises:
        DamagedData: a single file that is no bag.
    """
    files = {p.stem: p for p in sorted(path.glob("*.bag"))} if path.is_dir() else {path.stem: path}
    source = LogSource(path, format="rosbag1", files=files, open_log=BagFile, episode_of=episode_of, steps_of=steps_of)
    if not path.is_dir():
        source.episode_log(path.stem)
    return source
