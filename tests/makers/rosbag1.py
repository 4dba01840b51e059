"""ROS 1 bags, written by `rosbags`."""

from __future__ import annotations

from pathlib import Path

from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_typestore

from makers._robot_log import TOPICS, speak

FILES = "*.bag"


def make(root: Path, *, episodes: int, steps: int, seed: int = 0) -> Path:
    """Files `take_<n>.bag`, one episode each, packed with bz2, lz4 or not in turn."""
    folder = root / "bags"
    folder.mkdir(parents=True)
    formats = [None, Writer.CompressionFormat.LZ4, Writer.CompressionFormat.BZ2]
    for number in range(episodes):
        write_bag(folder / f"take_{number:03d}.bag", number, steps=steps, seed=seed, packed=formats[number % 3])
    return folder


def write_bag(
    path: Path, number: int, *, steps: int, seed: int = 0, packed: Writer.CompressionFormat | None = None
) -> None:
    """One recording."""
    store = get_typestore(Stores.ROS1_NOETIC)
    writer = Writer(path)
    if packed is not None:
        writer.set_compression(packed)
    # Small chunks: damage in one must leave the others readable.
    writer.chunk_threshold = 32_000
    with writer:
        connections = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in TOPICS}
        for said in speak(store, number, steps=steps, seed=seed):
            data = store.serialize_ros1(said.message, said.type)
            writer.write(connections[said.topic], said.receive_ns, data)
